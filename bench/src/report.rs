//! What was measured, as a table for people and JSON for machines.

use std::{fmt::Write as _, fs, path::Path};

use serde::Serialize;

use crate::{Result, machine::Machine};

/// What a figure is held against.
#[derive(Clone, Debug, Serialize)]
pub struct Floor {
    /// What it is.
    pub name: String,
    /// What it came to in the same run, in the figure's unit.
    pub value: f64,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aim {
    /// At least this part of its floor.
    PartOfFloor(f64),
    /// At most this many times its floor.
    TimesFloor(f64),
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// What it came to: the median, if it was measured several times.
    pub value: f64,
    /// In what.
    pub unit: &'static str,
    /// What it is held against.
    pub floor: Option<Floor>,
    /// What it should be.
    pub aim: Option<Aim>,
}

impl Figure {
    /// A figure that stands by itself.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, floor: None, aim: None }
    }

    /// The same, held against a floor.
    #[must_use]
    pub fn over(mut self, name: &str, value: f64) -> Self {
        self.floor = Some(Floor { name: name.to_owned(), value });
        self
    }

    /// The same, with an aim.
    #[must_use]
    pub fn aim(mut self, aim: Aim) -> Self {
        self.aim = Some(aim);
        self
    }

    fn ratio(&self) -> Option<f64> {
        self.floor.as_ref().map(|floor| self.value / floor.value)
    }

    /// Whether it is what it should be. `None`: there is no aim.
    pub fn is_met(&self) -> Option<bool> {
        Some(match self.aim? {
            Aim::PartOfFloor(part) => self.ratio()? >= part,
            Aim::TimesFloor(times) => self.ratio()? <= times,
            Aim::AtMost(limit) => self.value <= limit,
            Aim::AtLeast(limit) => self.value >= limit,
        })
    }

    fn cells(&self) -> [String; 6] {
        let aim = self.aim.map_or(String::new(), |aim| match aim {
            Aim::PartOfFloor(part) => format!("≥ {part} of it"),
            Aim::TimesFloor(times) => format!("≤ {times} of it"),
            Aim::AtMost(limit) => format!("≤ {}", number(limit)),
            Aim::AtLeast(limit) => format!("≥ {}", number(limit)),
        });
        let floor = self.floor.as_ref();
        [
            self.name.clone(),
            format!("{} {}", number(self.value), self.unit).trim().to_owned(),
            floor.map_or(String::new(), |floor| format!("{}: {}", floor.name, number(floor.value))),
            self.ratio().map_or(String::new(), |ratio| format!("{ratio:.2}")),
            aim,
            self.is_met().map_or("", |met| if met { "yes" } else { "NO" }).to_owned(),
        ]
    }
}

/// A number with as many digits as matter.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Everything one command measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Which command.
    pub command: &'static str,
    /// How large it was.
    pub size: String,
    /// On what, and when.
    pub machine: Machine,
    /// What it found.
    pub figures: Vec<Figure>,
}

impl Report {
    /// The table, in Markdown.
    pub fn table(&self) -> String {
        let mut text = format!("{}\n\n`{}` ({})\n\n", self.machine, self.command, self.size);
        text +=
            "| Figure | Value | Floor, same run | Ratio | Aim | Met |\n|---|---|---|---|---|---|\n";
        for figure in &self.figures {
            // Writing to a string does not fail.
            let _ = writeln!(text, "| {} |", figure.cells().join(" | "));
        }
        text
    }

    /// Prints the table and keeps the figures as `FOLDER/COMMAND.json`.
    #[expect(clippy::print_stdout, reason = "the table is what the program is for")]
    pub fn publish(&self, folder: &Path) -> Result<()> {
        println!("{}", self.table());
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{}.json", self.command));
        fs::write(&path, serde_json::to_vec_pretty(self)?)?;
        println!("{}", path.display());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aims_are_met_at_the_limit_and_not_past_it() {
        let of = |value: f64, aim| Figure::new("x", value, "").over("y", 100.0).aim(aim).is_met();
        assert_eq!(of(50.0, Aim::PartOfFloor(0.5)), Some(true));
        assert_eq!(of(49.0, Aim::PartOfFloor(0.5)), Some(false));
        assert_eq!(of(120.0, Aim::TimesFloor(1.2)), Some(true));
        assert_eq!(of(121.0, Aim::TimesFloor(1.2)), Some(false));
        assert_eq!(of(3.0, Aim::AtMost(3.0)), Some(true));
        assert_eq!(of(3.1, Aim::AtMost(3.0)), Some(false));
        assert_eq!(of(3.0, Aim::AtLeast(3.0)), Some(true));
        assert_eq!(of(2.9, Aim::AtLeast(3.0)), Some(false));
        assert_eq!(Figure::new("x", 1.0, "").is_met(), None);
    }

    #[test]
    fn what_could_not_be_measured_meets_no_aim() {
        assert_eq!(Figure::new("x", f64::NAN, "").aim(Aim::AtMost(1.0)).is_met(), Some(false));
    }
}
