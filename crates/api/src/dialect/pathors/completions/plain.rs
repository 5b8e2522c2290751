//! An answer that is told whole. Its turn runs on if the caller hangs up.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use epilogue_core::{SessionId, Timestamp};
use epilogue_engine::session::{TurnEvent, TurnFailure, TurnNews, TurnRecord, WholeTurnError};
use tokio::sync::mpsc;

use super::{
    reply::{Completion, Head, Reply},
    turn::{NoTurn, TRIES_MAX, Talk, gone, outrun, refused},
};
use crate::dialect::pathors::error::Error;

/// How many pieces of news may wait to be heard.
const NEWS_MAX: usize = 64;

pub(super) async fn answer(talk: &Talk) -> Result<Response, Error> {
    for tries in 0..TRIES_MAX {
        match attempt(talk, tries).await {
            Ok(response) => return Ok(response),
            Err(NoTurn::Over) => {}
            Err(NoTurn::Refused(error)) => return Err(error),
        }
    }
    Err(outrun())
}

async fn attempt(talk: &Talk, tries: u32) -> Result<Response, NoTurn> {
    let request = talk.begin(tries).await?;
    let session = request.session;
    let (sender, news) = mpsc::channel(NEWS_MAX);
    let turn = talk.api.engine().told_turn(request, sender);
    let (text, taken) = tokio::join!(heard(news), turn);
    match taken {
        Ok(record) => {
            let reply = Reply::of(&record).ok_or_else(gone)?;
            Ok(worded(talk, session, moment(&record), &reply))
        }
        // What was said until the end is the answer.
        Err(WholeTurnError::Failed(TurnFailure::SessionEnded)) => {
            let now = (0, talk.api.engine().now());
            Ok(worded(talk, session, now, &Reply::cut(text)))
        }
        Err(error) => Err(refused(error)),
    }
}

/// What is said while the turn runs.
async fn heard(mut news: mpsc::Receiver<TurnNews>) -> String {
    let mut text = String::new();
    while let Some(news) = news.recv().await {
        if let TurnNews::Event(TurnEvent::Text(more)) = news {
            text.push_str(&more);
        }
    }
    text
}

/// The number of the turn, and when its answer was complete.
fn moment(record: &TurnRecord) -> (u32, Timestamp) {
    let last = record.messages.last();
    last.map_or((0, record.session.last_activity), |message| (message.turn, message.body.at))
}

fn worded(
    talk: &Talk,
    session: SessionId,
    (turn, at): (u32, Timestamp),
    reply: &Reply,
) -> Response {
    let head = Head::new((session, &talk.named.name), turn, at);
    Json(Completion::of(&head, reply)).into_response()
}
