//! 2.7: figures about a project's sessions.

use axum::{Json, Router, extract::State, routing::get};
use epilogue_core::{Span, Timestamp};
use epilogue_engine::records::{OpenedWithin, ProjectStats};
use serde_json::{Value, json};

use super::{
    access::Reads,
    error::Error,
    history::{Parameters, parameter},
    paths,
};
use crate::Api;

const DAY: Span = Span::from_secs(86_400);
/// The last day that can be named, and when the one before it begins.
const LAST_DAY: &str = "9999-12-31";
const LAST_BUT_ONE: &str = "9999-12-30T00:00:00Z";

pub(super) fn routes() -> Router<Api> {
    paths::STATS.to(&get(stats))
}

/// When the day begins that a parameter names, in UTC.
fn day(given: &Parameters, name: &str) -> Result<Option<Timestamp>, Error> {
    let Some(text) = parameter(given, name) else { return Ok(None) };
    let shape = |(place, byte): (usize, u8)| match place {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    let is_shaped = text.len() == 10 && text.bytes().enumerate().all(shape);
    let begins = match text {
        // It begins later than any moment that can be written.
        LAST_DAY => Timestamp::parse(LAST_BUT_ONE).map(|begins| begins + DAY),
        text if is_shaped => Timestamp::parse(&format!("{text}T00:00:00Z")),
        _ => None,
    };
    let wrong = || Error::bad(format!("{name} must be a date of the form YYYY-MM-DD"));
    begins.map(Some).ok_or_else(wrong)
}

/// Sessions that were opened on these days, both included.
async fn stats(
    State(api): State<Api>,
    Reads(member): Reads,
    given: Parameters,
) -> Result<Json<Value>, Error> {
    let (from, last) = (day(&given, "startDate")?, day(&given, "endDate")?);
    if from.zip(last).is_some_and(|(from, last)| last < from) {
        return Err(Error::bad("endDate must not be before startDate"));
    }
    let opened = OpenedWithin { from, before: last.map(|last| last + DAY) };
    let stats = api.engine().project_stats(member.org(), &member.project.id, opened).await?;
    Ok(Json(json!({ "data": shown(&stats) })))
}

fn shown(stats: &ProjectStats) -> Value {
    let all = stats.active + stats.ended;
    json!({
        "totalSessions": all,
        "activeSessions": stats.active,
        "endedSessions": stats.ended,
        "totalMessages": stats.messages,
        "averageMessages": average(stats.messages, all),
        // Of those that have ended: how long the others will last, nobody knows.
        "averageDurationSeconds": average(stats.lasted.as_millis(), stats.ended.saturating_mul(1_000)),
    })
}

/// A quotient, rounded to hundredths; nothing of nothing.
fn average(sum: u64, count: u64) -> f64 {
    if count == 0 {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "figures to look at")]
    let quotient = sum as f64 / count as f64;
    (quotient * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use axum::extract::Query;

    use super::*;

    fn read(text: &str) -> Option<Timestamp> {
        day(&Query(vec![("startDate".into(), text.into())]), "startDate").ok().flatten()
    }

    #[test]
    fn a_day_is_written_in_one_way() {
        assert_eq!(read("1970-01-02"), Some(Timestamp::from_millis(86_400_000)));
        let days = ["9999-12-29", "9999-12-30", LAST_DAY].map(|text| read(text).expect("a day"));
        assert_eq!((days[0] + DAY, days[1] + DAY), (days[1], days[2]));
        assert_eq!(read("2024-02-29").map(Timestamp::as_secs), Some(1_709_164_800));
        for wrong in [
            "2023-02-29",
            "2024-13-01",
            "2024-00-10",
            "2024-1-1",
            "20240101",
            "2024-01-01T00:00",
            "2024/01/01",
            "-024-01-01",
            "today",
            "２０２４-01-01",
            " 2024-01-01",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn averages_of_nothing_are_nothing() {
        assert_eq!((average(0, 0), average(5, 0), average(1, 3)), (0.0, 0.0, 0.33));
    }
}
