//! What the program does: one file per command.

mod config;
mod serve;

use crate::{
    cli::{Cli, Command},
    exit::Exit,
};

/// Does what the command line says.
pub fn dispatch(cli: Cli) -> Exit {
    match cli.command {
        Command::Serve(args) => serve::run(&cli.global, &args),
        Command::Config { command } => config::run(&command),
    }
}
