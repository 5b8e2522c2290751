//! Server-sent events, read as strictly as the published clients do: LF alone, one `event` and one
//! `data` line, JSON on one line.

use reqwest::Response;
use serde_json::Value;

use super::client::Lost;

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// What it is.
    pub name: String,
    /// What it says.
    pub data: Value,
}

/// A stream of events. Dropping it hangs up.
pub struct Events {
    response: Response,
    unread: Vec<u8>,
}

impl Events {
    /// The events of an answer.
    pub fn of(response: Response) -> Self {
        Self { response, unread: Vec::new() }
    }

    /// The next event. `None`: the stream has ended as it should.
    pub async fn next(&mut self) -> Result<Option<Event>, Lost> {
        loop {
            if let Some(event) = self.take() {
                return Ok(Some(event));
            }
            match self.response.chunk().await? {
                Some(more) => self.unread.extend_from_slice(&more),
                None => {
                    let rest = String::from_utf8_lossy(&self.unread);
                    assert!(rest.is_empty(), "the stream ended within an event: {rest}");
                    return Ok(None);
                }
            }
        }
    }

    /// Every event there is.
    pub async fn all(mut self) -> Result<Vec<Event>, Lost> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await? {
            events.push(event);
        }
        Ok(events)
    }

    fn take(&mut self) -> Option<Event> {
        loop {
            let end = self.unread.windows(2).position(|two| two == b"\n\n")?;
            let block: Vec<u8> = self.unread.drain(..end + 2).collect();
            let block = String::from_utf8(block).expect("an event is text");
            let value = |key: &str| block.lines().find_map(|line| line.strip_prefix(key));
            // Comments keep the connection open and say nothing.
            if let Some(data) = value("data: ") {
                let name = value("event: ").expect("an event has a name").to_owned();
                return Some(Event { name, data: serde_json::from_str(data).expect("JSON") });
            }
        }
    }
}
