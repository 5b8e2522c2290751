//! What the server holds of avatar sessions, as whatever watches it is told.

use std::collections::{BTreeMap, BTreeSet};

use super::House;
use crate::support::eventually;

/// What is nothing when every avatar session is over.
const HELD: [&str; 10] = [
    "stage_sessions",
    "stage_performed",
    "stage_viewers",
    "stage_addresses",
    "stage_parts",
    "stage_clips",
    "stage_sound_seconds",
    "relay_allocations",
    "relay_connections",
    "tasks",
];

/// What a server holds.
pub type Figures = BTreeMap<String, f64>;

/// Whether a figure is this number.
pub fn is(figure: f64, number: u32) -> bool {
    (figure - f64::from(number)).abs() < 0.001
}

impl House {
    /// All figures, by name.
    pub async fn figures(&self) -> Figures {
        let asked = self.http.get(format!("{}/metrics", self.server.url())).send().await;
        let text = asked.expect("an answer").text().await.expect("text");
        let figure = |line: &str| {
            let (name, value) = line.split_once(' ')?;
            Some((name.strip_prefix("epilogue_")?.to_owned(), value.parse().ok()?))
        };
        text.lines().filter_map(figure).collect()
    }

    /// What is held now of avatar sessions, by name.
    pub async fn held(&self) -> Figures {
        let mut figures = self.figures().await;
        let held = HELD.map(|name| {
            let figure = figures.remove(name);
            (name.to_owned(), figure.unwrap_or_else(|| panic!("{name} is not told: {figures:?}")))
        });
        held.into_iter().collect()
    }

    /// Waits until there are as many sockets as before anybody came. Whoever asked has gone.
    pub async fn is_left_as(&self, before: &BTreeSet<u64>) {
        eventually("the sockets to be closed", async || {
            (self.server.sockets() == *before).then_some(())
        })
        .await;
    }

    /// Waits until nothing is held any more.
    pub async fn holds_nothing(&self) {
        eventually("everything to be free", async || {
            let held = self.held().await;
            held.values().all(|figure| is(*figure, 0)).then_some(())
        })
        .await;
    }
}
