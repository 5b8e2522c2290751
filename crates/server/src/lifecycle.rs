//! Stopping in two stages: finish what is open, then cut.

use std::{io, pin::pin};

use epilogue_core::Span;
use epilogue_engine::clock::{Clock, within};
use futures::{Stream, StreamExt, stream};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A wish that the server stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// From a supervisor: `SIGTERM`.
    Terminate,
    /// From a keyboard: `SIGINT`.
    Interrupt,
}

/// The two stages. Cheap to clone; everything that runs holds one.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    /// Take nothing new, finish what is open.
    pub stop: CancellationToken,
    /// Drop what is still open.
    pub cut: CancellationToken,
}

impl Lifecycle {
    /// Waits for the first signal, or for a stop from within; then for the second one, or for the
    /// drain to run out. Ends when the cut has been ordered, so let it go once all is finished.
    pub async fn supervise(
        &self,
        signals: impl Stream<Item = Signal>,
        clock: &dyn Clock,
        drain: Span,
    ) {
        // A stream that has ended will never ask for anything.
        let mut signals = pin!(signals.chain(stream::pending()));
        tokio::select! {
            signal = signals.next() => tracing::info!(?signal, "stopping"),
            () = self.stop.cancelled() => {}
        }
        self.stop.cancel();
        let second = within(clock, drain, signals.next()).await.flatten();
        let cause = if second.is_some() { "a second signal" } else { "the drain took too long" };
        tracing::warn!(cause, "cutting what is still open");
        self.cut.cancel();
    }
}

/// The process's signals, from now on.
pub fn signals() -> io::Result<impl Stream<Item = Signal>> {
    let terminate = signal(SignalKind::terminate())?;
    let interrupt = signal(SignalKind::interrupt())?;
    Ok(stream::select(each(terminate, Signal::Terminate), each(interrupt, Signal::Interrupt)))
}

fn each(source: tokio::signal::unix::Signal, signal: Signal) -> impl Stream<Item = Signal> {
    stream::unfold(source, move |mut source| async move {
        source.recv().await.map(|()| (signal, source))
    })
}

#[cfg(test)]
mod tests {
    use epilogue_core::Timestamp;
    use epilogue_engine::clock::SimClock;
    use futures::{channel::mpsc, poll};

    use super::*;

    const DRAIN: Span = Span::from_secs(30);

    fn clock() -> SimClock {
        SimClock::at(Timestamp::from_millis(0))
    }

    #[tokio::test]
    async fn the_first_signal_stops_and_the_second_cuts() {
        let (lifecycle, clock) = (Lifecycle::default(), clock());
        let (sender, signals) = mpsc::unbounded();
        let mut supervision = pin!(lifecycle.supervise(signals, &clock, DRAIN));
        assert!(poll!(&mut supervision).is_pending());
        assert!(!lifecycle.stop.is_cancelled());
        sender.unbounded_send(Signal::Terminate).expect("sent");
        assert!(poll!(&mut supervision).is_pending());
        assert!(lifecycle.stop.is_cancelled() && !lifecycle.cut.is_cancelled());
        sender.unbounded_send(Signal::Interrupt).expect("sent");
        assert!(poll!(&mut supervision).is_ready());
        assert!(lifecycle.cut.is_cancelled());
    }

    #[tokio::test]
    async fn a_drain_that_takes_too_long_is_cut() {
        let (lifecycle, clock) = (Lifecycle::default(), clock());
        let signals = stream::iter([Signal::Terminate]);
        let mut supervision = pin!(lifecycle.supervise(signals, &clock, DRAIN));
        assert!(poll!(&mut supervision).is_pending());
        clock.advance(Span::from_millis(DRAIN.as_millis() - 1));
        assert!(poll!(&mut supervision).is_pending());
        assert!(!lifecycle.cut.is_cancelled());
        clock.advance(Span::from_millis(1));
        assert!(poll!(&mut supervision).is_ready());
        assert!(lifecycle.cut.is_cancelled());
    }

    #[tokio::test]
    async fn a_stop_from_within_drains_too() {
        let (lifecycle, clock) = (Lifecycle::default(), clock());
        let mut supervision = pin!(lifecycle.supervise(stream::pending(), &clock, DRAIN));
        assert!(poll!(&mut supervision).is_pending());
        lifecycle.stop.cancel();
        assert!(poll!(&mut supervision).is_pending());
        clock.advance(DRAIN);
        supervision.await;
        assert!(lifecycle.cut.is_cancelled());
    }

    #[tokio::test]
    async fn a_real_signal_arrives() {
        let mut signals = pin!(signals().expect("signals"));
        let pid = std::process::id().to_string();
        let killed = std::process::Command::new("kill").args(["-TERM", &pid]).status();
        assert!(killed.expect("kill runs").success());
        assert_eq!(signals.next().await, Some(Signal::Terminate));
    }
}
