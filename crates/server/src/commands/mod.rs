//! What the program does: one file per command.

mod config;
mod demo;
mod doctor;
mod keys;
mod memory;
mod migrate;
mod serve;
mod sessions;
mod steps;
mod table;

use std::pin::Pin;

use crate::{
    cli::{Cli, Command, GlobalArgs},
    client::{Client, ClientError},
    config::Config,
    exit::{Exit, complain},
};

/// What a command does with a server, and what it prints.
type Asked<'a> = Pin<Box<dyn Future<Output = Result<String, ClientError>> + 'a>>;

/// A command that asks the server something.
struct Ask {
    organization: Option<String>,
    ask: Box<dyn for<'a> FnOnce(&'a Client) -> Asked<'a>>,
}

/// Does what the command line says.
pub fn dispatch(cli: Cli) -> Exit {
    match cli.command {
        Command::Serve(args) => serve::run(&cli.global, &args),
        Command::Demo(args) => demo::run(&cli.global, &args),
        Command::Sessions { command } => asking(&cli.global, sessions::run(command)),
        Command::Steps { command } => asking(&cli.global, steps::run(command)),
        Command::Memory { command } => asking(&cli.global, memory::run(command)),
        Command::Keys { command } => asking(&cli.global, keys::run(command)),
        Command::Migrate(args) => migrate::run(&cli.global, &args),
        Command::Doctor => doctor::run(&cli.global),
        Command::Config { command } => config::run(&command),
    }
}

/// Reads the configuration, finds the server, asks it, and prints what it says.
fn asking(global: &GlobalArgs, what: Ask) -> Exit {
    let config = match Config::load(global.config_file().as_deref(), global.overrides()) {
        Ok(config) => config,
        Err(error) => return complain(Exit::Usage, &error),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return complain(Exit::Failure, &error),
    };
    let asked = runtime.block_on(async {
        let client = Client::connect(&config, what.organization).await?;
        (what.ask)(&client).await
    });
    match asked {
        Ok(text) => {
            println!("{text}");
            Exit::Success
        }
        Err(error) => complain(Exit::Failure, &error),
    }
}

/// A value as people read it.
fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

/// The rows of a page.
fn items(page: &serde_json::Value) -> Vec<serde_json::Value> {
    page.get("items").and_then(serde_json::Value::as_array).cloned().unwrap_or_default()
}
