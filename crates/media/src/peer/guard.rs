//! What keeps one viewer's connection from taking the others' along.
//!
//! One task carries all viewers of a node, and the engine below reads whatever anybody sends to it. It is
//! written in a safe language and is fuzzed by its authors; what it gets wrong all the same ends in a panic
//! (it has: <https://github.com/algesten/str0m/pull/709>), and would end everybody's stream.

use std::panic::{self, AssertUnwindSafe};

/// The engine below has failed in a way that it does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed;

/// Does something that may fail by a panic. Whatever it was doing it with is not to be used any more.
pub(crate) fn guarded<T>(act: impl FnOnce() -> T) -> Result<T, Failed> {
    panic::catch_unwind(AssertUnwindSafe(act)).map_err(|_| {
        #[cfg(test)]
        FAILURES.set(FAILURES.get() + 1);
        Failed
    })
}

#[cfg(test)]
thread_local! {
    /// How often something failed here, which is to be never unless a test wants it.
    pub(crate) static FAILURES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}
