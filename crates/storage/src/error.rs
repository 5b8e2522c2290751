//! Why a decision could not be made durable. Nothing of it has happened.

/// The source of a fault, kept for the log.
type Source = Box<dyn std::error::Error + Send + Sync>;

/// What a backend can answer with.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A fault of the store. The kinds are what an operator can act on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// More decisions are waiting than the queue holds. Trying again shortly helps.
    #[error("the store has more work waiting than it takes")]
    Overloaded,
    /// Another process holds the database.
    #[error("the database is locked by another process")]
    Locked(#[source] Source),
    /// The database, its folder or its disk cannot be written.
    #[error("the database cannot be written")]
    ReadOnly(#[source] Source),
    /// The disk is full.
    #[error("the disk that holds the database is full")]
    Full(#[source] Source),
    /// The file is not a sound database.
    #[error("the database is damaged")]
    Corrupt(#[source] Source),
    /// The schema was written by a later version of Epilogue.
    #[error(
        "the database was written by a newer version (schema {found}, this binary knows {known})"
    )]
    TooNew {
        /// The schema's version.
        found: i32,
        /// The latest this binary knows.
        known: i32,
    },
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
    /// A search would look at more than one may.
    #[error("the search looks at too much")]
    TooMuch(#[source] Source),
    /// A stored row does not read back: it was changed by hand, or it is our defect.
    #[error("a stored {what} does not read back")]
    Unreadable {
        /// What kind of row.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        source: Source,
    },
    /// Anything else.
    #[error("the database failed")]
    Other(#[source] Source),
}

impl Error {
    /// Whether the same decision may succeed if it is tried again soon.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Overloaded | Self::Locked(_))
    }
}
