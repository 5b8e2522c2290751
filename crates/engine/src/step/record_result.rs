//! Keeps an ended conversation where it can be searched: who, when, why, and what was said.

use epilogue_core::{Message, finalization};
use epilogue_storage::{Product, ResultRecord};
use serde_json::{Map, Value};

use super::{StepContext, StepDone, StepError};

/// How much of a conversation can be searched, in bytes: its beginning.
const WORDS_BYTES_MAX: usize = 1024 * 1024;

pub(super) async fn run(cx: &StepContext<'_>) -> Result<StepDone, StepError> {
    let session = &cx.session;
    // The index keeps pieces of words that are taken out of it again: what is about to be purged
    // never goes in. That the conversation was had can be found all the same.
    if !finalization::keeps_transcript(session, &cx.agent) {
        return recorded(cx, String::new(), Map::new(), String::new());
    }
    let found_by = cx.engine.inner.parts.wording.result(session);
    let words = words(&cx.transcript().await?, &found_by.endpoint, found_by.data.values());
    recorded(cx, found_by.endpoint, found_by.data, words)
}

fn recorded(
    cx: &StepContext<'_>,
    endpoint: String,
    data: Map<String, Value>,
    words: String,
) -> Result<StepDone, StepError> {
    let (session, ended) = (&cx.session, cx.ended()?);
    let record = ResultRecord {
        session: session.id,
        dialect: session.dialect.clone(),
        agent: session.agent.id.clone(),
        reason: ended.reason,
        opened_at: session.opened_at,
        ended_at: ended.at,
        active: session.last_activity.since(session.opened_at),
        endpoint,
        data,
    };
    let detail = format!("{} bytes can be searched", words.len());
    Ok(StepDone::Done { detail, products: vec![Product::Result(Box::new(record), words)] })
}

/// What the person saw, the endpoint, and the texts of the client's data, each on a line.
fn words<'a>(
    transcript: &'a [Message],
    endpoint: &'a str,
    data: impl Iterator<Item = &'a Value>,
) -> String {
    let said = transcript.iter().filter(|message| message.body.is_visible());
    let said = said.map(|message| message.body.content.as_str());
    let data = data.filter_map(Value::as_str);
    let mut words = String::new();
    for line in said.chain([endpoint]).chain(data).filter(|line| !line.is_empty()) {
        words.push_str(line);
        words.push('\n');
        if words.len() > WORDS_BYTES_MAX {
            words.truncate(words.floor_char_boundary(WORDS_BYTES_MAX));
            break;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use epilogue_core::{Role, Timestamp, message::NewMessage};

    use super::*;

    fn message(role: Role, text: &str) -> Message {
        let body = NewMessage::text(role, text, Timestamp::from_millis(0));
        Message { seq: 0, turn: 1, body }
    }

    #[test]
    fn what_was_said_is_searched_and_what_tools_did_is_not() {
        let said = [message(Role::User, "hello"), message(Role::Tool, "secret")];
        let data = [Value::from("Ann"), Value::from(7)];
        assert_eq!(words(&said, "web", data.iter()), "hello\nweb\nAnn\n");
    }

    #[test]
    fn a_long_conversation_is_searched_up_to_the_limit() {
        let long = [message(Role::User, &"é".repeat(WORDS_BYTES_MAX / 2))];
        assert_eq!(words(&long, "", [].iter()).len(), WORDS_BYTES_MAX);
        let fits = [message(Role::User, &"x".repeat(WORDS_BYTES_MAX - 1))];
        assert_eq!(words(&fits, "", [].iter()).len(), WORDS_BYTES_MAX);
    }
}
