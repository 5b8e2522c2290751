//! The `epilogue` binary.

use clap::Parser as _;
use epilogue_server::{cli::Cli, commands, exit::Exit};

fn main() -> Exit {
    commands::dispatch(Cli::parse())
}
