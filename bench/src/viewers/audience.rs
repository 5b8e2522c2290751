//! All viewers, on a thread of their own, so that neither waits for the other: who watches, and who opens
//! and keeps alive what is watched.

use std::thread;

use tokio::{
    runtime,
    sync::{mpsc, oneshot},
};

use super::viewer::{View, Viewer};
use crate::{Result, time::Duration};

/// How long a viewer may take to be connected.
const PATIENCE: Duration = Duration::from_secs(20);

/// The viewers, until dropped.
pub struct Audience {
    viewers: mpsc::UnboundedSender<Viewer>,
}

impl Audience {
    /// An audience of nobody.
    pub fn start() -> Result<Self> {
        let (viewers, mut coming) = mpsc::unbounded_channel::<Viewer>();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("audience".into()).spawn(move || {
            runtime.block_on(async move {
                while let Some(viewer) = coming.recv().await {
                    tokio::spawn(viewer.watch());
                }
            });
        })?;
        Ok(Self { viewers })
    }

    /// Lets a viewer watch, and waits until it is connected. Returns what it sees.
    pub async fn seat(&self, viewer: Viewer, connected: oneshot::Receiver<()>) -> Result<View> {
        let view = viewer.view();
        self.viewers.send(viewer).map_err(|_| "the audience is gone")?;
        match tokio::time::timeout(PATIENCE, connected).await {
            Ok(Ok(())) => Ok(view),
            Ok(Err(_)) => {
                let why = view.seen().broken.clone();
                Err(format!("a viewer was not connected: {why:?}").into())
            }
            Err(_) => Err("a viewer was not connected in time".into()),
        }
    }
}
