//! A second process on the same store: an engine in a runtime of its own, which dies with it.

use std::future::Future;

use epilogue_engine::{Engine, worker::Worker};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

/// Runs an engine until it is killed.
pub struct Process {
    pub engine: Engine,
    runtime: Option<Runtime>,
}

impl Process {
    pub fn start(engine: Engine) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self { engine, runtime: Some(runtime.expect("a runtime")) }
    }

    /// Starts its worker.
    pub fn work(&self) {
        let worker = Worker::new(&self.engine);
        self.spawn(async move { worker.run(CancellationToken::new()).await });
    }

    /// Runs something in this process.
    pub fn spawn<F>(&self, work: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.runtime.as_ref().expect("it lives").spawn(work)
    }

    /// Drops everything that runs in it, wherever it is.
    pub fn kill(mut self) {
        self.drop_runtime();
    }

    fn drop_runtime(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.drop_runtime();
    }
}
