//! What the server says of itself.

use http::Method;

use crate::{
    Result,
    http::{Connection, call},
    server::Server,
    time::{self, Duration},
};

/// What the server holds of sessions that are seen, in figures that are nothing without any.
const HELD: [&str; 7] = [
    "epilogue_stage_sessions",
    "epilogue_stage_performed",
    "epilogue_stage_viewers",
    "epilogue_stage_addresses",
    "epilogue_stage_parts",
    "epilogue_stage_clips",
    "epilogue_steps_owed",
];
/// Open sessions, by their API. There is no such figure when there are none.
const OPEN: &str = "epilogue_sessions_open";
/// Moments of 20 ms that it left out because it was late.
const MISSED: &str = "epilogue_stage_missed";
/// Datagrams that the system did not take from it.
const UNSENT: &str = "epilogue_stage_datagrams_unsent";
/// How long it may take to let go of everything.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often we look.
const LOOK: Duration = Duration::from_millis(5);

/// The server's figures at one moment, as text.
pub struct Metrics(String);

impl Metrics {
    /// Asks for them.
    pub async fn read(server: &Server) -> Result<Self> {
        let look = call(Method::GET, "/metrics", &[], String::new())?;
        let answer = Connection::open(server.address).await?.send(look).await?.ok()?;
        Ok(Self(String::from_utf8(answer.body.into())?))
    }

    /// Moments of 20 ms that it left out because it was late.
    pub fn missed(&self) -> Result<f64> {
        self.figure(MISSED)
    }

    /// Datagrams that the system did not take from it.
    pub fn unsent(&self) -> Result<f64> {
        self.figure(UNSENT)
    }

    /// Whether nothing is held of any session.
    fn is_empty(&self) -> Result<bool> {
        let held = HELD.iter().map(|name| self.figure(name)).sum::<Result<f64>>()?;
        Ok(held + self.sum(OPEN).unwrap_or(0.0) < 0.5)
    }

    /// A figure. One that the server does not know is a mistake.
    fn figure(&self, name: &str) -> Result<f64> {
        Ok(self.sum(name).ok_or_else(|| format!("the server has no figure {name}"))?)
    }

    /// A figure, whatever it is told apart by.
    fn sum(&self, name: &str) -> Option<f64> {
        let values = self.0.lines().filter_map(|line| {
            let of = line.split(['{', ' ']).next()?;
            (of == name).then(|| line.rsplit(' ').next()?.parse::<f64>().ok())?
        });
        values.reduce(|sum, value| sum + value)
    }
}

/// Waits until the server holds nothing of any session. Returns how long that took.
pub async fn until_empty(server: &Server) -> Result<Duration> {
    let begun = time::now();
    while begun.elapsed() < PATIENCE {
        if Metrics::read(server).await?.is_empty()? {
            return Ok(begun.elapsed());
        }
        time::sleep(LOOK).await;
    }
    Err("the server does not let go of what has ended".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_read_by_its_whole_name_and_summed() {
        let metrics = Metrics(
            "# TYPE epilogue_sessions_open gauge\n\
             epilogue_sessions_open{dialect=\"kaltura\"} 3\n\
             epilogue_sessions_open{dialect=\"native\"} 1\n\
             epilogue_sessions_opened_total{dialect=\"kaltura\"} 7\n"
                .to_owned(),
        );
        assert!(metrics.sum(OPEN).is_some_and(|open| (open - 4.0).abs() < 1e-9));
        assert!(metrics.figure("epilogue_sessions").is_err());
    }

    #[test]
    fn nothing_is_held_when_every_figure_is_nothing() {
        let figures =
            |value: u32| -> String { HELD.map(|name| format!("{name} {value}\n")).concat() };
        assert!(Metrics(figures(0)).is_empty().expect("all are there"));
        assert!(!Metrics(figures(1)).is_empty().expect("all are there"));
        let open = format!("{}{OPEN}{{dialect=\"kaltura\"}} 1\n", figures(0));
        assert!(!Metrics(open).is_empty().expect("all are there"));
        assert!(Metrics(String::new()).is_empty().is_err(), "nothing said is not nothing held");
    }
}
