//! Why a use case could not be carried out. What the caller did wrong is an outcome, not an error.

/// What a use case answers with.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A fault on our side.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed. Nothing happened.
    #[error("the store failed")]
    Store(#[from] epilogue_storage::Error),
    /// The server is shutting down and takes nothing new.
    #[error("the server is shutting down")]
    Draining,
    /// A task of ours ended before it answered: a defect.
    #[error("a task ended before it answered")]
    Task(#[from] tokio::task::JoinError),
}

impl Error {
    /// Whether what was asked for is too much for one search.
    pub const fn is_too_much(&self) -> bool {
        matches!(self, Self::Store(epilogue_storage::Error::TooMuch(_)))
    }

    /// Whether the same request may succeed if it is made again soon.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Store(error) => error.is_passing(),
            Self::Draining => true,
            Self::Task(_) => false,
        }
    }
}
