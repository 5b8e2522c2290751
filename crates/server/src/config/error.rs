//! What an operator is told when a configuration does not hold: the file, the key, and what would
//! be right.

use std::{
    fmt::{self, Write as _},
    path::PathBuf,
};

use epilogue_engine::secret::SecretError;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is too large to be a configuration.
    #[error("{} is larger than {max} bytes, the most a configuration may have", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// The limit.
        max: u64,
    },
    /// The file is not TOML.
    #[error("{}, line {line}, column {column}: {message}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// It reads, and what it says cannot be used.
    #[error("{}", lines(.0))]
    Invalid(Vec<Problem>),
    /// A secret that is named cannot be had.
    #[error("{key}: the secret cannot be had")]
    Secret {
        /// The key that names it.
        key: String,
        /// Why.
        #[source]
        source: SecretError,
    },
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file and line, or the environment variable.
    pub place: Place,
    /// The key and what would be right.
    pub text: String,
}

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of a file, from 1.
    File(PathBuf, usize),
    /// An environment variable.
    Variable(String),
    /// The file as a whole: the setting stands nowhere.
    Nowhere(PathBuf),
    /// The defaults.
    Defaults,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, line) => write!(f, "{}, line {line}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Nowhere(path) => path.display().fmt(f),
            Self::Defaults => f.write_str("configuration"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

fn lines(problems: &[Problem]) -> String {
    let mut text = String::new();
    for (position, problem) in problems.iter().enumerate() {
        let separator = if position == 0 { "" } else { "\n" };
        // Writing to a string does not fail.
        let _ = write!(text, "{separator}{problem}");
    }
    text
}
