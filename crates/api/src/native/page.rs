//! Pages of lists: `limit` and `cursor` in, `items` and `next_cursor` out.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use epilogue_engine::records::{Cursor, Page, PageRequest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::Problem;

/// How many items a page has when the caller does not say.
pub const LIMIT_DEFAULT: u32 = 50;

/// The largest page.
pub const LIMIT_MAX: u32 = PageRequest::LIMIT_MAX;

/// The longest cursor that is read, in bytes.
pub const CURSOR_BYTES_MAX: usize = 1_024;

/// A page of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Listed<T: ToSchema> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Give it as `cursor` to get the next page. Null: this is the last.
    pub next_cursor: Option<String>,
}

impl<T: ToSchema> Listed<T> {
    /// A page of the list called `list`, each row shown by `view`.
    pub(super) fn of<R>(list: &str, page: Page<R>, view: impl Fn(R) -> T) -> Self {
        let next_cursor = page.next.map(|cursor| write(list, &cursor));
        Self { items: page.items.into_iter().map(view).collect(), next_cursor }
    }
}

/// A cursor says which list it belongs to, so that it is not taken for a place in another.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    list: String,
    at: i64,
    key: String,
}

fn write(list: &str, cursor: &Cursor) -> String {
    let written = Written { list: list.to_owned(), at: cursor.at, key: cursor.key.clone() };
    // A text and a number: they always serialize.
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&written).unwrap_or_default())
}

fn read(list: &str, cursor: &str) -> Option<Cursor> {
    if cursor.len() > CURSOR_BYTES_MAX {
        return None;
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let written: Written = serde_json::from_slice(&bytes).ok()?;
    (written.list == list).then_some(Cursor { at: written.at, key: written.key })
}

/// Which page of the list called `list` is asked for.
pub(super) fn request(
    list: &str,
    limit: Option<u32>,
    cursor: Option<&str>,
) -> Result<PageRequest, Problem> {
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::field("limit", format!("must be from 1 to {LIMIT_MAX}")));
    }
    let broken = || Problem::field("cursor", "must be a next_cursor of this list");
    let after = cursor.map(|cursor| read(list, cursor).ok_or_else(broken)).transpose()?;
    Ok(PageRequest { after, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_size_at_the_limits_and_not_one_past_them() {
        for (limit, fits) in [(0, false), (1, true), (LIMIT_MAX, true), (LIMIT_MAX + 1, false)] {
            assert_eq!(request("x", Some(limit), None).is_ok(), fits, "{limit}");
        }
    }

    #[test]
    fn a_cursor_reads_back_in_its_own_list_and_in_no_other() {
        let cursor = Cursor { at: -7, key: "evt_é".into() };
        let written = write("steps", &cursor);
        assert_eq!(read("steps", &written), Some(cursor));
        assert_eq!(read("ledger", &written), None);
        for broken in ["", "!", "e30", &written[1..], &"A".repeat(CURSOR_BYTES_MAX + 1)] {
            assert!(request("steps", None, Some(broken)).is_err(), "{broken}");
        }
    }
}
