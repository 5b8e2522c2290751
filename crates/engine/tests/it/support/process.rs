//! A second process on the same store, which can be killed: an engine in a runtime of its own, or, in
//! a seeded round, on the round's thread with a store of its own that dies with it.

use std::{future::Future, sync::Mutex};

use epilogue_engine::{Engine, worker::Worker};
use tokio::{
    runtime::{Builder, Runtime},
    task::{AbortHandle, JoinHandle},
};
use tokio_util::sync::CancellationToken;

use super::seeded_storage::Life;

/// Runs an engine until it is killed.
pub struct Process {
    pub engine: Engine,
    home: Home,
}

/// What dies with the process.
enum Home {
    /// Everything that runs in it, wherever it is. `None`: it is dead.
    Runtime(Option<Runtime>),
    /// What it was asked to run, and every call of its store.
    Seeded { life: Life, tasks: Mutex<Vec<AbortHandle>> },
}

impl Process {
    pub fn start(engine: Engine) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self { engine, home: Home::Runtime(Some(runtime.expect("a runtime"))) }
    }

    /// A process of a seeded round, whose store lives as long as `life`.
    pub fn seeded(engine: Engine, life: Life) -> Self {
        Self { engine, home: Home::Seeded { life, tasks: Mutex::default() } }
    }

    /// Starts its worker.
    pub fn work(&self) {
        let worker = Worker::new(&self.engine);
        self.spawn(async move { worker.run(CancellationToken::new()).await });
    }

    /// Runs something in this process.
    pub fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        match &self.home {
            Home::Runtime(runtime) => runtime.as_ref().expect("it lives").spawn(work),
            Home::Seeded { tasks, .. } => {
                let task = tokio::spawn(work);
                tasks.lock().expect("not poisoned").push(task.abort_handle());
                task
            }
        }
    }

    /// Drops everything that runs in it.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        match &mut self.home {
            Home::Runtime(runtime) => {
                if let Some(runtime) = runtime.take() {
                    runtime.shutdown_background();
                }
            }
            Home::Seeded { life, tasks } => {
                life.end();
                for task in tasks.get_mut().expect("not poisoned").drain(..) {
                    task.abort();
                }
            }
        }
    }
}
