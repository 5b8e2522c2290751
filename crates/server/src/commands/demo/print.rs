//! What the demo shows: one line per event, coloured where there is a terminal.

use std::{
    io::{IsTerminal as _, Write as _, stdout},
    sync::Arc,
};

/// Prints the demo.
#[derive(Clone)]
pub(super) struct Printer {
    colour: Arc<bool>,
}

/// A kind of line, by its colour.
#[derive(Clone, Copy)]
enum Ink {
    Bold,
    Dim,
    Green,
    Red,
    Cyan,
    Yellow,
}

impl Ink {
    const fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Cyan => "36",
        }
    }
}

impl Printer {
    /// Coloured if the output is a terminal and nobody asked for plain text.
    pub fn new() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour: Arc::new(stdout().is_terminal() && !plain) }
    }

    fn line(&self, ink: Ink, text: &str) {
        let line = if *self.colour {
            format!("\u{1b}[{}m{text}\u{1b}[0m\n", ink.code())
        } else {
            format!("{text}\n")
        };
        // A reader that has gone away has seen what it wanted.
        let _ = stdout().lock().write_all(line.as_bytes());
    }

    /// A heading.
    pub fn heading(&self, text: &str) {
        self.line(Ink::Bold, &format!("\n{text}"));
    }

    /// A remark.
    pub fn remark(&self, text: &str) {
        self.line(Ink::Dim, &format!("   {text}"));
    }

    /// Something was said.
    pub fn said(&self, who: &str, text: &str) {
        self.line(Ink::Cyan, &format!("   {who}: {text}"));
    }

    /// The receiver heard something.
    pub fn receiver(&self, text: &str) {
        self.line(Ink::Yellow, &format!("   receiver <- {text}"));
    }

    /// Something is as it should be.
    pub fn good(&self, text: &str) {
        self.line(Ink::Green, &format!("   {text}"));
    }

    /// Something is not.
    pub fn bad(&self, text: &str) {
        self.line(Ink::Red, &format!("   {text}"));
    }
}
