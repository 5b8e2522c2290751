//! An answer that is told whole. If the caller hangs up, its turn is cut and leaves no trace, unless the
//! call has a name by which the caller may come again.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use epilogue_engine::session::{
    TurnEvent, TurnFailure, TurnNews, TurnRecord, TurnRequest, WholeTurnError,
};
use tokio::sync::mpsc;

use super::{
    reply::{Completion, Head, Reply},
    turn::{NoTurn, TRIES_MAX, Talk, gone, hung_up, outrun, refused},
};
use crate::dialect::pathors::error::Error;

/// How many pieces of news may wait to be heard.
const NEWS_MAX: usize = 64;

pub(super) async fn answer(talk: &Talk) -> Result<Response, Error> {
    for tries in 0..TRIES_MAX {
        match attempt(talk, tries).await {
            Ok(response) => return Ok(response),
            Err(NoTurn::Over) => {}
            Err(NoTurn::Ended) => return Ok(ended(talk, String::new())),
            Err(NoTurn::Refused(error)) => return Err(error),
        }
    }
    Err(outrun())
}

async fn attempt(talk: &Talk, tries: u32) -> Result<Response, NoTurn> {
    let (request, was_open) = talk.begin(tries).await?;
    // Who comes again by the call's own name finds the answer on record. Others say it all again, so that
    // nothing may be left of what they have not heard.
    let (text, taken) = match request.extras.key {
        Some(_) => carried(talk, request).await,
        None => while_heard(talk, request).await?,
    };
    match taken {
        Ok(record) => {
            let reply = Reply::of(&record).ok_or_else(gone)?;
            Ok(worded(talk, &record, &reply))
        }
        // What was said until the end is the answer.
        Err(WholeTurnError::Failed(TurnFailure::SessionEnded)) => Ok(ended(talk, text)),
        Err(error) => Err(refused(error, was_open)),
    }
}

/// What was said, and what the turn came to.
type Taken = (String, Result<TurnRecord, WholeTurnError>);

/// Takes a turn that runs on if its caller hangs up.
async fn carried(talk: &Talk, request: TurnRequest) -> Taken {
    let (sender, news) = mpsc::channel(NEWS_MAX);
    let turn = talk.api.engine().told_turn(request, sender);
    tokio::join!(heard(news), turn)
}

/// Takes a turn that is cut if its caller hangs up.
async fn while_heard(talk: &Talk, request: TurnRequest) -> Result<Taken, Error> {
    let taken = talk.gone.unless(talk.api.engine().turn(request)).await.ok_or_else(hung_up)?;
    let mut turn = match taken {
        Ok(turn) => turn,
        Err(error) => return Ok((String::new(), Err(error.into()))),
    };
    // A turn that is gone without a word has failed.
    let (mut text, mut failure) = (String::new(), TurnFailure::Store);
    while let Some(event) = talk.gone.unless(turn.events.recv()).await.ok_or_else(hung_up)? {
        match event {
            TurnEvent::Text(more) => text.push_str(&more),
            TurnEvent::Failed(why) => failure = why,
            TurnEvent::ToolStarted { .. }
            | TurnEvent::ToolFinished { .. }
            | TurnEvent::Completed { .. } => {}
        }
    }
    Ok((text, turn.record.await.map_err(|_| failure.into())))
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

fn worded(talk: &Talk, record: &TurnRecord, reply: &Reply) -> Response {
    let (id, last) = (record.session.id, record.messages.last());
    let (turn, at) =
        last.map_or((0, record.session.last_activity), |message| (message.turn, message.body.at));
    answered(&Head::new((id, &talk.named.name), turn, at), reply)
}

/// The answer to a call whose session ended meanwhile.
fn ended(talk: &Talk, text: String) -> Response {
    let engine = talk.api.engine();
    let head = Head::new((engine.new_session_id(), &talk.named.name), 0, engine.now());
    answered(&head, &Reply::cut(text))
}

fn answered(head: &Head, reply: &Reply) -> Response {
    Json(Completion::of(head, reply)).into_response()
}
