//! `epilogue config`.

use std::io::{self, Write};

use crate::{
    cli::ConfigCommand,
    config::DEFAULTS,
    exit::{Exit, complain},
};

pub(super) fn run(command: &ConfigCommand) -> Exit {
    match command {
        ConfigCommand::PrintDefault => print_default(&mut io::stdout().lock()),
    }
}

fn print_default(out: &mut impl Write) -> Exit {
    match out.write_all(DEFAULTS.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Exit::Success,
        // Whoever reads it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Success,
        Err(error) => complain(Exit::Failure, &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_printed_whole() {
        let mut out = Vec::new();
        assert_eq!(print_default(&mut out), Exit::Success);
        assert_eq!(out, DEFAULTS.as_bytes());
    }

    #[test]
    fn a_full_disk_is_a_failure() {
        let mut out = [0; 10];
        assert_eq!(print_default(&mut out.as_mut_slice()), Exit::Failure);
    }
}
