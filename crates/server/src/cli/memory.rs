//! The arguments of `epilogue memory`.

use clap::{Args, Subcommand};

/// `epilogue memory`.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum MemoryCommand {
    /// List what is known of a person, the last told first
    Show(ShowMemoryArgs),
    /// Say why a fact is believed: the conversations it comes from
    Why(FactArg),
    /// Put another fact in the place of one that is wrong
    Correct(CorrectArgs),
    /// Delete a fact for good
    Delete(FactArg),
    /// Print everything that is remembered of a person, as JSON
    Export(PersonArg),
    /// Forget a person, and say what was removed where
    Forget(ForgetArgs),
}

/// Somebody.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct PersonArg {
    /// The person, as sessions name them: case and spaces make no difference
    pub person: String,
    /// The organization; needed when there are several
    #[arg(long, value_name = "ID")]
    pub organization: Option<String>,
}

/// A fact of somebody's.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct FactArg {
    /// Of whom.
    #[command(flatten)]
    pub person: PersonArg,
    /// The fact's id, as `show` prints it
    pub id: String,
}

/// The arguments of `epilogue memory show`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct ShowMemoryArgs {
    /// Of whom.
    #[command(flatten)]
    pub person: PersonArg,
    /// Only what this agent knows
    #[arg(long, value_name = "ID")]
    pub agent: Option<String>,
    /// Only what fits this, the best first
    #[arg(long, value_name = "TEXT")]
    pub query: Option<String>,
    /// Only what was true then: a day or a time
    #[arg(long, value_name = "DATE")]
    pub as_of: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: u32,
}

/// The arguments of `epilogue memory correct`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct CorrectArgs {
    /// Which fact.
    #[command(flatten)]
    pub fact: FactArg,
    /// The fact in words
    #[arg(long, required_unless_present_any = ["since", "until", "still"])]
    pub sentence: Option<String>,
    /// The other end, by name
    #[arg(long, value_name = "NAME", requires = "sentence")]
    pub object: Option<String>,
    /// What the other end is
    #[arg(long, default_value = "other", requires = "object", value_parser = [
        "person", "place", "organization", "animal", "thing", "event", "value", "other",
    ])]
    pub kind: String,
    /// Since when it has been true: a day or a time
    #[arg(long, value_name = "DATE")]
    pub since: Option<String>,
    /// Until when it was true: a day or a time
    #[arg(long, value_name = "DATE", conflicts_with = "still")]
    pub until: Option<String>,
    /// It still is true
    #[arg(long)]
    pub still: bool,
}

/// The arguments of `epilogue memory forget`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct ForgetArgs {
    /// Whom.
    #[command(flatten)]
    pub person: PersonArg,
    /// The transcripts of the person's sessions, too
    #[arg(long)]
    pub transcripts: bool,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::{Cli, Command};

    use super::*;

    fn read(line: &str) -> Option<MemoryCommand> {
        let words = ["epilogue", "memory"].into_iter().chain(line.split(' '));
        match Cli::try_parse_from(words).ok()?.command {
            Command::Memory { command } => Some(command),
            _ => None,
        }
    }

    #[test]
    fn a_correction_says_what_is_corrected() {
        let Some(MemoryCommand::Correct(args)) = read("correct ann f-1 --sentence so") else {
            panic!("a correction");
        };
        assert_eq!((args.fact.person.person.as_str(), args.fact.id.as_str()), ("ann", "f-1"));
        for wrong in [
            "correct ann f-1",
            "correct ann --sentence so",
            "correct ann f-1 --since 2026-01-01 --object Ulm",
            "correct ann f-1 --until 2026-01-01 --still",
            "correct ann f-1 --sentence so --object Ulm --kind city",
            "show ann --limit 501",
            "forget",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        for right in ["correct ann f-1 --still", "show ann --limit 500", "forget ann --transcripts"]
        {
            assert!(read(right).is_some(), "{right}");
        }
    }
}
