//! 2.4: `POST /v1/avatar-session/{S}/say-audio`

use axum::{
    Json,
    body::Body,
    extract::{DefaultBodyLimit, FromRequest as _, Multipart, Request, State},
};
use bytes::Bytes;
use epilogue_engine::{
    media::SoundFault,
    session::{Say, Spoken},
    speech::Sound,
};
use http::{HeaderMap, header};

use super::{Success, access::Held, body::WORD_CHARS_MAX, error::Error, success};
use crate::{Api, body};

/// The longest recording, in bytes.
pub(super) const RECORDING_BYTES_MAX: usize = 10 * 1024 * 1024;
/// How much may be written around it, in bytes.
const AROUND_BYTES_MAX: usize = 64 * 1024;

/// Has the avatar say a recording when it has said all that came before.
pub(super) async fn say_audio(
    State(api): State<Api>,
    Held(session): Held,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Success>, Error> {
    let place = api.uploads().take(session.id, &**api.engine().clock()).await;
    let place = place.ok_or(Error::Unavailable)?;
    let Recording { turn, sound } = Recording::read(&api, &headers, body).await?;
    let clip = api.engine().prepare_sound(Sound(sound)).await.map_err(|fault| match fault {
        SoundFault::Unplayable(_) => Error::bad("audio could not be decoded"),
        SoundFault::Busy => Error::Unavailable,
    })?;
    drop(place);
    let what = Spoken::Recording(clip);
    api.engine().say(&session, Say { turn, what, is_final: true }).await?;
    Ok(success())
}

struct Recording {
    turn: String,
    sound: Bytes,
}

impl Recording {
    async fn read(api: &Api, headers: &HeaderMap, body: Body) -> Result<Self, Error> {
        let whole = body::read_at_most(api, body, RECORDING_BYTES_MAX + AROUND_BYTES_MAX).await;
        let whole = whole.map_err(|error| match error {
            body::BodyError::TooLarge { .. } => Error::TooLarge { max: RECORDING_BYTES_MAX },
            error => error.into(),
        })?;
        let mut request = Request::new(Body::from(whole));
        if let Some(kind) = headers.get(header::CONTENT_TYPE) {
            request.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
        }
        // It has been read within its own bounds.
        DefaultBodyLimit::disable().apply(&mut request);
        let unreadable = || Error::bad("Request body must be multipart/form-data");
        let mut parts = Multipart::from_request(request, &()).await.map_err(|_| unreadable())?;
        let (mut turn, mut duration, mut sound) = (None, None, None);
        while let Some(part) = parts.next_field().await.map_err(|_| unreadable())? {
            let name = part.name().unwrap_or_default().to_owned();
            let value = part.bytes().await.map_err(|_| unreadable())?;
            match name.as_str() {
                "turnId" => turn = Some(value),
                "duration" => duration = Some(value),
                "audio" => sound = Some(value),
                _ => {}
            }
        }
        Ok(Self { turn: read_turn(turn)?, sound: read_sound(sound, duration)? })
    }
}

fn read_turn(turn: Option<Bytes>) -> Result<String, Error> {
    let turn = turn.and_then(|turn| String::from_utf8(turn.to_vec()).ok());
    let turn = turn.filter(|turn| !turn.trim().is_empty());
    let turn = turn.ok_or(Error::bad("turnId is required"))?;
    if turn.chars().count() > WORD_CHARS_MAX {
        let error = format!("turnId is too long (at most {WORD_CHARS_MAX} characters)");
        return Err(Error::bad(error));
    }
    Ok(turn)
}

/// The duration must be there. How long the recording is, it says itself.
fn read_sound(sound: Option<Bytes>, duration: Option<Bytes>) -> Result<Bytes, Error> {
    let duration = duration.and_then(|text| str::from_utf8(&text).ok()?.trim().parse::<f64>().ok());
    if !duration.is_some_and(|seconds| seconds.is_finite() && seconds > 0.0) {
        return Err(Error::bad("duration must be a number of seconds above 0"));
    }
    let sound = sound.filter(|sound| !sound.is_empty()).ok_or(Error::bad("audio is required"))?;
    if sound.len() > RECORDING_BYTES_MAX {
        return Err(Error::TooLarge { max: RECORDING_BYTES_MAX });
    }
    Ok(sound)
}
