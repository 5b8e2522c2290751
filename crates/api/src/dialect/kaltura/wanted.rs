//! 2.1: what a create asks for.

use epilogue_core::Staging;
use serde_json::{Map, Value};

use super::{body::word, error::Error};
use crate::Api;

/// How slowly and how fast an avatar may speak, in hundredths of its voice's own pace.
const PACE_PERCENT: (f64, f64) = (50.0, 200.0);
/// The avatar that stands in for those that are not known here.
const DEFAULT_AVATAR: &str = "default";

/// What a client wants to see and hear.
#[derive(Debug)]
pub(super) struct Wanted {
    avatar: String,
    voice: Option<String>,
    pace_percent: Option<u16>,
    /// What is kept of it for the operator.
    pub metadata: Value,
}

impl Wanted {
    /// Reads it from the body of a create.
    pub fn read(body: &Map<String, Value>) -> Result<Self, Error> {
        let none = Map::new();
        let (visual, voice) =
            (part(body, "visualConfig", &none)?, part(body, "voiceConfig", &none)?);
        let mut metadata = Map::new();
        let mut keep = |name: &str, value: &Option<String>| {
            if let Some(value) = value {
                metadata.insert(name.to_owned(), value.clone().into());
            }
        };
        let (at_visual, at_voice) = ("visualConfig.", "voiceConfig.");
        // One that is no text is as good as none, as long as the other is there.
        let named = |name| word(visual, name, at_visual).ok().flatten();
        let avatar = named("avatarId").or_else(|| named("id"));
        let avatar = avatar.ok_or(Error::bad("visualConfig.avatarId is required"))?;
        let voice_id = word(voice, "id", at_voice)?;
        keep("avatar", &Some(avatar.clone()));
        keep("voice", &voice_id);
        keep("voiceModel", &word(voice, "modelId", at_voice)?);
        keep("language", &word(voice, "language", at_voice)?);
        keep("client", &word(body, "clientId", "")?);
        let pace_percent = pace(voice.get("speed"))?;
        Ok(Self { avatar, voice: voice_id, pace_percent, metadata: metadata.into() })
    }

    /// What that is here. Ids of elsewhere are the default, so that a client that moves here is shown
    /// something.
    pub fn staging(&self, api: &Api) -> Result<Staging, Error> {
        let settings = &api.settings().kaltura;
        let avatar = if api.engine().has_avatar(&self.avatar) {
            &self.avatar
        } else if settings.strict_avatars {
            return Err(Error::bad("Avatar not found"));
        } else {
            tracing::info!(avatar = ?self.avatar, "an avatar that is not known is the default");
            DEFAULT_AVATAR
        };
        let voice = self.voice.as_ref().and_then(|voice| settings.voices.get(voice)).cloned();
        Ok(Staging { avatar: avatar.to_owned(), voice, pace_percent: self.pace_percent })
    }
}

fn part<'a>(
    body: &'a Map<String, Value>,
    name: &str,
    none: &'a Map<String, Value>,
) -> Result<&'a Map<String, Value>, Error> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(none),
        Some(Value::Object(part)) => Ok(part),
        Some(_) => Err(Error::bad(format!("{name} must be an object"))),
    }
}

fn pace(speed: Option<&Value>) -> Result<Option<u16>, Error> {
    let speed = match speed {
        None | Some(Value::Null) => return Ok(None),
        Some(speed) => speed.as_f64().filter(|speed| *speed > 0.0),
    };
    let speed = speed.ok_or(Error::bad("voiceConfig.speed must be a number above 0"))?;
    let percent = (speed * 100.0).clamp(PACE_PERCENT.0, PACE_PERCENT.1).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is within bounds"
    )]
    Ok(Some(percent as u16))
}
