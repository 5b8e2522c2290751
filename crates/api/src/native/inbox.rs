//! The inbox: text messages that people sent, and resuming one that was given up on. What was said
//! is not shown.

use axum::{Json, extract::State};
use epilogue_core::texting::{InboundId, InboundMessage, InboundState};
use epilogue_engine::records::ResumeOutcome;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Acting,
    input::{Params, Segment},
    page::{self, Listed},
    problem::{Kind, Problem},
};
use crate::Api;

/// What stands between the two names that make up an id.
const SEPARATOR: char = ':';

/// The operations on messages.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_inbox)).routes(routes!(retry_message))
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum InboxWord {
    /// Others of the same person come first.
    Waiting,
    /// To be answered.
    Owed,
    /// Being answered.
    Leased,
    /// Answered, or without need of an answer.
    Done,
    /// Given up on, until someone resumes it.
    Parked,
}

impl InboxWord {
    const fn as_str(self) -> &'static str {
        // In the order of the core's words, which a test compares.
        InboundState::WORDS[self as usize]
    }
}

/// Which messages a list shows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct InboxQuery {
    /// In this state.
    #[param(inline)]
    state: Option<InboxWord>,
    /// How many messages a page has: 1 to 500, 50 if absent.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A text message that somebody sent, without what was said.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct InboxView {
    /// Its identity: the carrier's account and what the carrier calls the message.
    #[schema(example = "0190c0de-0000-7000-8000-00000000000a:SM1")]
    pub id: String,
    /// The number it came to.
    #[schema(example = "+18005551212")]
    pub to: String,
    /// `waiting`, `owed`, `leased`, `done` or `parked`.
    #[schema(example = "parked")]
    pub state: &'static str,
    /// When it was received (RFC 3339, UTC).
    pub received_at: String,
    /// When it is due, if it is owed.
    pub due_at: Option<String>,
    /// When it was done or parked.
    pub settled_at: Option<String>,
    /// The session it belongs to, once that is known.
    pub session_id: Option<String>,
    /// How many attempts were begun.
    pub attempts_made: u32,
    /// How many attempts failed since it was owed or resumed.
    pub failures: u32,
    /// How many parts of the reply the carrier has accepted.
    pub parts_sent: u32,
    /// What was done last, or what went wrong.
    #[schema(example = "Twilio answered 400, code 21610")]
    pub detail: String,
}

impl InboxView {
    fn of(message: &InboundMessage) -> Self {
        let (due_at, settled_at) = match &message.state {
            InboundState::Waiting | InboundState::Leased { .. } => (None, None),
            InboundState::Owed { due_at } => (Some(*due_at), None),
            InboundState::Done { at } | InboundState::Parked { at } => (None, Some(*at)),
        };
        let id = &message.inbound.id;
        Self {
            id: format!("{}{SEPARATOR}{}", id.carrier, id.message),
            to: message.inbound.to.clone(),
            state: message.state.as_str(),
            received_at: message.received_at.to_string(),
            due_at: due_at.map(|at| at.to_string()),
            settled_at: settled_at.map(|at| at.to_string()),
            session_id: message.session.map(|session| session.to_string()),
            attempts_made: message.attempt,
            failures: message.failures,
            parts_sent: message.sent,
            detail: message.detail.clone(),
        }
    }
}

/// List text messages
///
/// What people sent, the latest first. `state=parked` shows what waits for a person.
#[utoipa::path(
    get, path = "/epilogue/v1/inbox", tag = "finalization", params(InboxQuery),
    responses((status = 200, description = "A page of messages.", body = Listed<InboxView>)),
)]
async fn list_inbox(
    State(api): State<Api>,
    acting: Acting,
    Params(query): Params<InboxQuery>,
) -> Result<Json<Listed<InboxView>>, Problem> {
    let page = page::request("inbox", query.limit, query.cursor.as_deref())?;
    let state = query.state.map(InboxWord::as_str);
    let found = api.engine().inbox(&acting.org, state, &page).await?;
    Ok(Json(Listed::of("inbox", found, |message| InboxView::of(&message))))
}

/// Resume a parked text message
///
/// It is due at once, or after the others of the same person, with a fresh schedule. Parts of the
/// reply that the carrier has accepted are not sent again.
#[utoipa::path(
    post, path = "/epilogue/v1/inbox/{id}/retry", tag = "finalization",
    params(("id" = String, Path, description = "The message's id.")),
    responses(
        (status = 204, description = "It is owed again."),
        (status = 404, description = "This organization has no such message."),
        (status = 409, description = "It is not parked."),
    ),
)]
async fn retry_message(
    State(api): State<Api>,
    acting: Acting,
    Segment(id): Segment,
) -> Result<StatusCode, Problem> {
    let names = id.split_once(SEPARATOR).ok_or_else(|| Problem::not_found("message"))?;
    let id = InboundId { carrier: names.0.to_owned(), message: names.1.to_owned() };
    match api.engine().resume_message(&acting.org, &id, Some(acting.name())).await? {
        ResumeOutcome::Resumed => Ok(StatusCode::NO_CONTENT),
        ResumeOutcome::NotParked => {
            Err(Problem::new(Kind::WrongState, "The message is not parked."))
        }
        ResumeOutcome::NoMessage => Err(Problem::not_found("message")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_that_can_be_asked_for_are_the_cores_own() {
        for word in InboundState::WORDS {
            let read: InboxWord = serde_json::from_value(word.into()).expect("a known word");
            assert_eq!(read.as_str(), word);
        }
    }
}
