//! A turn as server-sent events: `stream_start`, then what happens, then `stream_end` or `error`.
//!
//! The published clients split at two line feeds and take one `data:` line per event, so that each
//! event is exactly two lines and a blank one.

use std::convert::Infallible;

use axum::response::{
    IntoResponse, Response,
    sse::{Event, Sse},
};
use epilogue_core::Span;
use epilogue_engine::{
    clock::SharedClock,
    session::{TurnEvent, TurnFailure, TurnStream},
};
use futures::{Stream, stream};
use http::{HeaderName, HeaderValue};
use serde::Serialize;
use tokio::sync::mpsc;

use super::wire::{Chunk, Failed, StreamEnd, StreamStart, Tool, Used};

/// How long a stream may be silent before it says that it is still there.
const KEEP_ALIVE: Span = Span::from_secs(15);

/// Tells proxies to pass each event on as it comes.
const NO_BUFFERING: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// The answer that streams a turn. Dropping it, when the client is gone, cuts the turn.
pub(super) fn of(turn: TurnStream, clock: SharedClock) -> Response {
    // `Sse` itself says `Cache-Control: no-cache`.
    ([NO_BUFFERING], Sse::new(events(turn, clock))).into_response()
}

/// Where the reader of a turn is.
enum Reader {
    AtStart(TurnStream),
    Reading(mpsc::Receiver<TurnEvent>),
    AtEnd,
}

fn events(turn: TurnStream, clock: SharedClock) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(Reader::AtStart(turn), move |reader| {
        let clock = clock.clone();
        async move {
            let (event, reader) = next(reader, &clock).await?;
            Some((Ok(event), reader))
        }
    })
}

async fn next(reader: Reader, clock: &SharedClock) -> Option<(Event, Reader)> {
    let mut events = match reader {
        Reader::AtStart(turn) => {
            let start = event("stream_start", &StreamStart { agent_name: &turn.agent_name });
            return Some((start, Reader::Reading(turn.events)));
        }
        Reader::Reading(events) => events,
        Reader::AtEnd => return None,
    };
    let next = tokio::select! {
        biased;
        next = events.recv() => next,
        () = clock.sleep(KEEP_ALIVE) => {
            return Some((Event::default().comment("ping"), Reader::Reading(events)));
        }
    };
    // A turn that is gone without a word has failed.
    let next = next.unwrap_or(TurnEvent::Failed(TurnFailure::Store));
    let last = matches!(next, TurnEvent::Completed { .. } | TurnEvent::Failed(_));
    Some((worded(&next), if last { Reader::AtEnd } else { Reader::Reading(events) }))
}

/// A turn's event in this API's words. Of tools, the name alone is told.
fn worded(happened: &TurnEvent) -> Event {
    match happened {
        TurnEvent::Text(delta) => event("chunk", &Chunk { delta }),
        TurnEvent::ToolStarted { name } => event("tool_call", &Tool { name, status: "executing" }),
        TurnEvent::ToolFinished { name } => {
            event("tool_result", &Tool { name, status: "completed" })
        }
        TurnEvent::Completed { usage, finish } => {
            let (input_tokens, output_tokens) = (usage.input_tokens, usage.output_tokens);
            let usage = Used { input_tokens, output_tokens };
            event("stream_end", &StreamEnd { usage, end_session: *finish })
        }
        TurnEvent::Failed(failure) => event("error", &Failed { error: failure.to_string() }),
    }
}

/// Two lines: JSON text has no line breaks, for they are escaped.
fn event(name: &str, data: &impl Serialize) -> Event {
    // Texts and numbers always serialize.
    let data = serde_json::to_string(data).unwrap_or_default();
    Event::default().event(name).data(data)
}
