//! The one connection that writes. It takes every decision that is waiting, makes them in one
//! transaction with one disk sync, and only then answers.
//!
//! A decision therefore costs a share of a sync under load and one sync when it is alone. One that
//! fails takes nobody else's down with it: the transaction is undone and its decisions are made
//! anew, each in a savepoint of its own. Failures are faults and rare, and savepoints copy every
//! page that a decision touches, so that the care is taken only then.

use std::{
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
    /// The connection, inside the transaction.
    pub connection: &'a Connection,
    /// Agents' versions, which never change.
    pub agents: &'a Agents,
    log: &'a Log,
}

impl Db<'_> {
    /// To be said by a decision that removes what must not stay: the log is emptied soon.
    pub fn removes(&self) {
        self.log.removes();
    }
}

/// How a commit went, or why there was none.
type Commit<'a> = Result<(), &'a Arc<Error>>;

/// A decision that somebody waits for.
trait Decision: Send {
    /// Makes it. `false`: it failed, and what it has written must be undone. May be called again
    /// once that is so: the latest result counts.
    fn make(&mut self, db: &Db<'_>) -> bool;

    /// Tells the caller, who may have gone away: the decision stands all the same.
    fn answer(self: Box<Self>, commit: Commit<'_>);

    /// Takes the reason of a failure out, if it failed.
    fn take_error(&mut self) -> Option<Error>;
}

struct Pending<T, F> {
    decide: F,
    result: Result<T>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T: Send, F: Fn(&Db<'_>) -> Result<T> + Send> Decision for Pending<T, F> {
    fn make(&mut self, db: &Db<'_>) -> bool {
        let made = catch_unwind(AssertUnwindSafe(|| (self.decide)(db)));
        self.result = made.unwrap_or_else(|_| {
            tracing::error!("a decision panicked and was rolled back: this is a defect");
            Err(Error::Other("the decision panicked".into()))
        });
        self.result.is_ok()
    }

    fn answer(self: Box<Self>, commit: Commit<'_>) {
        let _ = self.reply.send(commit.map_err(fault::shared).and(self.result));
    }

    fn take_error(&mut self) -> Option<Error> {
        std::mem::replace(&mut self.result, Err(Error::Closed)).err()
    }
}

/// The handle that callers hold. Dropping the last one stops the writer.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: Sender<Box<dyn Decision>>,
    tidies: Sender<oneshot::Sender<Result<()>>>,
    counters: Arc<Counters>,
    /// See [`Log::overdue`].
    overdue: Arc<AtomicU64>,
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
        let (tidies, tidying) = crossbeam_channel::bounded(1);
        let counters = Arc::<Counters>::default();
        let (counted, overdue) = (counters.clone(), log.overdue());
        let thread = Thread { connection, log, agents, waiting, tidying, counters: counted };
        thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || thread.run())
            .map_err(|source| Error::Other(source.into()))?;
        Ok(Self { jobs, tidies, counters, overdue })
    }

    /// Makes a decision and answers when it is on disk. It is made even if the caller goes away
    /// meanwhile, and made anew if one that shares its transaction fails: nothing of what it did
    /// before has happened then.
    pub async fn decide<T: Send + 'static>(
        &self,
        decision: impl Fn(&Db<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Pending { decide: decision, result: Err(Error::Closed), reply });
        match self.jobs.try_send(job) {
            Ok(()) => answer.await.unwrap_or(Err(Error::Closed)),
            Err(TrySendError::Full(_)) => {
                self.counters.shed.fetch_add(1, Relaxed);
                Err(Error::Overloaded)
            }
            Err(TrySendError::Disconnected(_)) => Err(Error::Closed),
        }
    }

    /// Folds the log back and empties it, between two commits.
    pub async fn tidy(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        match self.tidies.try_send(reply) {
            Ok(()) => answer.await.unwrap_or(Err(Error::Closed)),
            Err(TrySendError::Full(_)) => Err(Error::Overloaded),
            Err(TrySendError::Disconnected(_)) => Err(Error::Closed),
        }
    }

    pub fn stats(&self) -> CommitStats {
        CommitStats {
            commits: self.counters.commits.load(Relaxed),
            decisions: self.counters.decisions.load(Relaxed),
            shed: self.counters.shed.load(Relaxed),
            log_overdue_ms: self.overdue.load(Relaxed),
        }
    }
}

fn execute(connection: &Connection, sql: &str) -> Result<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

/// What the thread does next.
enum Next {
    Decision(Box<dyn Decision>),
    Tidy(oneshot::Sender<Result<()>>),
    Empty,
}

struct Thread {
    connection: Connection,
    log: Log,
    agents: Arc<Agents>,
    waiting: Receiver<Box<dyn Decision>>,
    tidying: Receiver<oneshot::Sender<Result<()>>>,
    counters: Arc<Counters>,
}

impl Thread {
    fn run(mut self) {
        while let Some(next) = self.next() {
            match next {
                Next::Decision(first) => {
                    self.commit_batch(first);
                    self.log.between_commits();
                }
                Next::Tidy(reply) => {
                    let _ = reply.send(self.log.empty_now());
                }
                Next::Empty => self.log.empty(),
            }
        }
    }

    /// What to do next. The log comes first: decisions may never cease. `None`: nobody is left.
    fn next(&self) -> Option<Next> {
        let due = self.log.due();
        if due.try_recv().is_ok() {
            return Some(Next::Empty);
        }
        if let Ok(reply) = self.tidying.try_recv() {
            return Some(Next::Tidy(reply));
        }
        if let Ok(first) = self.waiting.try_recv() {
            return Some(Next::Decision(first));
        }
        crossbeam_channel::select! {
            recv(self.waiting) -> first => first.ok().map(Next::Decision),
            recv(self.tidying) -> reply => match reply {
                Ok(reply) => Some(Next::Tidy(reply)),
                // The last decisions may be waiting all the same.
                Err(_) => self.waiting.recv().ok().map(Next::Decision),
            },
            recv(due) -> _ => Some(Next::Empty),
        }
    }

    /// Makes `first` and whatever waits behind it, commits, and answers.
    fn commit_batch(&self, first: Box<dyn Decision>) {
        let mut batch = vec![first];
        let commit = self.together(&mut batch).unwrap_or_else(|| self.one_by_one(&mut batch));
        let commit = commit.map_err(Arc::new);
        match &commit {
            Ok(()) => {
                self.counters.commits.fetch_add(1, Relaxed);
                self.counters.decisions.fetch_add(batch.len() as u64, Relaxed);
            }
            Err(cause) => {
                let error: &dyn std::error::Error = cause;
                tracing::error!(error, decisions = batch.len(), "a commit failed");
            }
        }
        for decision in batch {
            decision.answer(commit.as_ref().copied());
        }
    }

    /// Makes a batch as one. `None`: a decision failed, and nothing has happened.
    fn together(&self, batch: &mut Vec<Box<dyn Decision>>) -> Option<Result<()>> {
        if let Err(error) = execute(&self.connection, "BEGIN IMMEDIATE") {
            return Some(Err(error));
        }
        let db = Db { connection: &self.connection, agents: &self.agents, log: &self.log };
        while let Some(latest) = batch.last_mut() {
            if !latest.make(&db) {
                return self.roll_back().err().map(Err);
            }
            if batch.len() == BATCH_MAX {
                break;
            }
            let Ok(next) = self.waiting.try_recv() else { break };
            batch.push(next);
        }
        Some(self.commit())
    }

    /// Makes a batch so that each of its decisions happens whole or not at all, whatever it does.
    fn one_by_one(&self, batch: &mut [Box<dyn Decision>]) -> Result<()> {
        execute(&self.connection, "BEGIN IMMEDIATE")?;
        let db = Db { connection: &self.connection, agents: &self.agents, log: &self.log };
        for decision in batch {
            if let Err(error) = in_savepoint(&db, &mut **decision) {
                self.roll_back()?;
                return Err(error);
            }
        }
        self.commit()
    }

    fn commit(&self) -> Result<()> {
        let commit = execute(&self.connection, "COMMIT");
        if commit.is_err() {
            self.roll_back()?;
        }
        commit
    }

    /// Undoes a transaction, unless the fault that calls for it has done so.
    fn roll_back(&self) -> Result<()> {
        if self.connection.is_autocommit() {
            return Ok(());
        }
        execute(&self.connection, "ROLLBACK")
    }
}

/// Makes one decision, or nothing of it. An error is the whole batch's: some faults, such as a full
/// disk, make SQLite undo more than the decision that met them.
fn in_savepoint(db: &Db<'_>, decision: &mut dyn Decision) -> Result<()> {
    execute(db.connection, "SAVEPOINT decision")?;
    if decision.make(db) {
        return execute(db.connection, "RELEASE decision");
    }
    if db.connection.is_autocommit() {
        return Err(decision.take_error().unwrap_or(Error::Closed));
    }
    execute(db.connection, "ROLLBACK TO decision")?;
    execute(db.connection, "RELEASE decision")
}
