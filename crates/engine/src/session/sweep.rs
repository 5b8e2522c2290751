//! Ending sessions that nobody ends: the sweeper sleeps until the next deadline, and no longer.

use std::sync::atomic::{AtomicI64, Ordering};

use epilogue_core::{EndRequest, Timestamp};
use epilogue_storage::DueSession;
use futures::{StreamExt as _, stream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{Engine, Result};

/// How many due sessions are looked up at a time.
const BATCH_MAX: u32 = 2_048;

/// How many of them are being ended at a time: enough to fill the store's commits.
const AT_ONCE: usize = 512;

/// When the sweeper must wake at the latest.
pub(crate) struct Alarm {
    set_for: AtomicI64,
    moved: Notify,
}

impl Default for Alarm {
    fn default() -> Self {
        Self { set_for: AtomicI64::new(i64::MAX), moved: Notify::new() }
    }
}

impl Alarm {
    /// Something is due then. Wakes the sweeper only if that is earlier than it thinks.
    pub fn due_at(&self, at: Timestamp) {
        let before = self.set_for.fetch_min(at.as_millis(), Ordering::AcqRel);
        if at.as_millis() < before {
            self.moved.notify_one();
        }
    }

    fn set(&self, at: Timestamp) {
        self.set_for.store(at.as_millis(), Ordering::Release);
    }
}

impl Engine {
    /// Ends every session that is due, and corrects the entries that came too early. Returns how
    /// many it looked at.
    pub async fn sweep(&self) -> Result<usize> {
        let mut looked_at = 0;
        loop {
            let due = self.store().due_sessions(self.now(), BATCH_MAX).await?;
            if due.is_empty() {
                return Ok(looked_at);
            }
            looked_at += due.len();
            let mut ends = stream::iter(due).map(|due| self.end_due(due)).buffer_unordered(AT_ONCE);
            let mut failed = None;
            while let Some(result) = ends.next().await {
                failed = failed.or(result.err());
            }
            // One that cannot be ended keeps none of the others; it is tried again shortly.
            if let Some(error) = failed {
                return Err(error);
            }
        }
    }

    async fn end_due(&self, due: DueSession) -> Result<()> {
        self.end(&due.org, due.id, EndRequest::due()).await.map(drop)
    }

    /// Sweeps until told to stop.
    pub async fn run_sweeper(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let wake_at = match self.sweep_and_look_ahead().await {
                Ok(wake_at) => wake_at,
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "sweeping failed");
                    self.now() + epilogue_core::Span::from_millis(200)
                }
            };
            // Whatever wakes it, the same look follows; only a stop comes before it.
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = self.clock().sleep_until(wake_at) => {}
                () = self.inner.alarm.moved.notified() => {}
            }
        }
    }

    /// Sweeps, and says when to sweep next. The alarm is set before the look ahead, so that a
    /// session opened meanwhile is not missed.
    async fn sweep_and_look_ahead(&self) -> Result<Timestamp> {
        self.sweep().await?;
        let latest = self.now() + self.limits().poll;
        self.inner.alarm.set(latest);
        let next = self.store().next_due_session().await?;
        let wake_at = next.map_or(latest, |next| next.min(latest));
        self.inner.alarm.due_at(wake_at);
        Ok(wake_at)
    }
}
