//! The words of the Graphiti server, as far as we use them.

use epilogue_core::{Role, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};

use super::pieces::Piece;

/// `POST /messages`. Of several messages the server keeps no promise as to their order, and takes none
/// back: one at a time.
#[derive(Serialize)]
pub(super) struct AddMessages<'a> {
    pub group_id: &'a str,
    pub messages: [NewMessage<'a>; 1],
}

/// A message. Never with a `uuid`: the server would look it up, not find it, and stop working.
#[derive(Serialize)]
pub(super) struct NewMessage<'a> {
    content: &'a str,
    role_type: &'static str,
    role: &'static str,
    name: &'a str,
    timestamp: String,
    source_description: &'static str,
}

impl<'a> From<&'a Piece> for NewMessage<'a> {
    fn from(piece: &'a Piece) -> Self {
        let (role_type, role) =
            if piece.role == Role::User { ("user", "User") } else { ("assistant", "Assistant") };
        Self {
            content: &piece.text,
            role_type,
            role,
            name: &piece.name,
            timestamp: piece.at.to_jiff().to_string(),
            source_description: "conversation",
        }
    }
}

/// `POST /search`
#[derive(Serialize)]
pub(super) struct Search<'a> {
    pub group_ids: [&'a str; 1],
    pub query: &'a str,
    pub max_facts: u32,
}

/// Its answer.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    pub facts: Vec<Fact>,
}

/// A fact. What else it says is of no use to us.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Fact {
    pub uuid: String,
    #[serde(default)]
    pub name: String,
    #[serde(rename = "fact")]
    pub sentence: String,
    #[serde(default, deserialize_with = "time")]
    pub valid_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    pub invalid_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    pub created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    pub expired_at: Option<Timestamp>,
    #[serde(default)]
    pub source_node_uuid: String,
    #[serde(default)]
    pub target_node_uuid: String,
    #[serde(default)]
    pub episodes: Vec<String>,
}

/// A message that the server has stored.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct StoredEpisode {
    pub uuid: String,
    #[serde(default)]
    pub name: String,
    #[serde(default, deserialize_with = "time")]
    pub valid_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    pub created_at: Option<Timestamp>,
}

/// A time that may be missing. One that cannot be read is as good as none.
fn time<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(input)?;
    Ok(text.and_then(|text| Timestamp::parse(&text)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_worded_as_the_server_takes_it() {
        let piece = Piece {
            name: "s.1.0".into(),
            role: Role::Assistant,
            text: "Hello!".into(),
            at: Timestamp::from_millis(1_750_000_000_123),
        };
        let body = AddMessages { group_id: "g", messages: [(&piece).into()] };
        let expected = json!({
            "group_id": "g",
            "messages": [{
                "content": "Hello!",
                "role_type": "assistant",
                "role": "Assistant",
                "name": "s.1.0",
                "timestamp": "2025-06-15T15:06:40.123Z",
                "source_description": "conversation",
            }],
        });
        assert_eq!(serde_json::to_value(body).expect("JSON"), expected);
    }

    #[test]
    fn times_are_read_in_each_of_the_servers_spellings() {
        let read = |text: &str| {
            let episode = json!({ "uuid": "u", "valid_at": text });
            serde_json::from_value::<StoredEpisode>(episode).expect("an episode").valid_at
        };
        let expected = Some(Timestamp::from_millis(1_750_000_000_123));
        assert_eq!(read("2025-06-15T15:06:40.123000Z"), expected);
        assert_eq!(read("2025-06-15T15:06:40.123000+00:00"), expected);
        assert_eq!(read("yesterday"), None);
    }
}
