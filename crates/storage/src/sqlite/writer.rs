//! The one connection that writes. It takes every decision that is waiting, runs each in a
//! savepoint of its own, commits them together with one disk sync, and only then answers.
//!
//! A decision therefore costs a share of a sync under load and one sync when it is alone, and a
//! decision that fails takes nobody else's down with it.

use std::{
    cell::OnceCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{agents::Agents, fault, log::Log};
use crate::{CommitStats, Error, Result};

/// The most decisions in one commit: beyond it, a commit takes so long that callers notice.
const BATCH_MAX: usize = 512;

/// What a decision works on.
pub(super) struct Db<'a> {
    /// The connection, inside the decision's savepoint.
    pub connection: &'a Connection,
    /// Agents' versions, which never change.
    pub agents: &'a Agents,
    /// Why the whole batch is lost: some faults, such as a full disk, make SQLite roll back more
    /// than the decision that met them.
    lost: OnceCell<Arc<Error>>,
}

/// How a commit went, or why there was none.
type Commit<'a> = Result<(), &'a Arc<Error>>;

/// A decision that has run and waits for the commit to be answered.
type Answer = Box<dyn FnOnce(Commit<'_>) + Send>;

/// A decision: runs if it has something to run on, and hands back how to answer its caller.
type Job = Box<dyn FnOnce(Option<&Db<'_>>) -> Answer + Send>;

/// The handle that callers hold. Dropping the last one stops the writer.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: Sender<Job>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    commits: AtomicU64,
    decisions: AtomicU64,
    shed: AtomicU64,
}

impl Writer {
    /// Starts the thread that owns `connection`. At most `queue_max` decisions wait.
    pub fn start(
        connection: Connection,
        log: Log,
        agents: Arc<Agents>,
        queue_max: usize,
    ) -> Result<Self> {
        let (jobs, waiting) = crossbeam_channel::bounded(queue_max);
        let counters = Arc::<Counters>::default();
        let thread = Thread { connection, log, agents, waiting, counters: counters.clone() };
        thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || thread.run())
            .map_err(|source| Error::Other(source.into()))?;
        Ok(Self { jobs, counters })
    }

    /// Runs a decision and answers when it is on disk. The decision runs even if the caller goes
    /// away meanwhile.
    pub async fn decide<T: Send + 'static>(
        &self,
        decision: impl FnOnce(&Db<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |db| {
            let result = db.map_or(Err(Error::Closed), |db| in_savepoint(db, decision));
            Box::new(move |commit| {
                let result = commit.map_err(fault::shared).and(result);
                // The caller may have gone away: the decision stands all the same.
                let _ = reply.send(result);
            })
        });
        match self.jobs.try_send(job) {
            Ok(()) => answer.await.unwrap_or(Err(Error::Closed)),
            Err(TrySendError::Full(_)) => {
                self.counters.shed.fetch_add(1, Relaxed);
                Err(Error::Overloaded)
            }
            Err(TrySendError::Disconnected(_)) => Err(Error::Closed),
        }
    }

    pub fn stats(&self) -> CommitStats {
        CommitStats {
            commits: self.counters.commits.load(Relaxed),
            decisions: self.counters.decisions.load(Relaxed),
            shed: self.counters.shed.load(Relaxed),
        }
    }
}

/// Runs one decision so that it happens whole or not at all, whatever it does.
fn in_savepoint<T>(db: &Db<'_>, decision: impl FnOnce(&Db<'_>) -> Result<T>) -> Result<T> {
    execute(db.connection, "SAVEPOINT decision")?;
    let result = catch_unwind(AssertUnwindSafe(|| decision(db))).unwrap_or_else(|_| {
        tracing::error!("a decision panicked and was rolled back: this is a defect");
        Err(Error::Other("the decision panicked".into()))
    });
    match result {
        Err(error) if db.connection.is_autocommit() => {
            Err(fault::shared(db.lost.get_or_init(|| Arc::new(error))))
        }
        Err(error) => {
            execute(db.connection, "ROLLBACK TO decision")?;
            execute(db.connection, "RELEASE decision")?;
            Err(error)
        }
        Ok(value) => execute(db.connection, "RELEASE decision").map(|()| value),
    }
}

fn execute(connection: &Connection, sql: &str) -> Result<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

struct Thread {
    connection: Connection,
    log: Log,
    agents: Arc<Agents>,
    waiting: Receiver<Job>,
    counters: Arc<Counters>,
}

impl Thread {
    fn run(self) {
        while let Ok(first) = self.waiting.recv() {
            self.commit_batch(first);
            self.log.fold_between_commits(&self.connection);
        }
    }

    /// Runs `first` and whatever waits behind it, commits, and answers.
    fn commit_batch(&self, first: Job) {
        let (answers, commit) = match execute(&self.connection, "BEGIN IMMEDIATE") {
            Ok(()) => self.run_batch(first),
            Err(error) => (vec![first(None)], Err(Arc::new(error))),
        };
        match &commit {
            Ok(()) => {
                self.counters.commits.fetch_add(1, Relaxed);
                self.counters.decisions.fetch_add(answers.len() as u64, Relaxed);
            }
            Err(cause) => {
                let error: &dyn std::error::Error = cause;
                tracing::error!(error, decisions = answers.len(), "a commit failed");
            }
        }
        for answer in answers {
            answer(commit.as_ref().copied());
        }
    }

    fn run_batch(&self, first: Job) -> (Vec<Answer>, Result<(), Arc<Error>>) {
        let db = Db { connection: &self.connection, agents: &self.agents, lost: OnceCell::new() };
        let jobs = std::iter::once(first).chain(self.waiting.try_iter()).take(BATCH_MAX);
        let mut answers = Vec::new();
        for job in jobs {
            answers.push(job(Some(&db)));
            if let Some(cause) = db.lost.get() {
                return (answers, Err(cause.clone()));
            }
        }
        let commit = execute(&self.connection, "COMMIT");
        if commit.is_err() && !self.connection.is_autocommit() {
            // The cause is answered below; without this the next batch could not begin.
            let _ = execute(&self.connection, "ROLLBACK");
        }
        (answers, commit.map_err(Arc::new))
    }
}
