//! 2.3: `POST /v1/avatar-session/{S}/say-text`

use axum::{Json, body::Body, extract::State};
use epilogue_engine::{
    session::{Say, Spoken},
    speech::TEXT_BYTES_MAX,
};
use serde_json::{Map, Value};

use super::{
    Success,
    access::Held,
    body::{object, word},
    error::Error,
    success,
};
use crate::{Api, body};

/// Has the avatar say something, as part of a turn.
pub(super) async fn say_text(
    State(api): State<Api>,
    Held(session): Held,
    body: Body,
) -> Result<Json<Success>, Error> {
    let text = body::read(&api, body).await?;
    let members = if text.trim_ascii().is_empty() { Map::new() } else { object(&text)? };
    let wanted = Wanted::read(&members)?;
    let engine = api.engine();
    if wanted.text.trim().is_empty() {
        let known = wanted.turn.filter(|_| wanted.is_final);
        let closes = known.is_some_and(|turn| engine.close_spoken_turn(session.id, &turn));
        return if closes { Ok(success()) } else { Err(Error::bad("Text is required")) };
    }
    let turn = wanted.turn.unwrap_or_else(|| new_turn(&api));
    let what = Spoken::Words(wanted.text);
    engine.say(&session, Say { turn, what, is_final: wanted.is_final }).await?;
    Ok(success())
}

/// A name for a turn that was given none.
fn new_turn(api: &Api) -> String {
    format!("turn-{:032x}", u128::from_be_bytes(api.engine().ids().bytes()))
}

struct Wanted {
    text: String,
    turn: Option<String>,
    is_final: bool,
}

impl Wanted {
    fn read(body: &Map<String, Value>) -> Result<Self, Error> {
        let text = match body.get("text") {
            Some(Value::String(text)) => text.clone(),
            _ => return Err(Error::bad("Text is required")),
        };
        if text.len() > TEXT_BYTES_MAX {
            return Err(Error::bad(format!("Text is too long (at most {TEXT_BYTES_MAX} bytes)")));
        }
        let is_final = match body.get("isFinal") {
            None | Some(Value::Null) => true,
            Some(Value::Bool(is_final)) => *is_final,
            Some(_) => return Err(Error::bad("isFinal must be a boolean")),
        };
        Ok(Self { text, turn: word(body, "turnId", "")?, is_final })
    }
}
