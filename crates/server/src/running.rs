//! A server that runs: the listener, the sweeper, the worker, and how they stop.

use std::{io, net::SocketAddr};

use axum::Router;
use epilogue_core::Span;
use epilogue_engine::{Engine, clock::within, worker::Worker};
use tokio::net::TcpListener;

use crate::{
    config::Config,
    data::{Address, DataError},
    http::{self, HttpLimits},
    lifecycle::Lifecycle,
    wiring::Assembly,
};

/// How long turns that were cut may take to keep what they have.
const CUT_GRACE: Span = Span::from_secs(2);

/// Why the server could not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The address cannot be written down.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// A server that listens, but does not serve yet.
pub struct Listening {
    listener: TcpListener,
    /// Where it listens.
    pub address: SocketAddr,
    assembly: Assembly,
    router: Router,
    limits: HttpLimits,
}

impl Listening {
    /// Takes the address.
    pub async fn bind(config: &Config, assembly: Assembly) -> Result<Self, RunError> {
        let wanted = config.server.listen;
        let failed = |source| RunError::Listen { address: wanted, source };
        let listener = TcpListener::bind(wanted).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Address::publish(&config.storage.data_folder(), &format!("http://{address}"))?;
        let router = epilogue_api::router(&assembly.api);
        let limits = HttpLimits::from(&config.limits);
        Ok(Self { listener, address, assembly, router, limits })
    }

    /// Serves until the lifecycle says stop, then finishes what is open, then cuts.
    pub async fn serve(self, lifecycle: Lifecycle) {
        let engine = self.assembly.api.engine().clone();
        let worker = Worker::new(&engine);
        let inbox = self.assembly.inbox.clone();
        let uploads = self.assembly.uploads.clone();
        let retention = self.assembly.retention.clone();
        let Lifecycle { stop, cut } = lifecycle;
        let listening =
            http::serve(self.listener, self.router, self.limits, stop.clone(), cut.clone());
        let sweeping = engine.run_sweeper(stop.clone());
        let working = async {
            tokio::select! {
                _ = async {
                    let carried = async {
                        if let Some(uploads) = &uploads {
                            uploads.run(stop.clone()).await;
                        }
                    };
                    tokio::join!(worker.run(stop.clone()), inbox.run(stop.clone()), carried)
                } => {}
                () = cut.cancelled() => tracing::warn!("work was cut; its leases will run out"),
            }
        };
        let expiring = retention.run(stop.clone());
        let draining = async {
            stop.cancelled().await;
            engine.begin_drain();
            // Nothing more is said from here on, so whoever watches is told now.
            engine.close_stages().await;
            tokio::select! {
                () = engine.drained() => {}
                () = cut.cancelled() => cut_turns(&engine).await,
            }
        };
        tokio::join!(listening, sweeping, working, draining, expiring);
        if let Err(error) = engine.tidy().await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the write-ahead log stays beside the database");
        }
        tracing::info!("stopped");
    }
}

/// Cuts the turns that still run, and gives them a moment to keep what they have.
async fn cut_turns(engine: &Engine) {
    engine.cut_turns();
    if within(&**engine.clock(), CUT_GRACE, engine.drained()).await.is_none() {
        tracing::warn!("some turns did not settle; they count as abandoned at the next start");
    }
}
