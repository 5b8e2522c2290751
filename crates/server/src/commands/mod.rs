//! What the program does: one file per command.

mod config;

use crate::{
    cli::{Cli, Command},
    exit::Exit,
};

/// Does what the command line says.
pub fn dispatch(cli: Cli) -> Exit {
    match cli.command {
        Command::Config { command } => config::run(&command),
    }
}
