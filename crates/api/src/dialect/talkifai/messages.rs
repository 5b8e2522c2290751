//! `POST /v1/chat/sessions/{conversation_id}/messages`

use axum::{body::Body, extract::State, response::Response};
use epilogue_engine::session::{TurnError, TurnExtras, TurnRequest, WhenBusy};

use super::{error::Error, holder::Holder, limit::limited, stream, wire};
use crate::{Api, CallerGone, body, rate::Subject};

/// Takes a turn and streams it. A second message waits for the first, within bounds.
pub(super) async fn send(
    State(api): State<Api>,
    gone: CallerGone,
    holder: Holder,
    body: Body,
) -> Response {
    let subject = Subject::Messages(holder.claims.organization_id.clone(), holder.claims.sid);
    let limit = (subject, api.settings().messages_per_minute);
    let answering = answer(&api, &gone, &holder, body);
    let over = async { holder.live_session(&api).await.map(drop) };
    limited(&api, limit, answering, over).await
}

async fn answer(
    api: &Api,
    gone: &CallerGone,
    holder: &Holder,
    body: Body,
) -> Result<Response, Error> {
    let message = match read(api, body).await {
        Ok(message) => message,
        // That the session is over is said before what is wrong with the message.
        Err(error) => return Err(holder.live_session(api).await.err().unwrap_or(error)),
    };
    let request = TurnRequest {
        org: holder.claims.organization_id.clone(),
        session: holder.claims.sid,
        input: message.into(),
        when_busy: WhenBusy::Wait,
        extras: TurnExtras::default(),
    };
    // Who hangs up while it waits in line is forgotten.
    let taken = gone.unless(api.engine().turn(request)).await.unwrap_or(Err(TurnError::Busy));
    match taken {
        Ok(turn) => Ok(stream::of(turn, api.engine().clock().clone())),
        Err(
            TurnError::NoSession
            | TurnError::Over(_)
            | TurnError::Lapsed(_)
            | TurnError::NoAgent
            | TurnError::Misfit(_)
            | TurnError::ToolTaken(_),
        ) => Err(Error::NoSession),
        Err(TurnError::Busy | TurnError::Overrun) => Err(Error::Busy),
        Err(TurnError::Engine(error)) => Err(error.into()),
    }
}

async fn read(api: &Api, body: Body) -> Result<String, Error> {
    wire::message(&body::read(api, body).await?)
}
