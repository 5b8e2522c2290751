//! The command line. Names and exit codes are fixed: people and scripts rely on them.

mod memory;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

pub use self::memory::{
    CorrectArgs, FactArg, ForgetArgs, MemoryCommand, PersonArg, ShowMemoryArgs,
};
use crate::config::{Overrides, StorageUrl};

/// The file that is read when none is named and it is there.
const CONFIG_FILE: &str = "epilogue.toml";

/// A self-hosted conversation session engine.
#[derive(Debug, Parser)]
#[command(name = "epilogue", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str =
    "Exit codes: 0 success, 1 the thing failed, 2 wrong usage or configuration.";

/// What holds for every command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct GlobalArgs {
    /// The configuration file [default: epilogue.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE", env = "EPILOGUE_CONFIG")]
    pub config: Option<PathBuf>,
    /// The data folder; a SQLite database with a relative path lies in it [default: data]
    #[arg(long, global = true, value_name = "DIR", env = "EPILOGUE_DATA")]
    pub data: Option<PathBuf>,
}

impl GlobalArgs {
    /// The configuration file to read. A named one must exist; the usual one may.
    pub fn config_file(&self) -> Option<PathBuf> {
        let usual = PathBuf::from(CONFIG_FILE);
        self.config.clone().or_else(|| usual.exists().then_some(usual))
    }

    /// What they change in the configuration.
    pub fn overrides(&self) -> Overrides {
        Overrides { data: self.data.clone(), ..Overrides::default() }
    }
}

/// What the program can do.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the server
    Serve(ServeArgs),
    /// Show one conversation for every way a session can end, and stay up
    Demo(DemoArgs),
    /// Look at sessions, and end them
    Sessions {
        /// What about them.
        #[command(subcommand)]
        command: SessionsCommand,
    },
    /// Look at what ended sessions still owe
    Steps {
        /// What about them.
        #[command(subcommand)]
        command: StepsCommand,
    },
    /// Look at what is remembered of a person, put it right, and forget them
    Memory {
        /// What about it.
        #[command(subcommand)]
        command: MemoryCommand,
    },
    /// Make and revoke keys
    Keys {
        /// What about them.
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Bring the database's schema up to date, and nothing else
    Migrate(ServeArgs),
    /// Check the configuration, the data folder, the database and the ledger
    Doctor,
    /// The configuration
    Config {
        /// What about it.
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

/// `epilogue config`.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Print every key with its default and its meaning
    PrintDefault,
}

/// The arguments of `epilogue serve`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct ServeArgs {
    /// The address to listen on; wins over server.listen
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// The database; wins over storage.url
    #[arg(long, value_name = "URL")]
    pub storage: Option<StorageUrl>,
}

impl ServeArgs {
    /// What they and the global arguments change in the configuration.
    pub fn overrides(&self, global: &GlobalArgs) -> Overrides {
        Overrides { listen: self.listen, storage: self.storage.clone(), ..global.overrides() }
    }
}

/// The arguments of `epilogue demo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct DemoArgs {
    /// The address to listen on
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// Stop after the summary; the exit code says whether all went well
    #[arg(long)]
    pub exit: bool,
}

/// `epilogue sessions`.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum SessionsCommand {
    /// List sessions, the latest first
    List(ListArgs),
    /// Show one session with its steps and usage
    Show(OneArg),
    /// End a session
    End {
        /// Which.
        #[command(flatten)]
        session: OneArg,
        /// Why, for the activity log
        #[arg(long)]
        note: Option<String>,
    },
    /// Say why a session ended
    Why(OneArg),
}

/// `epilogue steps`.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum StepsCommand {
    /// List steps, the latest first
    List(ListArgs),
    /// Resume a parked step
    Retry(OneArg),
}

/// `epilogue keys`.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum KeysCommand {
    /// Make a key and print it, once
    Create {
        /// The organization it acts for
        #[arg(long, value_name = "ID")]
        organization: Option<String>,
        /// What it is called
        #[arg(long)]
        name: String,
        /// What it may do: read, operate or own
        #[arg(long, default_value = "operate", value_parser = ["read", "operate", "own"])]
        role: String,
        /// The one project it opens; without it, it is the organization's
        #[arg(long, value_name = "ID")]
        project: Option<String>,
    },
    /// Revoke a key
    Revoke {
        /// Its id, `key_…`: never the key itself
        id: String,
        /// The organization it acts for
        #[arg(long, value_name = "ID")]
        organization: Option<String>,
    },
}

/// Which part of a list is shown.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct ListArgs {
    /// The organization; needed when there are several
    #[arg(long, value_name = "ID")]
    pub organization: Option<String>,
    /// Only those in this state
    #[arg(long)]
    pub state: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
}

/// One session or step.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct OneArg {
    /// Its id: a session's may be the core's or its dialect's own
    pub id: String,
    /// The organization; needed when there are several
    #[arg(long, value_name = "ID")]
    pub organization: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
        ServeArgs::augment_args(clap::Command::new("serve")).debug_assert();
        SessionsCommand::augment_subcommands(clap::Command::new("sessions")).debug_assert();
        StepsCommand::augment_subcommands(clap::Command::new("steps")).debug_assert();
        MemoryCommand::augment_subcommands(clap::Command::new("memory")).debug_assert();
        KeysCommand::augment_subcommands(clap::Command::new("keys")).debug_assert();
    }

    #[test]
    fn global_arguments_may_follow_the_command() {
        let line = ["epilogue", "config", "print-default", "--config", "a.toml", "--data", "d"];
        let cli = Cli::try_parse_from(line).expect("a command line");
        assert_eq!(cli.command, Command::Config { command: ConfigCommand::PrintDefault });
        assert_eq!(cli.global.config_file(), Some("a.toml".into()));
        assert_eq!(cli.global.overrides().data, Some("d".into()));
    }

    #[test]
    fn wrong_usage_has_code_2() {
        let error = Cli::try_parse_from(["epilogue", "no-such-command"]).expect_err("unknown");
        assert_eq!(error.exit_code(), 2);
        let serve = ServeArgs::augment_args(clap::Command::new("serve"));
        let error = serve.try_get_matches_from(["serve", "--storage", "data.db"]).expect_err("bad");
        assert_eq!(error.exit_code(), 2);
    }
}
