//! Measures the server: `cargo run --release -p epilogue-bench -- ends|turns|expiry|idle|viewers`, and what
//! is remembered: `cargo run -p epilogue-bench -- memory`.
//!
//! Each command drives a real server process over the loopback, measures what it is held against
//! in the same run, prints a table and keeps the figures as JSON in `target/bench/`.

mod agent;
mod bare;
mod ends;
mod expiry;
mod floor;
mod http;
mod idle;
mod load;
mod look;
mod machine;
mod memory;
mod peers;
mod report;
mod seed;
mod server;
mod time;
mod turns;
mod viewers;

use std::{error::Error, path::PathBuf};

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    agent::Api,
    machine::Machine,
    report::{Figure, Report},
    time::Duration,
};

/// The result of anything here: what goes wrong ends the run, and is told.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Measures the server.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Under a minute: for a look, not for quoting
    #[arg(long, global = true, conflicts_with = "full")]
    quick: bool,
    /// At the sizes of the aims: millions of sessions, many minutes
    #[arg(long, global = true)]
    full: bool,
    /// How many sessions, whatever the size
    #[arg(long, global = true)]
    sessions: Option<usize>,
    /// How often the throughput measurements are repeated; the median counts
    #[arg(long, global = true, default_value_t = 3)]
    repetitions: usize,
    /// The API that `ends` are sent by
    #[arg(long, global = true, value_enum, default_value_t)]
    api: Api,
    /// A server that is built already
    #[arg(long, global = true)]
    server: Option<PathBuf>,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Durable ends a second, and how long one takes
    Ends,
    /// What the server adds to the first token, and how many streams it holds
    Turns,
    /// How late sessions expire, and how fast overdue ones are caught up with
    Expiry,
    /// What it costs to start, to hold open sessions and to have a long past
    Idle,
    /// How many viewers watch avatars at once without a stall, and how fast an end reaches them
    Viewers,
    /// How much of what people said is recalled when it is asked for
    Memory(memory::Options),
    #[command(hide = true)]
    EmptyServer,
}

impl Command {
    const fn name(&self) -> &'static str {
        match self {
            Self::Ends => "ends",
            Self::Turns => "turns",
            Self::Expiry => "expiry",
            Self::Idle => "idle",
            Self::Viewers => "viewers",
            Self::Memory(_) => "memory",
            Self::EmptyServer => "empty-server",
        }
    }
}

/// How large a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Under a minute.
    Quick,
    /// A few minutes.
    Usual,
    /// The sizes of the aims.
    Full,
}

impl Size {
    /// One value for each size.
    pub fn pick<T>(self, quick: T, usual: T, full: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Usual => usual,
            Self::Full => full,
        }
    }

    /// After which a run has failed.
    fn patience(self) -> Duration {
        Duration::from_mins(self.pick(5, 30, 180))
    }
}

/// What every measurement needs.
#[derive(Clone, Debug)]
pub struct Context {
    /// The server.
    pub binary: PathBuf,
    /// Where databases and results go.
    pub folder: PathBuf,
    /// How large the run is.
    pub size: Size,
    /// The API that ends are sent by.
    pub api: Api,
    /// How many sessions, if that is asked for.
    pub sessions: Option<usize>,
    /// How often throughput is measured.
    pub repetitions: usize,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if matches!(arguments.command, Command::EmptyServer) {
        return floor::serve_nothing();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Command::Memory(options) = &arguments.command {
        return runtime.block_on(memory::measure(options, arguments.quick, &results()?));
    }
    runtime.block_on(measure(arguments))
}

/// Where figures are kept.
fn results() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.ancestors().nth(2).ok_or("no target folder")?.join("bench");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

async fn measure(arguments: Arguments) -> Result<()> {
    let size = match (arguments.quick, arguments.full) {
        (true, _) => Size::Quick,
        (_, true) => Size::Full,
        _ => Size::Usual,
    };
    let folder = results()?;
    let binary = arguments.server.map_or_else(server::build, Ok)?;
    let context = Context {
        binary,
        folder: folder.clone(),
        size,
        api: arguments.api,
        sessions: arguments.sessions,
        repetitions: arguments.repetitions.max(1),
    };
    let machine = Machine::describe(&folder);
    let mut terminate = signal(SignalKind::terminate())?;
    // Whatever ends the run, what it started and wrote goes with it.
    let figures = tokio::select! {
        figures = tokio::time::timeout(size.patience(), figures(&arguments.command, &context)) => figures??,
        _ = tokio::signal::ctrl_c() => return Err("interrupted".into()),
        _ = terminate.recv() => return Err("terminated".into()),
    };
    let sessions = context.sessions.map_or("as usual".to_owned(), |sessions| sessions.to_string());
    let how = match arguments.command {
        Command::Viewers => "once".to_owned(),
        _ => format!("{:?}, median of {}", context.api, context.repetitions),
    };
    let size = format!("{size:?}, sessions {sessions}, {how}");
    Report { command: arguments.command.name(), size, machine, figures }.publish(&folder)
}

async fn figures(command: &Command, context: &Context) -> Result<Vec<Figure>> {
    match command {
        Command::Ends => ends::run(context).await,
        Command::Turns => turns::run(context).await,
        Command::Expiry => expiry::run(context).await,
        Command::Idle => idle::run(context).await,
        Command::Viewers => viewers::run(context).await,
        Command::Memory(_) | Command::EmptyServer => Ok(Vec::new()),
    }
}
