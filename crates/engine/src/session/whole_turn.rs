//! A turn that is taken to its end: its caller may go away without cutting it, for the answer is on
//! record for whoever asks later.

use futures::{FutureExt as _, future::BoxFuture};
use tokio::sync::mpsc;

use super::{TurnError, TurnEvent, TurnFailure, TurnRecord, TurnRequest, TurnStream};
use crate::{Engine, Error};

/// Why a whole turn has no answer.
#[derive(Debug, thiserror::Error)]
pub enum WholeTurnError {
    /// It did not begin.
    #[error(transparent)]
    NotBegun(#[from] TurnError),
    /// It began, and failed.
    #[error(transparent)]
    Failed(#[from] TurnFailure),
}

/// What is told of a turn while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TurnNews {
    /// It has begun.
    Begun,
    /// Something happens in it. Its end is told by the turn itself.
    Event(TurnEvent),
}

impl Engine {
    /// Takes a turn to its end. Runs on whether or not the caller waits for it.
    pub async fn whole_turn(&self, request: TurnRequest) -> Result<TurnRecord, WholeTurnError> {
        let (nobody, _) = mpsc::channel(1);
        self.told_turn(request, nobody).await
    }

    /// Takes a turn to its end and tells of it meanwhile. Begins at once, and runs on whether or not
    /// anybody listens or waits; whoever listens slowly holds it up, within bounds.
    pub fn told_turn(
        &self,
        request: TurnRequest,
        news: mpsc::Sender<TurnNews>,
    ) -> BoxFuture<'static, Result<TurnRecord, WholeTurnError>> {
        let engine = self.clone();
        let turn = async move {
            let stream = engine.turn(request).await?;
            let _ = news.send(TurnNews::Begun).await;
            to_its_end(stream, news).await
        };
        let carried = self.inner.tasks.spawn(turn).map(|carried| {
            carried.unwrap_or_else(|error| Err(TurnError::Engine(Error::from(error)).into()))
        });
        carried.boxed()
    }
}

async fn to_its_end(
    mut stream: TurnStream,
    news: mpsc::Sender<TurnNews>,
) -> Result<TurnRecord, WholeTurnError> {
    let mut failure = TurnFailure::Model;
    while let Some(event) = stream.events.recv().await {
        match event {
            TurnEvent::Failed(why) => failure = why,
            TurnEvent::Completed { .. } => {}
            // Nobody may be listening any more.
            event => drop(news.send(TurnNews::Event(event)).await),
        }
    }
    // A turn that completed has left its record; one that panicked has left nothing.
    stream.record.await.map_err(|_| failure.into())
}
