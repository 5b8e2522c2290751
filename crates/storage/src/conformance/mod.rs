//! suite
#![expect(missing_docs, reason = "x")]
pub mod audit; pub mod fixture; pub mod sessions; pub mod lists; pub mod turns; pub mod ends; pub mod deadlines; pub mod steps; pub mod leases; pub mod deliveries; pub mod ledger; pub mod directory; pub mod memory; pub mod tenants; pub mod persistence;

mod prelude {
    //! The traits, for their methods.
    pub use crate::{
        ActivityStore as _, DeliveryStore as _, DirectoryStore as _, LedgerStore as _,
        MemoryStore as _, SessionStore as _, StepStore as _, TurnStore as _,
    };
}
use std::future::Future;
use crate::Storage;
/// A backend.
pub trait Backend {
    /// Its store.
    type Store: Storage + 'static;
    /// fresh
    fn fresh(&self) -> impl Future<Output = Self::Store> + Send;
    /// reopen
    fn reopen(&self, store: Self::Store) -> impl Future<Output = Self::Store> + Send;
}
