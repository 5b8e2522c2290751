//! Reads an answer while it is written, and notices when it no longer is.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use epilogue_core::{Message, Span, Timestamp};
use futures::{
    FutureExt, Stream, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use reqwest::{Response, header};
use sse_stream::{Sse, SseByteStream};

use super::{
    super::{ModelError, ModelEvent},
    assembly::{Assembly, Brought, Fault},
};
use crate::clock::{SharedClock, within};

/// How long one event of the stream may be.
pub const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// How long usage is waited for after the answer itself is whole.
pub const TAIL_WAIT: Span = Span::from_secs(2);

/// Content types of pages and errors, which some endpoints send with status 200.
const NO_STREAMS: [&str; 2] = ["text/html", "application/json"];

/// Why no more bytes come.
#[derive(Debug, thiserror::Error)]
enum BodyError {
    #[error("the connection broke")]
    Broken(#[source] reqwest::Error),
    #[error("an event is too long")]
    EventTooLong,
}

/// An answer under way. Dropping it closes the connection, which stops the model.
pub(super) struct Answer {
    events: BoxStream<'static, Result<Sse, sse_stream::Error>>,
    /// Bytes since the last event.
    unparsed: Arc<AtomicUsize>,
    assembly: Assembly,
    /// What is to be handed out next.
    ready: VecDeque<ModelEvent>,
    /// When to stop waiting for usage. `None`: the answer is not yet whole.
    tail_until: Option<Timestamp>,
    /// Nothing more is read.
    over: bool,
    clock: SharedClock,
}

impl Answer {
    /// Reads until there is a first piece, or the answer is complete without one. What the model
    /// merely thinks is no piece: the person still waits.
    pub(super) async fn begin(
        response: Response,
        clock: SharedClock,
        messages: &[Message],
    ) -> Result<Self, ModelError> {
        if !may_be_a_stream(&response) {
            return Err(garbled(Fault::NotAStream));
        }
        let unparsed = Arc::new(AtomicUsize::new(0));
        let seq = messages.last().map_or(0, |message| message.seq + 1);
        let mut answer = Self {
            events: SseByteStream::new(bounded(response, unparsed.clone())).boxed(),
            unparsed,
            assembly: Assembly::new(seq),
            ready: VecDeque::new(),
            tail_until: None,
            over: false,
            clock,
        };
        while answer.ready.is_empty() && !answer.assembly.has_calls() && !answer.is_whole() {
            answer.advance().await?;
        }
        Ok(answer)
    }

    /// The rest of it, beginning with the first piece.
    pub(super) fn stream(
        self,
        stall_timeout_s: u64,
    ) -> impl Stream<Item = Result<ModelEvent, ModelError>> + Send {
        stream::unfold(self, move |mut answer| async move {
            let event = answer.next(stall_timeout_s).await?;
            Some((event, answer))
        })
    }

    async fn next(&mut self, stall_timeout_s: u64) -> Option<Result<ModelEvent, ModelError>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if self.over {
                return None;
            }
            let clock = self.clock.clone();
            let limit = match self.tail_until {
                Some(until) => until.since(clock.now()),
                None => Span::from_secs(stall_timeout_s),
            };
            let more = match within(&*clock, limit, self.more()).await {
                Some(more) => more,
                None if self.is_whole() => self.close(),
                None => Err(ModelError::Timeout { seconds: stall_timeout_s }),
            };
            if let Err(error) = more {
                self.hang_up();
                return Some(Err(error));
            }
        }
    }

    /// Reads until the model has written something more, or is done writing.
    async fn more(&mut self) -> Result<(), ModelError> {
        while self.advance().await? == Brought::Nothing && !self.is_whole() {}
        Ok(())
    }

    fn is_whole(&self) -> bool {
        self.over || self.assembly.is_finished()
    }

    /// Reads one event.
    async fn advance(&mut self) -> Result<Brought, ModelError> {
        let event = self.events.next().await;
        self.unparsed.store(0, Ordering::Relaxed);
        match event {
            Some(Ok(Sse { data: None, .. })) => Ok(Brought::Nothing),
            Some(Ok(Sse { data: Some(data), .. })) => self.take(data.trim()),
            // What breaks after the answer is whole does not concern it.
            Some(Err(_)) | None if self.assembly.is_finished() => {
                self.close().map(|()| Brought::Nothing)
            }
            Some(Err(error)) => Err(broken(error)),
            None => Err(ModelError::Incomplete),
        }
    }

    fn take(&mut self, data: &str) -> Result<Brought, ModelError> {
        if data.is_empty() {
            return Ok(Brought::Nothing);
        }
        if data == "[DONE]" {
            let nothing = self.assembly.is_empty() && !self.assembly.is_finished();
            return if nothing { Err(ModelError::Incomplete) } else { self.done() };
        }
        let mut brought = self.assembly.take(data).map_err(garbled)?;
        if let Brought::Text(text) = &mut brought {
            self.ready.push_back(ModelEvent::Text(std::mem::take(text)));
        }
        if self.assembly.is_finished() && self.tail_until.is_none() {
            self.tail_until = Some(self.clock.now() + TAIL_WAIT);
        }
        Ok(brought)
    }

    fn done(&mut self) -> Result<Brought, ModelError> {
        self.keep_connection();
        self.close().map(|()| Brought::Nothing)
    }

    /// Hands out what the end of an answer brings: its tool calls, and its usage.
    fn close(&mut self) -> Result<(), ModelError> {
        self.hang_up();
        let (calls, usage) = self.assembly.finish().map_err(garbled)?;
        self.ready.extend(calls.into_iter().map(ModelEvent::ToolCall));
        self.ready.push_back(ModelEvent::End { usage });
        Ok(())
    }

    fn hang_up(&mut self) {
        self.over = true;
        self.events = stream::empty().boxed();
    }

    /// Reads the end of the response, which follows the last event within the same moment, so
    /// that the connection can be used again. Nobody waits for it.
    fn keep_connection(&mut self) {
        let mut events = std::mem::replace(&mut self.events, stream::empty().boxed());
        if events.next().now_or_never().is_some() {
            return;
        }
        let clock = self.clock.clone();
        tokio::spawn(async move { within(&*clock, TAIL_WAIT, events.next()).await.is_some() });
    }
}

fn may_be_a_stream(response: &Response) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    !NO_STREAMS.iter().any(|other| content_type.starts_with(other))
}

/// The body, which ends in an error once too much has come since the last event.
fn bounded(
    response: Response,
    unparsed: Arc<AtomicUsize>,
) -> impl Stream<Item = Result<Bytes, BodyError>> + Send {
    let bytes = response.bytes_stream();
    bytes.map_err(|error| BodyError::Broken(error.without_url())).and_then(move |chunk| {
        let unparsed = unparsed.fetch_add(chunk.len(), Ordering::Relaxed) + chunk.len();
        let fits = unparsed <= EVENT_BYTES_MAX;
        futures::future::ready(if fits { Ok(chunk) } else { Err(BodyError::EventTooLong) })
    })
}

fn broken(error: sse_stream::Error) -> ModelError {
    match error {
        sse_stream::Error::Body(source) => match source.downcast::<BodyError>().map(|e| *e) {
            Ok(BodyError::EventTooLong) => garbled(Fault::EventTooLong),
            Ok(broken @ BodyError::Broken(_)) => ModelError::Unreachable(broken.into()),
            Err(other) => ModelError::Unreachable(other),
        },
        _ => garbled(Fault::NotUtf8),
    }
}

fn garbled(fault: Fault) -> ModelError {
    ModelError::Garbled(fault.into())
}
