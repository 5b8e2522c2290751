//! Whom the tests know: two organizations that pay, one that cannot, their agents and keys.

use epilogue_api::auth::hash;
use epilogue_core::{Agent, KeyId, MicroCredits, OrgId};
use epilogue_engine::llm::Listed;
use epilogue_engine::testing::{
    Credential, CredentialKind, Organization, OrganizationConfig, Role,
};
use serde_json::json;

use super::NOW;

/// Acme's text agent, which greets and has a webhook.
pub const AGENT: &str = "5b710eca-ee67-4c3a-aeb6-8b541f451b40";
/// Acme's text agent without greeting, webhook or price.
pub const QUIET_AGENT: &str = "0c0ffee0-0000-4000-8000-000000000001";
/// Acme's agent that says goodbye, looks things up, and speaks of its variables.
pub const CHAT_AGENT: &str = "c4a70000-0000-4000-8000-000000000004";
/// Acme's agent that does not chat.
pub const AVATAR: &str = "7d1f0a52-8f0e-4a56-9f0a-0a1d5ad0c001";
/// The other organization's agent.
pub const FOREIGN_AGENT: &str = "f0000000-0000-4000-8000-000000000002";
/// The agent of the organization without credits.
pub const BROKE_AGENT: &str = "b0000000-0000-4000-8000-000000000003";

/// Acme's secret key.
pub const KEY: &str = "tk_live_acme";
/// Acme's key that may only look.
pub const READ_KEY: &str = "tk_live_acme_read";
/// Acme's key that expires a day after the tests begin.
pub const SHORT_KEY: &str = "tk_live_acme_short";
/// Acme's widget key, for example.com.
pub const WIDGET_KEY: &str = "tk_widget_acme";
/// The other organization's secret key.
pub const FOREIGN_KEY: &str = "tk_live_other";
/// The secret key of the organization without credits.
pub const BROKE_KEY: &str = "tk_live_broke";

/// What webhooks are signed with.
pub const WEBHOOK_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// Everyone.
pub fn organizations() -> Vec<OrganizationConfig> {
    let acme = vec![agent(), quiet_agent(), avatar(), chat_agent()];
    let mut acme = organization("org_acme", acme, MicroCredits(100_000_000));
    let read = Credential { role: Role::Read, ..key("org_acme", READ_KEY, "key_read") };
    let expires_at = Some(NOW + epilogue_core::Span::from_secs(24 * 3600));
    let short = Credential { expires_at, ..key("org_acme", SHORT_KEY, "key_short") };
    let domains = vec!["example.com".to_owned()];
    let kind = CredentialKind::Widget { domains };
    let widget = key("org_acme", WIDGET_KEY, "key_widget");
    let widget = Credential { kind, role: Role::Operate, ..widget };
    acme.keys = vec![key("org_acme", KEY, "key_acme"), read, short, widget];

    let foreign = vec![plain(FOREIGN_AGENT, "Stranger")];
    let mut other = organization("org_other", foreign, MicroCredits(100_000_000));
    other.keys = vec![key("org_other", FOREIGN_KEY, "key_other")];

    let agents = vec![plain(BROKE_AGENT, "Poor")];
    let mut broke = organization("org_broke", agents, MicroCredits::ZERO);
    broke.keys = vec![key("org_broke", BROKE_KEY, "key_broke")];
    vec![acme, other, broke]
}

fn organization(id: &str, agents: Vec<Agent>, credits: MicroCredits) -> OrganizationConfig {
    let organization = Organization {
        id: id.into(),
        name: id.to_owned(),
        metered: true,
        grace: MicroCredits::ZERO,
        open_max: 0,
        keep_transcripts: false,
    };
    OrganizationConfig {
        organization,
        opening_credits: Some(credits),
        agents,
        projects: Vec::new(),
        keys: Vec::new(),
    }
}

fn key(org: &str, key: &str, id: &str) -> Credential {
    Credential {
        id: KeyId::from(id),
        hash: hash(key),
        org: OrgId::from(org),
        kind: CredentialKind::Secret,
        role: Role::Own,
        name: id.to_owned(),
        created_at: NOW,
        expires_at: None,
        revoked_at: None,
        configured: true,
    }
}

/// The agent most tests talk to. What it says depends on what is said to it.
fn agent() -> Agent {
    let hour_ms = 3_600_000;
    let script = json!([
        { "when": "goodbye", "tool": { "name": "end_chat" } },
        { "when": "look it up", "tool": { "name": "web_search" }, "reply": "I found it." },
        { "when": "slowly", "reply": "One two three", "word_delay_ms": hour_ms },
        { "when": "lines", "reply": "a\nb\r\nc\u{2028}\"d\"" },
        { "reply": "You said: {{message}}" },
    ]);
    read(json!({
        "id": AGENT,
        "name": "Support Bot",
        "prompt": "You are a helpful support agent.",
        "greeting": "Hello! How can I help you today?",
        "farewell": "Take care!",
        "memory": true,
        "price": { "per_1k_tokens": "0.01" },
        "model": { "provider": "scripted", "name": "gpt-4o-mini", "script": script },
        "webhook": { "url": "https://hooks.example.test/ended", "secret": WEBHOOK_SECRET },
    }))
}

/// An agent for chats that are answered whole.
pub fn chat_agent() -> Agent {
    let script = json!([
        { "when": "goodbye", "tool": { "name": "finishTheConversation" } },
        { "when": "so long", "tool": { "name": "endConversation" } },
        { "when": "look it up", "tool": { "name": "web_search", "arguments": "{\"q\":1}" }, "reply": "I found it." },
        { "when": "for ever", "reply": "One two three", "word_delay_ms": 3_600_000 },
        { "when": "slowly", "reply": "One two three", "word_delay_ms": 10_000 },
        { "reply": "You said: {{message}}" },
    ]);
    read(json!({
        "id": CHAT_AGENT,
        "name": "Chat Bot",
        "prompt": "{{name}} via {{channel}} at {{sip_endpoint}}: {{data}}",
        "greeting": "Nobody hears this.",
        "farewell": "Take care!",
        "idle_timeout_s": 7,
        "price": { "per_1k_tokens": "0.01" },
        "model": { "provider": "scripted", "name": "gpt-4o-mini", "script": script },
        "webhook": { "url": "https://hooks.example.test/ended", "secret": WEBHOOK_SECRET },
        "analysis": [{ "name": "qa", "labels": [{ "name": "resolved", "type": "boolean" }] }],
    }))
}

/// The models that the operator lists: one, called `house`.
pub fn listed() -> Listed {
    let script = json!([
        { "when": "goodbye", "tool": { "name": "finishTheConversation" }, "reply": "Bye." },
        { "when": "weather", "tool": { "name": "weather", "arguments": "{\"city\":\"Bonn\"}" }, "reply": "It is sunny." },
        { "when": "resolved", "reply": "{\"resolved\": true, \"score\": 4, \"mood\": \"angry\"}" },
        { "reply": "You said: {{message}}" },
    ]);
    let house = json!({ "provider": "scripted", "name": "house-model", "script": script });
    let mut dear = house.clone();
    dear["price"] = json!({ "per_message": "1" });
    [("house", house), ("dear", dear)]
        .map(|(name, model)| (name.to_owned(), serde_json::from_value(model).expect("a model")))
        .into()
}

fn quiet_agent() -> Agent {
    plain(QUIET_AGENT, "Quiet Bot")
}

fn avatar() -> Agent {
    Agent { kind: epilogue_core::agent::AgentKind::Avatar, ..plain(AVATAR, "Face") }
}

fn plain(id: &str, name: &str) -> Agent {
    read(json!({ "id": id, "name": name, "model": { "provider": "scripted" } }))
}

fn read(agent: serde_json::Value) -> Agent {
    serde_json::from_value(agent).expect("an agent")
}
