//! `POST /v1/chat/sessions/{conversation_id}/end`

use axum::{Json, extract::State, response::Response};
use epilogue_core::{EndOutcome, EndReason, EndRequest};

use super::{error::Error, holder::Holder, limit::limited, wire::Acknowledged};
use crate::{Api, rate::Subject};

/// Ends a session. The body, if there is one, is not read: the contract has none, and a page that
/// closes may send anything.
pub(super) async fn end(State(api): State<Api>, holder: Holder) -> Response {
    let subject = Subject::Ends(holder.claims.organization_id.clone(), holder.claims.sid);
    let limit = (subject, api.settings().ends_per_minute);
    let ending = async { end_once(&api, &holder).await.map(Json) };
    // A token whose session is over is dead, however often it asks.
    let dead = async {
        match holder.live_session(&api).await {
            Ok(_) => Ok(()),
            Err(Error::NoSession) => Err(Error::InvalidToken),
            Err(error) => Err(error),
        }
    };
    limited(&api, limit, ending, dead).await
}

async fn end_once(api: &Api, holder: &Holder) -> Result<Acknowledged, Error> {
    let claims = &holder.claims;
    let by = format!("session token of key {}", claims.user_id);
    let request = EndRequest { by: Some(by), ..EndRequest::asked(EndReason::UserEnd) };
    let receipt = api.engine().end(&claims.organization_id, claims.sid, request).await;
    match receipt.map_err(Error::End)?.map(|receipt| receipt.outcome) {
        Some(EndOutcome::EndedNow(_)) => {
            Ok(Acknowledged { success: true, message: "Session ended successfully" })
        }
        // The token died with the session, so that a second end is a stranger's. A session whose
        // time had run out was over before it was asked; it has been ended for that reason.
        Some(
            EndOutcome::AlreadyEnded(_) | EndOutcome::Lapsed(_) | EndOutcome::StillActive { .. },
        )
        | None => Err(Error::InvalidToken),
    }
}
