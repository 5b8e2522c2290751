//! Who takes part: an organization, its agents and what they cost, a receiver and a tool.

use std::time::Duration;

use http::Response;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use crate::support::{
    binary::Home,
    pause,
    peer::{Peer, answer},
    receiver::{Fate, Receiver},
};

/// The organization.
pub const ORG: &str = "org_crash";
/// Its key.
pub const KEY: &str = "tk_live_crash";
/// What its webhooks are signed with.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// What it has, in credits and in millionths of one.
const CREDITS: &str = "100000";
pub const CREDITS_MICRO: i64 = 100_000_000_000;
/// What an agent says first.
pub const GREETING: &str = "Good day.";
/// How long the last server runs on under load.
pub const ENDINGS_MS: Duration = Duration::from_millis(300);
/// How often a delivery may be refused before it is accepted.
const REFUSALS_MAX: usize = 2;

/// An agent as the checker knows it.
pub struct AgentFacts {
    pub id: &'static str,
    pub memory: bool,
    pub analysis: bool,
    pub keeps_transcript: bool,
    /// What a session costs, in millionths of a credit before rounding: of input and output
    /// tokens, messages and whole seconds.
    pub price: fn(i64, i64, i64, i64) -> i64,
}

/// The agents: one that does everything, one that is short of patience, one that forgets.
pub const AGENTS: [AgentFacts; 3] = [
    AgentFacts {
        id: "careful",
        memory: true,
        analysis: true,
        keeps_transcript: true,
        // 0.01 per 1,000 tokens of both.
        price: |input, output, _, _| (input + output) * 10,
    },
    AgentFacts {
        id: "brief",
        memory: false,
        analysis: false,
        keeps_transcript: true,
        // 0.001 per message, 0.06 per minute.
        price: |_, _, messages, seconds| messages * 1_000 + seconds * 1_000,
    },
    AgentFacts {
        id: "forgetful",
        memory: true,
        analysis: false,
        keeps_transcript: false,
        // 0.0021 per session, 0.02 per 1,000 tokens of output, 0.03 of input.
        price: |input, output, _, _| 2_100 + output * 20 + input * 30,
    },
];

/// Everything outside the server.
pub struct World {
    pub home: Home,
    pub receiver: Receiver,
    _tool: Peer,
}

impl World {
    pub async fn new(seed: u64) -> Self {
        let receiver = Receiver::start(SECRET, move |id, before| fate(seed, id, before)).await;
        let tool = Peer::start(async |_| {
            pause(Duration::from_millis(10)).await;
            Ok::<Response<_>, _>(answer(200, json!({ "result": "It is on its way." }).to_string()))
        })
        .await;
        let home = Home::new(&config(&receiver.url(), &tool.url("/look_up")));
        Self { home, receiver, _tool: tool }
    }
}

/// Each event is refused, or hung up on, up to a few times before it is accepted: always the same
/// for the same seed and event, so that none is given up on.
fn fate(seed: u64, id: &str, before: usize) -> Fate {
    let number = id.bytes().fold(seed, |sum, byte| sum.rotate_left(7) ^ u64::from(byte));
    let mut random = StdRng::seed_from_u64(number);
    let refusals = if random.random_bool(0.3) { random.random_range(1..=REFUSALS_MAX) } else { 0 };
    match (before < refusals, random.random_bool(0.5)) {
        (true, true) => Fate::Answered(500),
        (true, false) => Fate::HungUp,
        (false, _) => Fate::Answered(204),
    }
}

fn config(hook: &str, tool: &str) -> Value {
    let step = json!({ "retry_s": [0, 0, 0, 1, 1, 1, 1, 1], "timeout_s": 7, "jitter_percent": 0 });
    json!({
        "telemetry": { "log": "warn,epilogue_server=info", "log_format": "json" },
        "security": { "allow_private_webhooks": true },
        "limits": {
            "opens_per_minute": 0, "messages_per_minute": 0,
            "ends_per_minute": 0, "history_per_minute": 0,
            "turn_settle_ms": 500,
        },
        "steps": { "notify": step, "analyze": step, "ingest_memory": step, "purge": step },
        "organizations": [{
            "id": ORG, "name": "Crash", "credits": CREDITS, "api_keys": [KEY],
            "agents": [
                agent(&AGENTS[0], hook, tool, json!({
                    "idle_timeout_s": 3, "hold": "0.05", "price": { "per_1k_tokens": "0.01" },
                    "analysis": [{ "name": "qa", "labels": [{ "name": "resolved", "type": "boolean" }] }],
                })),
                agent(&AGENTS[1], hook, tool, json!({
                    "idle_timeout_s": 1, "price": { "per_message": "0.001", "per_minute": "0.06" },
                })),
                agent(&AGENTS[2], hook, tool, json!({
                    "idle_timeout_s": 2, "hold": "0.001",
                    "price": {
                        "per_session": "0.0021", "per_1k_output_tokens": "0.02",
                        "per_1k_input_tokens": "0.03",
                    },
                })),
            ],
        }],
    })
}

fn agent(facts: &AgentFacts, hook: &str, tool: &str, own: Value) -> Value {
    let mut agent = json!({
        "id": facts.id,
        "name": "An agent",
        "greeting": GREETING,
        "farewell": "Goodbye.",
        "memory": facts.memory,
        "keep_transcript": facts.keeps_transcript,
        "webhook": { "url": hook, "secret": SECRET },
        "tools": [{ "name": "look_up", "url": tool }],
        "model": { "provider": "scripted", "script": [
            {
                "when": "slowly", "word_delay_ms": 25,
                "reply": "I think about it word by word by word by word by word. {{message}} Done.",
            },
            {
                "when": "look up", "reply": "I have looked. {{message}}",
                "tool": { "name": "look_up", "arguments": "{\"order\":7}" },
            },
            { "when": "goodbye", "tool": { "name": "end_chat" } },
            { "when": "", "reply": "You said: {{message}}" },
        ]},
    });
    let members = own.as_object().expect("an object").clone();
    agent.as_object_mut().expect("an object").extend(members);
    agent
}
