//! A client: opens sessions, talks and ends them in every way there is, and remembers what it was
//! told. It never stops at a lost answer; it goes on with whichever server lives then.

use std::{sync::Arc, time::Duration};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Value, json};

use super::{
    front::Front,
    log::{SessionLog, Through, Told, TurnLog},
    world::{AGENTS, KEY},
};
use crate::support::{
    client::{Answer, Http, Lost},
    events::{Event, Events},
    native::Native,
    pause, raw,
    talkifai::{Session, TalkifAi},
};

/// How many people there are.
const PEOPLE: u32 = 12;
/// How many turns a session has at the most.
const TURNS_MAX: u32 = 3;
/// How soon an end interrupts the turn that is running, in milliseconds.
const INTERRUPTION_MS: std::ops::Range<u64> = 0..150;

/// How a client takes its leave.
#[derive(Clone, Copy)]
enum Leave {
    /// It ends the session.
    Ends,
    /// It ends the session twice at once.
    EndsTwice,
    /// It ends the session while the agent speaks.
    Interrupts,
    /// It sends the end and hangs up, as a page does that is closed.
    HangsUp,
    /// It says goodbye and lets the agent end the session.
    SaysGoodbye,
    /// It just leaves.
    Vanishes,
}

const LEAVES: [(Leave, u32); 6] = [
    (Leave::Ends, 40),
    (Leave::EndsTwice, 15),
    (Leave::Interrupts, 15),
    (Leave::HangsUp, 8),
    (Leave::SaysGoodbye, 12),
    (Leave::Vanishes, 10),
];

/// A client.
pub struct Client {
    front: Arc<Front>,
    talkifai: TalkifAi,
    native: Native,
    random: StdRng,
    number: u64,
    messages: u32,
    told: Told,
}

/// An open session, in its API's terms.
struct Open {
    log: SessionLog,
    session: Session,
}

impl Client {
    pub fn new(front: &Arc<Front>, http: &Http, seed: u64, number: u64) -> Self {
        Self {
            front: front.clone(),
            talkifai: TalkifAi::new(http, KEY),
            native: Native::new(http, KEY),
            random: StdRng::seed_from_u64(seed.wrapping_add(number + 1)),
            number,
            messages: 0,
            told: Told::default(),
        }
    }

    /// Holds conversation after conversation until the front closes.
    pub async fn run(mut self) -> Told {
        while !self.front.is_closing() {
            let Some(mut open) = self.open().await else { continue };
            for _ in 0..self.random.random_range(0..=TURNS_MAX) {
                let message = self.message();
                let takes_all = self.random.random_ratio(7, 8);
                let turn = self.talk(&open, message, takes_all).await;
                open.log.turns.push(turn.0);
                open.log.finished |= turn.1;
            }
            self.leave(&mut open).await;
            self.told.sessions.push(open.log);
        }
        self.told
    }

    async fn open(&mut self) -> Option<Open> {
        let url = self.front.url().await;
        let agent = AGENTS.choose(&mut self.random).expect("agents").id;
        let person = self.random.random_ratio(3, 4).then(|| self.random.random_range(0..PEOPLE));
        let person = person.map(|number| format!("person{number}@example.com"));
        let (through, answer, expected) = if self.random.random() {
            let answer = self.talkifai.open(&url, agent, person.as_deref()).await;
            (Through::TalkifAi, answer, 200)
        } else {
            (Through::Native, self.native.open(&url, agent, person.as_deref()).await, 201)
        };
        let answer = self.heard(answer)?;
        if answer.status != expected {
            self.told.unexpected.push(format!("an open was answered {answer:?}"));
            return None;
        }
        let session = match through {
            Through::TalkifAi => Session::of(&answer.body),
            Through::Native => {
                let text = |value: &Value| value.as_str().expect("text").to_owned();
                let (name, token) =
                    (&answer.body["session"]["name"], &answer.body["session_token"]);
                Session { name: text(name), token: text(token) }
            }
        };
        let log = SessionLog {
            through,
            name: session.name.clone(),
            agent,
            person,
            turns: Vec::new(),
            asked: false,
            ends: Vec::new(),
            was_over: false,
            finished: false,
        };
        Some(Open { log, session })
    }

    fn heard<T>(&mut self, answer: Result<T, Lost>) -> Option<T> {
        self.told.lost += usize::from(answer.is_err());
        answer.ok()
    }

    /// Words that nobody else says.
    fn message(&mut self) -> String {
        let what = ["slowly", "look up", "word", "word", "word"].choose(&mut self.random);
        self.unique(what.expect("words"))
    }

    fn unique(&mut self, what: &str) -> String {
        self.messages += 1;
        format!("{what} m{}x{}", self.number, self.messages)
    }

    /// Takes a turn. Also tells whether the agent has said goodbye.
    async fn talk(&mut self, open: &Open, message: String, takes_all: bool) -> (TurnLog, bool) {
        let mut turn = TurnLog { message, begun: false, reply: None };
        let url = self.front.url().await;
        let sent = match open.log.through {
            Through::TalkifAi => self.talkifai.send(&url, &open.session, &turn.message).await,
            Through::Native => self.native.send(&url, &open.session.name, &turn.message).await,
        };
        let stream = match self.heard(sent) {
            Some(Ok(stream)) => stream,
            Some(Err(refused)) => {
                self.refused(open.log.through, &refused);
                return (turn, false);
            }
            None => return (turn, false),
        };
        turn.begun = true;
        let read = read(stream, takes_all).await;
        let Some(events) = self.heard(read) else { return (turn, false) };
        if !takes_all {
            return (turn, false);
        }
        let (reply, last) = reply(&events);
        match last.name.as_str() {
            "stream_end" | "turn_completed" => turn.reply = Some(reply),
            "error" | "turn_failed" => {}
            _ => self.told.unexpected.push(format!("a stream ended with {last:?}")),
        }
        let finished = last.data["end_session"] == true || last.data["ends_session"] == true;
        (turn, finished)
    }

    /// A session may have expired before a message came; nothing else is wrong with any of them.
    fn refused(&mut self, through: Through, answer: &Answer) {
        let is_over = match through {
            Through::TalkifAi => answer.status == 404,
            Through::Native => answer.status == 410,
        };
        if !is_over {
            self.told.unexpected.push(format!("a message was answered {answer:?}"));
        }
    }

    async fn leave(&mut self, open: &mut Open) {
        let how = LEAVES.choose_weighted(&mut self.random, |(_, weight)| *weight);
        match how.expect("ways to leave").0 {
            Leave::Ends => self.end_until_answered(open).await,
            Leave::EndsTwice => self.end_twice(open).await,
            Leave::Interrupts => self.interrupt(open).await,
            Leave::HangsUp => self.hang_up(open).await,
            Leave::SaysGoodbye => {
                let message = self.unique("goodbye");
                let (turn, finished) = self.talk(open, message, true).await;
                open.log.turns.push(turn);
                open.log.finished |= finished;
                if finished && open.log.through == Through::TalkifAi {
                    // There the client is told to end the session itself.
                    self.end_until_answered(open).await;
                }
            }
            Leave::Vanishes => {}
        }
    }

    async fn end_until_answered(&mut self, open: &mut Open) {
        loop {
            let url = self.front.url().await;
            let answer = end(&self.talkifai, &self.native, &url, open).await;
            if self.ended(open, answer) {
                return;
            }
        }
    }

    async fn end_twice(&mut self, open: &mut Open) {
        let url = self.front.url().await;
        let (one, other) = tokio::join!(
            end(&self.talkifai, &self.native, &url, open),
            end(&self.talkifai, &self.native, &url, open),
        );
        let answered = self.ended(open, one) | self.ended(open, other);
        if !answered {
            self.end_until_answered(open).await;
        }
    }

    /// Ends the session in the middle of a slow reply.
    async fn interrupt(&mut self, open: &mut Open) {
        let (url, message) = (self.front.url().await, self.unique("slowly"));
        let wait = Duration::from_millis(self.random.random_range(INTERRUPTION_MS));
        let (talkifai, native) = (self.talkifai.clone(), self.native.clone());
        let (turn, ended) = tokio::join!(self.talk(open, message, true), async {
            pause(wait).await;
            end(&talkifai, &native, &url, open).await
        });
        open.log.turns.push(turn.0);
        open.log.finished |= turn.1;
        if !self.ended(open, ended) {
            self.end_until_answered(open).await;
        }
    }

    /// Takes what an end was answered. `false`: it was not.
    fn ended(&mut self, open: &mut Open, answer: Result<Answer, Lost>) -> bool {
        open.log.asked = true;
        let Some(answer) = self.heard(answer) else { return false };
        match (open.log.through, answer.status) {
            (Through::TalkifAi, 200) => open.log.ends.push("user_end".to_owned()),
            (Through::TalkifAi, 401) => open.log.was_over = true,
            (Through::Native, 200) => {
                let reason = answer.body["ended"]["reason"].as_str().expect("a reason");
                open.log.ends.push(reason.to_owned());
            }
            _ => self.told.unexpected.push(format!("an end was answered {answer:?}")),
        }
        true
    }

    async fn hang_up(&mut self, open: &mut Open) {
        open.log.asked = true;
        let url = self.front.url().await;
        let name = &open.session.name;
        let path = match open.log.through {
            Through::TalkifAi => format!("/v1/chat/sessions/{name}/end"),
            Through::Native => format!("/epilogue/v1/sessions/{name}/end"),
        };
        let token = format!("Bearer {}", open.session.token);
        // Nobody learns what became of it.
        let _ = raw::send_and_leave(&url, &path, &[("authorization", &token)]).await;
    }
}

async fn end(talkifai: &TalkifAi, native: &Native, url: &str, open: &Open) -> Result<Answer, Lost> {
    match open.log.through {
        Through::TalkifAi => talkifai.end(url, &open.session).await,
        Through::Native => {
            native.end(url, &open.session.name, &json!({ "reason": "user_end" })).await
        }
    }
}

/// Reads a stream whole, or hangs up at its second event.
async fn read(mut stream: Events, takes_all: bool) -> Result<Vec<Event>, Lost> {
    if takes_all {
        return stream.all().await;
    }
    stream.next().await?;
    stream.next().await?;
    Ok(Vec::new())
}

/// The text of a reply in either API's events, and the last event.
fn reply(events: &[Event]) -> (String, Event) {
    let text = events.iter().filter_map(|event| match event.name.as_str() {
        "chunk" => event.data["delta"].as_str(),
        "text" => event.data["text"].as_str(),
        _ => None,
    });
    let none = Event { name: "nothing".to_owned(), data: Value::Null };
    (text.collect(), events.last().cloned().unwrap_or(none))
}
