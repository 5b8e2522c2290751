//! How the program ends. Scripts rely on the numbers.

use std::process::{ExitCode, Termination};

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Success,
    /// 1: the thing failed.
    Failure,
    /// 2: wrong usage or configuration. Trying again changes nothing.
    Usage,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.code().into()
    }
}

/// Tells the person at the terminal what is wrong, and ends that way.
pub fn complain(exit: Exit, error: &dyn std::error::Error) -> Exit {
    eprintln!("epilogue: {}", chain(error));
    exit
}

/// An error with everything that led to it, on one line: `what: why: why`.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigError;

    #[test]
    fn the_numbers_are_fixed() {
        assert_eq!([Exit::Success, Exit::Failure, Exit::Usage].map(Exit::code), [0, 1, 2]);
    }

    #[test]
    fn an_error_tells_its_causes() {
        let source = std::io::Error::other("disk on fire");
        let error = ConfigError::Unreadable { path: "e.toml".into(), source };
        assert_eq!(chain(&error), "e.toml cannot be read: disk on fire");
    }
}
