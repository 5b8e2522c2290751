//! Pages of long lists. A cursor is a place in the order of a list, so that a page costs the same
//! wherever it is, and a row that is added meanwhile moves nothing.

use serde::{Deserialize, Serialize};

/// Which page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Continue after this place. `None`: from the beginning.
    pub after: Option<Cursor>,
    /// At most this many rows; held to [`PageRequest::LIMIT_MAX`].
    pub limit: u32,
}

impl PageRequest {
    /// The largest page.
    pub const LIMIT_MAX: u32 = 500;

    /// The first page of at most `limit` rows.
    pub fn first(limit: u32) -> Self {
        Self { after: None, limit }
    }

    /// The limit, held to what is allowed.
    pub fn limit(&self) -> u32 {
        self.limit.clamp(1, Self::LIMIT_MAX)
    }
}

/// A place in a list: the time and the key of the last row that was seen. Opaque to callers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The row's time, in milliseconds.
    pub at: i64,
    /// The row's key, which tells apart rows of the same millisecond.
    pub key: String,
}

/// One page, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins. `None`: this is the last.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Makes a page from up to `limit + 1` rows: the one too many only says that there is more.
    pub fn from_rows(mut rows: Vec<T>, limit: u32, cursor: impl Fn(&T) -> Cursor) -> Self {
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = if more { rows.last().map(cursor) } else { None };
        Self { items: rows, next }
    }
}
