//! `POST /epilogue/v1/sessions/{id}/end`

use axum::{Json, extract::State};
use epilogue_core::{EndOutcome, EndReason, EndRequest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::SessionView;
use crate::{
    Api,
    native::{
        access::{Acting, By},
        input::{self, OptionalBody, Segment},
        problem::{Kind, Problem},
        within_limit,
    },
    rate::Subject,
};

/// The reasons a caller may give. The others are found out here, and nobody may claim them.
pub const REASONS: [EndReason; 2] = [EndReason::UserEnd, EndReason::Operator];

/// Why, and what there is to say about it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndBody {
    /// `user_end`: the person wanted it. `operator`: the organization did. Absent: `operator` for
    /// keys and `user_end` for session tokens, which may give no other.
    reason: Option<EndWord>,
    /// Kept in the activity log: at most 10,000 characters.
    note: Option<String>,
}

/// A reason that a caller may give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndWord {
    /// The person, or the client acting for them.
    UserEnd,
    /// The organization.
    Operator,
}

impl EndWord {
    const fn reason(self) -> EndReason {
        match self {
            Self::UserEnd => EndReason::UserEnd,
            Self::Operator => EndReason::Operator,
        }
    }
}

/// A session that is over.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndedBody {
    /// The session, with the reason that won.
    #[serde(flatten)]
    session: SessionView,
    /// Whether the session was over before this request: it had ended, or its deadline had passed.
    /// The reason and the note of this request count for nothing then.
    already_ended: bool,
}

/// End a session
///
/// Irrevocable. Answered when the end, its settlement and every step it owes are on disk; no step is
/// awaited. A turn in flight is cut: what the person has received is kept. Harmless to repeat: the
/// first end wins, and every other is answered alike with `already_ended`. The body may be left out.
#[utoipa::path(
    post, path = "/epilogue/v1/sessions/{id}/end", tag = "sessions",
    request_body = Option<EndBody>,
    params(("id" = String, Path, description = "The session's id or name.")),
    responses(
        (status = 200, description = "The session is over.", body = EndedBody),
        (status = 404, description = "This organization has no such session."),
        (status = 429, description = "More ends than the session's limit allows."),
    ),
)]
pub(super) async fn end_session(
    State(api): State<Api>,
    acting: Acting,
    Segment(id): Segment,
    OptionalBody(body): OptionalBody<EndBody>,
) -> Result<Json<EndedBody>, Problem> {
    let reason = reason(&acting, body.reason)?;
    if let Some(note) = &body.note {
        input::chars("note", note, 0, EndRequest::NOTE_CHARS_MAX)?;
    }
    let session = acting.session(&api, &id).await?;
    let subject = Subject::Ends(acting.org.clone(), session.id);
    within_limit(&api, &subject, api.settings().ends_per_minute)?;
    let note = body.note.filter(|note| !note.is_empty());
    let request = EndRequest { note, by: Some(acting.name()), ..EndRequest::asked(reason) };
    let receipt = api.engine().end(&acting.org, session.id, request).await?;
    let receipt = receipt.ok_or_else(|| Problem::not_found("session"))?;
    let session = SessionView::of(&receipt.session, api.engine().now());
    let session = if acting.is_person() { session.for_person() } else { session };
    // A deadline that had passed counts alike whether or not the timer has been by.
    let already_ended = !matches!(receipt.outcome, EndOutcome::EndedNow(_));
    Ok(Json(EndedBody { session, already_ended }))
}

fn reason(acting: &Acting, given: Option<EndWord>) -> Result<EndReason, Problem> {
    match (&acting.by, given) {
        (By::Token(_), None | Some(EndWord::UserEnd)) => Ok(EndReason::UserEnd),
        (By::Token(_), Some(EndWord::Operator)) => {
            Err(Problem::new(Kind::Forbidden, "A session's token ends it as the person: user_end."))
        }
        (By::Key(_) | By::Operator, given) => {
            Ok(given.map_or(EndReason::Operator, EndWord::reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_may_give_exactly_the_reasons_that_are_listed() {
        for reason in EndReason::ALL {
            let read: Result<EndWord, _> = serde_json::from_value(reason.as_str().into());
            assert_eq!(read.ok().map(EndWord::reason), REASONS.contains(&reason).then_some(reason));
        }
    }
}
