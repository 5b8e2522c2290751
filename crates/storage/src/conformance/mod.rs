//! The conformance suite: what every backend must do, written against the traits alone, so that
//! a backend's tests are one line and no two backends can drift apart.
//!
//! ```ignore
//! struct Files(tempfile::TempDir);
//! impl Backend for Files { /* … */ }
//! conformance_suite!(Files::new());
//! ```
//!
//! Each case is a function of a [`Backend`]; [`conformance_suite!`] makes a test of each. Time is
//! always passed in. Cases that race decisions run for many rounds, see [`race`]; after each the
//! whole store is held against its invariants, see [`audit`].

#![expect(missing_docs, reason = "the name of a case is the sentence that it checks")]
#![expect(clippy::missing_panics_doc, reason = "a case panics when the backend is at fault")]

use std::future::Future;

use crate::Storage;

pub mod audit;
pub mod companions;
pub mod connections;
pub mod curation;
pub mod deadlines;
pub mod deliveries;
pub mod directory;
pub mod endpoints;
pub mod ends;
pub mod erasures;
pub mod fixture;
pub mod gone;
pub mod graphs;
pub mod histories;
pub mod history;
pub mod leases;
pub mod ledger;
pub mod lists;
pub mod memory;
mod model;
pub mod open_calls;
pub mod persistence;
pub mod project_agents;
pub mod projects;
pub mod race;
pub mod races;
pub mod races_work;
pub mod searches;
pub mod sessions;
pub mod stages;
pub mod steps;
pub mod subscriptions;
mod suite;
pub mod tenants;
pub mod texting;
pub mod turns;
pub mod uploads;
pub mod variables;
pub mod whole_turns;

mod prelude {
    //! The traits, for their methods.
    pub use crate::{
        ActivityStore as _, AgentStore as _, CarrierStore as _, ConnectionStore as _,
        CurationStore as _, DeliveryStore as _, DirectoryStore as _, GraphStore as _,
        HistoryStore as _, InboxStore as _, IntegrationStore as _, LedgerStore as _,
        MemoryStore as _, ProjectAgentStore as _, ResultStore as _, SessionStore as _,
        StageStore as _, StepStore as _, SubscriptionStore as _, TurnStore as _, UploadStore as _,
    };
}

/// A backend as the suite sees it: something that makes stores. One value serves one case.
pub trait Backend {
    /// What it makes.
    type Store: Storage + 'static;

    /// Whether its stores decide in the order in which they are asked, even if they are asked again
    /// before they have answered. Races in order make use of it.
    const KEEPS_ORDER: bool;

    /// A store with nothing in it that nothing else uses.
    fn fresh(&self) -> impl Future<Output = Self::Store> + Send;

    /// The same store after a clean close: what was in it is still there.
    fn reopen(&self, store: Self::Store) -> impl Future<Output = Self::Store> + Send;
}
