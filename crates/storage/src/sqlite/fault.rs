//! SQLite's faults as the kinds an operator can act on.

use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::Error;

type Source = Box<dyn std::error::Error + Send + Sync>;

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match &error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..) => {
                Self::Unreadable { what: "row", source: error.into() }
            }
            _ => match error.sqlite_error_code() {
                Some(code) => of_code(code, error.into()),
                None => Self::Other(error.into()),
            },
        }
    }
}

/// One cause shared by every decision of a batch: each gets its kind, and the cause as source.
pub(super) fn shared(cause: &Arc<Error>) -> Error {
    let source: Source = cause.clone().into();
    match &**cause {
        Error::Locked(_) => Error::Locked(source),
        Error::ReadOnly(_) => Error::ReadOnly(source),
        Error::Full(_) => Error::Full(source),
        Error::Corrupt(_) => Error::Corrupt(source),
        _ => Error::Other(source),
    }
}

pub(super) fn of_code(code: ErrorCode, source: Source) -> Error {
    match code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Error::Locked(source),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => {
            Error::ReadOnly(source)
        }
        // Nothing else interrupts.
        ErrorCode::OperationInterrupted => Error::TooMuch(source),
        ErrorCode::DiskFull => Error::Full(source),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Error::Corrupt(source),
        _ => Error::Other(source),
    }
}
