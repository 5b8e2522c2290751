//! `POST /epilogue/v1/sessions/{id}/turns`

use std::convert::Infallible;

use axum::{
    extract::State,
    response::{
        IntoResponse, Sse,
        sse::{Event, KeepAlive},
    },
};
use epilogue_engine::session::{TurnError, TurnEvent, TurnExtras, TurnRequest, WhenBusy};
use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tokio_stream::wrappers::ReceiverStream;
use utoipa::ToSchema;

use crate::{
    Api, CallerGone,
    native::{
        access::Acting,
        input::{self, JsonBody, Segment},
        problem::{Kind, Problem},
        within_limit,
    },
    rate::Subject,
};

/// The longest message, in characters.
pub const MESSAGE_CHARS_MAX: usize = 10_000;

/// A message from the person.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TurnBody {
    /// What the person says: 1 to 10,000 characters, not only white space.
    message: String,
    /// What to do while a turn is running.
    #[serde(default)]
    #[schema(required = false)]
    when_busy: WhenBusyWord,
}

/// What to do with a message while a turn is running.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WhenBusyWord {
    /// Wait in line for up to two minutes.
    #[default]
    Wait,
    /// Refuse with 409.
    Reject,
    /// Cut the turn that runs. What the person has received of it is kept.
    Interrupt,
}

/// What happens in a turn, one server-sent event each: `event` is the name, `data` the rest as JSON
/// on one line. A stream ends with exactly one `turn_completed` or `turn_failed`.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
pub(crate) enum TurnEventView {
    /// The message is in the transcript, and the agent has been asked.
    TurnStarted {
        /// The session.
        session_id: String,
        /// Who answers.
        agent_name: String,
    },
    /// More of the reply.
    Text {
        /// The words.
        text: String,
    },
    /// The agent calls a tool.
    ToolStarted {
        /// Which.
        name: String,
    },
    /// The tool has answered, or failed.
    ToolFinished {
        /// Which.
        name: String,
    },
    /// The reply is complete, and on disk.
    TurnCompleted {
        /// Tokens of the person's message.
        input_tokens: u64,
        /// Tokens of the reply.
        output_tokens: u64,
        /// The agent has said goodbye, or the credits are used up: the session ends now.
        ends_session: bool,
    },
    /// The turn failed or was cut. What the person has received is kept.
    TurnFailed {
        /// `model_failed`, `tool_loop`, `too_long`, `session_ended`, `interrupted`, `shutting_down`
        /// or `store_failed`.
        reason: &'static str,
        /// The same, for people.
        message: String,
    },
}

impl TurnEventView {
    fn of(event: TurnEvent) -> Self {
        match event {
            TurnEvent::Text(text) => Self::Text { text },
            TurnEvent::ToolStarted { name } => Self::ToolStarted { name },
            TurnEvent::ToolFinished { name } => Self::ToolFinished { name },
            TurnEvent::Completed { usage, finish } => Self::TurnCompleted {
                input_tokens: usage.input_tokens,
                output_tokens: usage.output_tokens,
                ends_session: finish,
            },
            TurnEvent::Failed(failure) => {
                Self::TurnFailed { reason: failure.as_str(), message: failure.to_string() }
            }
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::TurnStarted { .. } => "turn_started",
            Self::Text { .. } => "text",
            Self::ToolStarted { .. } => "tool_started",
            Self::ToolFinished { .. } => "tool_finished",
            Self::TurnCompleted { .. } => "turn_completed",
            Self::TurnFailed { .. } => "turn_failed",
        }
    }

    /// The event as it is sent: its name, and its data as JSON on one line.
    fn written(&self) -> Event {
        let whole = serde_json::to_value(self).unwrap_or_default();
        Event::default().event(self.name()).data(whole["data"].to_string())
    }
}

/// Take a turn
///
/// Sends a message and streams the reply as server-sent events. Answered when the message is in the
/// transcript; from then on the stream is the answer. A caller that hangs up cuts the reply: what it
/// has received is kept and billed. Comments (`:`) come every 15 seconds while the agent is silent.
#[utoipa::path(
    post, path = "/epilogue/v1/sessions/{id}/turns", tag = "sessions", request_body = TurnBody,
    params(("id" = String, Path, description = "The session's id or name.")),
    responses(
        (status = 200, description = "The turn, as it happens.", body = TurnEventView, content_type = "text/event-stream"),
        (status = 404, description = "This organization has no such session."),
        (status = 409, description = "A turn is running, and `when_busy` is `reject`."),
        (status = 410, description = "The session has ended, or its deadline has passed."),
        (status = 429, description = "More messages than the session's limit allows; or too many wait, or this one waited too long."),
    ),
)]
pub(super) async fn take_turn(
    State(api): State<Api>,
    gone: CallerGone,
    acting: Acting,
    Segment(id): Segment,
    JsonBody(body): JsonBody<TurnBody>,
) -> Result<impl IntoResponse, Problem> {
    input::chars("message", &body.message, 1, MESSAGE_CHARS_MAX)?;
    if body.message.trim().is_empty() {
        return Err(Problem::field("message", "must not be white space alone"));
    }
    let session = acting.session(&api, &id).await?;
    let subject = Subject::Messages(acting.org.clone(), session.id);
    within_limit(&api, &subject, api.settings().messages_per_minute)?;
    let request = TurnRequest {
        org: acting.org.clone(),
        session: session.id,
        input: body.message.into(),
        when_busy: match body.when_busy {
            WhenBusyWord::Wait => WhenBusy::Wait,
            WhenBusyWord::Reject => WhenBusy::Reject,
            WhenBusyWord::Interrupt => WhenBusy::Interrupt,
        },
        extras: TurnExtras::default(),
    };
    // Who hangs up while it waits in line is forgotten.
    let taken = gone.unless(api.engine().turn(request)).await.unwrap_or(Err(TurnError::Busy));
    let turn = taken.map_err(problem)?;
    let session_id = session.id.to_string();
    let started = TurnEventView::TurnStarted { session_id, agent_name: turn.agent_name };
    let events = ReceiverStream::new(turn.events).map(TurnEventView::of);
    let events = stream::once(async move { started }).chain(events);
    let written = events.map(|event| Ok::<_, Infallible>(event.written()));
    Ok(Sse::new(written).keep_alive(KeepAlive::default()))
}

fn problem(error: TurnError) -> Problem {
    match error {
        TurnError::NoSession => Problem::not_found("session"),
        TurnError::Over(ended) => {
            let reason = ended.reason.as_str();
            super::over(format!("The session ended at {} ({reason}).", ended.at))
        }
        TurnError::Lapsed(deadline) => {
            let reason = deadline.kind.reason().as_str();
            super::over(format!("The session's deadline was {} ({reason}).", deadline.at))
        }
        TurnError::Busy => Problem::new(Kind::TurnRunning, "A turn is running."),
        TurnError::Overrun => Problem::new(
            Kind::TooManyWaiting,
            "Too many messages wait, or this one did for too long.",
        ),
        TurnError::NoAgent => Problem::new(
            Kind::WrongState,
            "The session's agent is gone, or is no longer one that writes.",
        ),
        error @ (TurnError::Misfit(_) | TurnError::ToolTaken(_)) => {
            Problem::field("message", error.to_string())
        }
        TurnError::Engine(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_under_the_name_that_its_schema_says() {
        let all = [
            TurnEventView::TurnStarted { session_id: "s".into(), agent_name: "A".into() },
            TurnEventView::Text { text: "a\nb".into() },
            TurnEventView::ToolStarted { name: "t".into() },
            TurnEventView::ToolFinished { name: "t".into() },
            TurnEventView::TurnCompleted { input_tokens: 1, output_tokens: 2, ends_session: false },
            TurnEventView::TurnFailed { reason: "too_long", message: String::new() },
        ];
        for event in all {
            let whole = serde_json::to_value(&event).expect("JSON");
            assert_eq!(whole["event"], event.name());
            assert!(!whole["data"].to_string().contains('\n'));
        }
    }
}
