//! The layers of a configuration: compiled in, then the file, then the environment. The last one
//! that sets a key wins, and is remembered for the error when the key is wrong.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use serde::Deserialize as _;
use toml::{
    Table, Value,
    de::{DeTable, DeValue},
};

use super::{
    Config,
    error::{ConfigError, Place, Problem},
    path::{KeyPath, Segment},
    reader::Node,
    report::Report,
    words,
};

/// Every key, its default and its meaning.
pub const DEFAULTS: &str = include_str!("../../config.default.toml");
/// The largest configuration file, in bytes.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// What the names of environment variables for keys begin with.
const VARIABLE_PREFIX: &str = "EPILOGUE_";
/// What stands between the parts of a key in a variable's name. A variable without it, such as
/// `EPILOGUE_TOKEN_SECRET`, is not a key.
const VARIABLE_SEPARATOR: &str = "__";

/// What a configuration is made from.
#[derive(Debug)]
pub struct Layers {
    defaults: Table,
    file: Option<File>,
    variables: Vec<Variable>,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    text: String,
    table: Table,
}

#[derive(Debug)]
struct Variable {
    name: String,
    way: Vec<String>,
    value: Value,
}

/// The environment, as far as it is text.
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

impl Layers {
    /// Reads a file, if there is one, and the environment.
    pub fn read(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let text = file.map(read_bounded).transpose()?;
        Self::from_text(file.zip(text), environment)
    }

    /// The same from a text that is already in memory.
    pub fn from_text(
        file: Option<(&Path, String)>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let defaults = parse(Path::new("config.default.toml"), DEFAULTS)?;
        let file = match file {
            None => None,
            Some((path, text)) => {
                Some(File { path: path.to_owned(), table: parse(path, &text)?, text })
            }
        };
        let mut variables: Vec<_> = environment
            .into_iter()
            .filter_map(|(name, text)| Variable::read(name, text, &defaults))
            .collect();
        variables.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { defaults, file, variables })
    }

    /// The configuration they add up to, not checked yet.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let mut merged = self.defaults.clone();
        if let Some(file) = &self.file {
            merge(&mut merged, file.table.clone());
        }
        for variable in &self.variables {
            merge(&mut merged, variable.as_table());
        }
        Config::deserialize(Node::root(merged)).map_err(|fault| {
            let (path, text) = words::of_fault(&fault, &self.defaults);
            ConfigError::Invalid(vec![self.problem(&path, text)])
        })
    }

    /// Fails if the report notes anything.
    pub fn verdict(&self, report: Report) -> Result<(), ConfigError> {
        let problems: Vec<_> = report
            .into_problems()
            .into_iter()
            .map(|(path, text)| self.problem(&path, format!("{path} {text}")))
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(ConfigError::Invalid(problems)) }
    }

    fn problem(&self, path: &KeyPath, text: String) -> Problem {
        Problem { place: self.place(path), text }
    }

    /// Which layer set the key at `path`, or the table it is missing from.
    fn place(&self, path: &KeyPath) -> Place {
        let segments = path.segments();
        let variable = self.variables.iter().rev().find(|v| v.decides(segments));
        if let Some(variable) = variable {
            return Place::Variable(variable.name.clone());
        }
        let Some(file) = &self.file else { return Place::Defaults };
        match line_of(&file.text, segments) {
            Some(line) => Place::File(file.path.clone(), line),
            None => Place::Nowhere(file.path.clone()),
        }
    }
}

impl Variable {
    /// `None`: the variable is not ours, or not a key.
    fn read(name: String, text: String, defaults: &Table) -> Option<Self> {
        let key = name.strip_prefix(VARIABLE_PREFIX)?;
        key.contains(VARIABLE_SEPARATOR).then_some(())?;
        let way: Vec<_> = key.split(VARIABLE_SEPARATOR).map(str::to_lowercase).collect();
        let default = way.iter().skip(1).fold(defaults.get(&way[0]), |value, key| {
            value.and_then(Value::as_table).and_then(|table| table.get(key))
        });
        // A text needs no quotes; everything else is written as in the file.
        let value = match default {
            Some(Value::String(_)) => Value::String(text),
            _ => text.parse().unwrap_or(Value::String(text)),
        };
        Some(Self { name, way, value })
    }

    fn as_table(&self) -> Table {
        let mut ways = self.way.iter().rev();
        let innermost =
            ways.next().map(|key| Table::from_iter([(key.clone(), self.value.clone())]));
        ways.fold(innermost.unwrap_or_default(), |inner, key| {
            Table::from_iter([(key.clone(), Value::Table(inner))])
        })
    }

    /// Whether the variable set the key: it names the key itself, something around or inside it.
    fn decides(&self, segments: &[Segment]) -> bool {
        !segments.is_empty()
            && self
                .way
                .iter()
                .zip(segments)
                .all(|(key, segment)| matches!(segment, Segment::Key(other) if other == key))
    }
}

fn read_bounded(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(ConfigError::TooLarge { path: path.to_owned(), max: FILE_BYTES_MAX });
    }
    Ok(text)
}

fn parse(path: &Path, text: &str) -> Result<Table, ConfigError> {
    text.parse().map_err(|error: toml::de::Error| {
        // Only the message: the rest of the error quotes the line, which may hold a secret.
        let at = error.span().map_or(0, |span| span.start);
        let (line, column) = position(text, at);
        let message = error.message().to_owned();
        ConfigError::Syntax { path: path.to_owned(), line, column, message }
    })
}

/// The line and column, from 1, of a byte.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

/// Lays one table over another. Tables are merged, everything else is replaced.
fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// The line of a key, or of the innermost table on the way to it. `None`: not even its section.
fn line_of(text: &str, segments: &[Segment]) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let mut found = None;
    let mut here: Option<&DeValue<'_>> = None;
    for (depth, segment) in segments.iter().enumerate() {
        let table =
            if depth == 0 { Some(document.get_ref()) } else { here.and_then(DeValue::as_table) };
        let (at, value) = match segment {
            Segment::Key(key) => {
                let entry = table.and_then(|t| t.iter().find(|(k, _)| k.get_ref() == key));
                let Some((key, value)) = entry else { break };
                (key.span().start, value)
            }
            Segment::Index(index) => {
                let element = here.and_then(DeValue::as_array).and_then(|list| list.get(*index));
                let Some(value) = element else { break };
                (value.span().start, value)
            }
        };
        found = Some(position(text, at).0);
        here = Some(value.get_ref());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_on_its_line() {
        let text = "[a]\nb = 1\n\n[[c]]\nd = 1\n[[c]]\nd = { e = 2 }\n";
        let line = |path: &KeyPath| line_of(text, path.segments());
        let root = KeyPath::root();
        assert_eq!(line(&root.key("a").key("b")), Some(2));
        assert_eq!(line(&root.key("c").index(1).key("d").key("e")), Some(7));
        assert_eq!(line(&root.key("c").index(1)), Some(6));
        assert_eq!(line(&root.key("c").index(1).key("missing")), Some(6));
        assert_eq!(line(&root.key("z")), None);
    }

    #[test]
    fn a_file_at_the_size_limit_is_read_and_one_past_it_is_refused() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut text = "#".repeat(usize::try_from(FILE_BYTES_MAX).expect("fits"));
        std::fs::write(&file, &text).expect("written");
        assert!(read_bounded(file.path()).is_ok());
        text.push('#');
        std::fs::write(&file, &text).expect("written");
        assert!(matches!(read_bounded(file.path()), Err(ConfigError::TooLarge { .. })));
    }
}
