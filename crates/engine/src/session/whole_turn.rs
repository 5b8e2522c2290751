//! A turn whose answer is wanted whole: the caller waits for its end, and may go away without cutting
//! it, for whoever asks again under the same key is answered from the record.

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

impl Engine {
    /// Takes a turn to its end. Runs on whether or not the caller waits for it.
    pub async fn whole_turn(&self, request: TurnRequest) -> Result<TurnRecord, WholeTurnError> {
        let engine = self.clone();
        let turn = async move { to_its_end(engine.turn(request).await?).await };
        let carried = self.inner.tasks.spawn(turn).await;
        carried.unwrap_or_else(|error| Err(TurnError::Engine(Error::from(error)).into()))
    }
}

async fn to_its_end(mut stream: TurnStream) -> Result<TurnRecord, WholeTurnError> {
    let mut failure = TurnFailure::Model;
    while let Some(event) = stream.events.recv().await {
        if let TurnEvent::Failed(why) = event {
            failure = why;
        }
    }
    // A turn that completed has left its record; one that panicked has left nothing.
    stream.record.await.map_err(|_| failure.into())
}
