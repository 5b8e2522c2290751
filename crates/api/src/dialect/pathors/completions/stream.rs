//! An answer that is told as it comes: section 4 of the contract. Who hangs up cuts the turn.

use std::{collections::VecDeque, convert::Infallible};

use axum::response::{
    IntoResponse as _, Response,
    sse::{Event, Sse},
};
use epilogue_core::Span;
use epilogue_engine::{
    clock::SharedClock,
    session::{TurnEvent, TurnFailure, TurnRecord, TurnStream},
};
use futures::{Stream, stream};
use http::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::{
    reply::{Chunk, Delta, Head, Reply},
    turn::{NoTurn, TRIES_MAX, Talk, failed, gone, hung_up, not_begun, outrun},
};
use crate::dialect::pathors::error::Error;

/// How long a stream may be silent before it says that it is still there.
const KEEP_ALIVE: Span = Span::from_secs(15);

/// What ends a stream that came to an orderly end.
const DONE: &str = "[DONE]";

/// Tells proxies to pass each event on as it comes.
const NO_BUFFERING: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// The answer. What goes wrong before the agent has said anything has a status of its own.
pub(super) async fn answer(talk: &Talk) -> Result<Response, Error> {
    for tries in 0..TRIES_MAX {
        match attempt(talk, tries).await {
            Ok(response) => return Ok(response),
            Err(NoTurn::Over) => {}
            Err(NoTurn::Ended) => return Ok(ended(talk)),
            Err(NoTurn::Refused(error)) => return Err(error),
        }
    }
    Err(outrun())
}

async fn attempt(talk: &Talk, tries: u32) -> Result<Response, NoTurn> {
    let (request, was_open) = talk.begin(tries).await?;
    let session = request.session;
    let engine = talk.api.engine();
    // Who hangs up while it waits in line is forgotten.
    let taken = talk.gone.unless(engine.turn(request)).await;
    let mut turn = taken.ok_or_else(hung_up)?.map_err(|error| not_begun(error, was_open))?;
    let first = talk.gone.unless(first(&mut turn)).await.ok_or_else(hung_up)?;
    let mut record = turn.record;
    let mut telling =
        Telling::new(Head::new((session, &talk.named.name), turn.number, engine.now()));
    match first {
        TurnEvent::Failed(why) if why != TurnFailure::SessionEnded => {
            return Err(NoTurn::Refused(failed(why)));
        }
        // What is on record has its words there alone, and may be gone.
        TurnEvent::Completed { .. } => telling.complete(&mut record).await?,
        event => telling.take(&event, &mut record).await,
    }
    let clock = engine.clock().clone();
    Ok(([NO_BUFFERING], Sse::new(told(telling, turn.events, record, clock))).into_response())
}

/// The answer to a call whose session ended while it waited.
fn ended(talk: &Talk) -> Response {
    let engine = talk.api.engine();
    let head = Head::new((engine.new_session_id(), &talk.named.name), 0, engine.now());
    let mut telling = Telling::new(head);
    telling.end(&Reply::cut(String::new()));
    let told = stream::iter(telling.waiting.into_iter().map(Ok::<_, Infallible>));
    ([NO_BUFFERING], Sse::new(told)).into_response()
}

/// The first word, or the end of a turn that has none.
async fn first(turn: &mut TurnStream) -> TurnEvent {
    loop {
        match turn.events.recv().await {
            Some(TurnEvent::ToolStarted { .. } | TurnEvent::ToolFinished { .. }) => {}
            Some(event) => return event,
            // A turn that is gone without a word has failed.
            None => return TurnEvent::Failed(TurnFailure::Store),
        }
    }
}

fn told(
    telling: Telling,
    events: mpsc::Receiver<TurnEvent>,
    record: oneshot::Receiver<TurnRecord>,
    clock: SharedClock,
) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold((telling, events, record), move |(mut telling, mut events, mut record)| {
        let clock = clock.clone();
        async move {
            loop {
                if let Some(event) = telling.waiting.pop_front() {
                    return Some((Ok(event), (telling, events, record)));
                }
                if telling.is_over {
                    return None;
                }
                let next = tokio::select! {
                    biased;
                    next = events.recv() => next,
                    () = clock.sleep(KEEP_ALIVE) => {
                        let ping = Event::default().comment("ping");
                        return Some((Ok(ping), (telling, events, record)));
                    }
                };
                let next = next.unwrap_or(TurnEvent::Failed(TurnFailure::Store));
                telling.take(&next, &mut record).await;
            }
        }
    })
}

/// Where the telling of a turn is.
struct Telling {
    head: Head,
    waiting: VecDeque<Event>,
    /// Whether a part has been told.
    has_begun: bool,
    is_over: bool,
}

impl Telling {
    const fn new(head: Head) -> Self {
        Self { head, waiting: VecDeque::new(), has_begun: false, is_over: false }
    }

    /// What happens, in this API's words.
    async fn take(&mut self, event: &TurnEvent, record: &mut oneshot::Receiver<TurnRecord>) {
        match event {
            TurnEvent::Text(text) => self.add(Delta { content: Some(text), ..Delta::default() }),
            TurnEvent::ToolStarted { .. } | TurnEvent::ToolFinished { .. } => {}
            TurnEvent::Completed { .. } => {
                if self.complete(record).await.is_err() {
                    self.fail(TurnFailure::Store);
                }
            }
            TurnEvent::Failed(TurnFailure::SessionEnded) => self.end(&Reply::cut(String::new())),
            TurnEvent::Failed(failure) => self.fail(*failure),
        }
    }

    /// The turn is on disk: what it asks its caller to do comes with its end.
    async fn complete(&mut self, record: &mut oneshot::Receiver<TurnRecord>) -> Result<(), Error> {
        let record = record.await.map_err(|_| failed(TurnFailure::Store))?;
        let reply = Reply::of(&record).ok_or_else(gone)?;
        if !self.has_begun && !reply.text.is_empty() {
            self.add(Delta { content: Some(&reply.text), ..Delta::default() });
        }
        for (place, call) in reply.calls.iter().enumerate() {
            self.add(Delta::call(call, place));
        }
        self.end(&reply);
        Ok(())
    }

    /// Tells a part. The first says who speaks.
    fn add(&mut self, delta: Delta<'_>) {
        let role = (!self.has_begun).then_some("assistant");
        self.has_begun = true;
        let event = event(&Chunk::of(&self.head, Delta { role, ..delta }));
        self.waiting.push_back(event);
    }

    fn end(&mut self, reply: &Reply) {
        if !self.has_begun {
            self.add(Delta { content: Some(""), ..Delta::default() });
        }
        let last = event(&Chunk::last(&self.head, reply));
        self.waiting.extend([last, Event::default().data(DONE)]);
        self.is_over = true;
    }

    fn fail(&mut self, failure: TurnFailure) {
        let message = failure.to_string();
        self.waiting.push_back(event(&json!({ "error": { "message": message } })));
        self.is_over = true;
    }
}

/// One line: JSON text has no line breaks, for they are escaped.
fn event(data: &impl Serialize) -> Event {
    // Texts and numbers always serialize.
    Event::default().data(serde_json::to_string(data).unwrap_or_default())
}
