//! Parts of a query, and ids that are drawn here.

use url::form_urlencoded;

use super::error::Problem;
use crate::Api;

/// A part of a query, the last one if it is there twice. `None`: it is not there, or blank.
pub(super) fn text(query: &str, name: &str) -> Option<String> {
    let given = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name).last()?.1;
    Some(given.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A whole number that is not negative, in the range of int32.
pub(super) fn number(query: &str, name: &str) -> Result<Option<u32>, Problem> {
    let Some(given) = text(query, name) else { return Ok(None) };
    let number = given.parse::<i32>().ok().and_then(|number| u32::try_from(number).ok());
    let wrong = || Problem::field(name, "must be a whole number, and not negative");
    number.map(Some).ok_or_else(wrong)
}

/// A new id: version 7, so that what is made later comes later.
pub(super) fn drawn_id(api: &Api) -> String {
    let now = u64::try_from(api.engine().now().as_millis()).unwrap_or(0);
    let random = api.engine().ids().bytes();
    uuid::Builder::from_unix_timestamp_millis(now, &random).into_uuid().to_string()
}
