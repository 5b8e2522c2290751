//! What a partial update says: each member of it is checked, those that are acted upon are laid over the
//! agent, and all of them are kept to be shown.

use epilogue_core::{
    AgentOverlay,
    analysis::{Label, LabelKind, RESULT},
    overlay::Change,
    variable_spec::{SPECS_MAX, VariableKind, VariableSpec},
    variables,
};
use serde_json::{Map, Number, Value};

use super::{
    Parts,
    hook::{self, webhook},
    part::{Part, given},
};
use crate::{Api, dialect::pathors::error::Error};

/// The longest name of an agent, in characters.
pub const NAME_CHARS_MAX: usize = 16;
/// The longest prompt, in characters.
pub const PROMPT_CHARS_MAX: usize = 50_000;
/// How long everything that was written may become, in bytes of JSON.
pub const DOCUMENT_BYTES_MAX: usize = 128 * 1024;
/// How many levels it may have.
pub const DOCUMENT_DEPTH_MAX: usize = 32;
/// The longest name of a time zone, in characters.
pub const TIMEZONE_CHARS_MAX: usize = 64;
/// How many answers an evaluation may choose from.
pub const OPTIONS_MAX: usize = 100;
/// The longest of them, and the longest name of a variable, in characters.
pub const WORD_CHARS_MAX: usize = 128;
/// The longest question, in characters.
pub const QUESTION_CHARS_MAX: usize = 10_000;

/// What is ours to say.
const OURS: [&str; 4] = ["id", "projectId", "createdAt", "updatedAt"];

const TYPES: [&str; 2] = ["monolithic", "skill"];
const STATUSES: [&str; 2] = ["draft", "published"];
const MODES: [&str; 3] = ["smart", "turbo", "balance"];

/// Lays an update over what a project has: what is acted upon, and what is shown.
pub(super) fn lay(
    api: &Api,
    update: &Map<String, Value>,
    parts: &Parts,
) -> Result<(AgentOverlay, Map<String, Value>), Error> {
    let (mut overlay, mut document) = (parts.overlay(), parts.document());
    for (name, value) in update.iter().filter(|(name, _)| !OURS.contains(&name.as_str())) {
        let part = Part::new(name, value);
        let mut shown = value.clone();
        match name.as_str() {
            "name" => overlay.name = Change::To(part.text(1, NAME_CHARS_MAX)?.to_owned()),
            "type" => part.word(&TYPES).map(drop)?,
            "status" => part.word(&STATUSES).map(drop)?,
            "executionMode" => part.word(&MODES).map(drop)?,
            "timezone" if !part.is_null() => part.text(1, TIMEZONE_CHARS_MAX).map(drop)?,
            "beforeStartConfig" if !part.is_null() => part.members().map(drop)?,
            "globalPrompt" => {
                overlay.prompt =
                    switched(&part, |part| Ok(part.text(0, PROMPT_CHARS_MAX)?.to_owned()))?;
            }
            "memoryEnabled" => overlay.memory = switched(&part, |part| Ok(part.flag()?.into()))?,
            "variableConfigs" => overlay.variables = switched(&part, variable_specs)?,
            "postEvaluationConfig" => overlay.evaluation = evaluation(&part)?,
            "postSessionVariableKeys" => {
                let keys = |part: &Part<'_>| part.texts(SPECS_MAX, WORD_CHARS_MAX);
                overlay.variable_keys = switched(&part, keys)?;
            }
            "postSessionWebhook" => {
                overlay.webhook = switched(&part, |part| webhook(api, part, parts))?;
                if let Change::To(hook) = &overlay.webhook {
                    hook::hide(&mut shown, &hook.url, parts);
                }
            }
            _ => {}
        }
        document.insert(name.clone(), shown);
    }
    hold(&document)?;
    Ok((overlay, document))
}

/// A part that null switches off.
fn switched<'a, T>(
    part: &Part<'a>,
    read: impl FnOnce(&Part<'a>) -> Result<T, Error>,
) -> Result<Change<T>, Error> {
    if part.is_null() { Ok(Change::Off) } else { read(part).map(Change::To) }
}

fn variable_specs(part: &Part<'_>) -> Result<Vec<VariableSpec>, Error> {
    let mut specs: Vec<VariableSpec> = Vec::new();
    for item in part.items(SPECS_MAX)? {
        let members = Part::new("variableConfigs", item).members()?;
        let null = Value::Null;
        let member = |name| members.get(name).unwrap_or(&null);
        let key = Part::new("variableConfigs.key", member("key")).text(1, WORD_CHARS_MAX)?;
        if specs.iter().any(|other| other.key == key) {
            return Err(part.wrong(format!("has `{key}` twice")));
        }
        let kind = match given(members, "type") {
            None => VariableKind::default(),
            Some(word) => kind(&Part::new("variableConfigs.type", word))?,
        };
        let description = match given(members, "description") {
            None => "",
            Some(text) => {
                Part::new("variableConfigs.description", text).text(0, QUESTION_CHARS_MAX)?
            }
        };
        specs.push(VariableSpec { key: key.to_owned(), kind, description: description.to_owned() });
    }
    Ok(specs)
}

fn kind(part: &Part<'_>) -> Result<VariableKind, Error> {
    let words = VariableKind::ALL.map(VariableKind::as_str);
    let word = part.word(&words)?;
    VariableKind::parse(word).ok_or_else(|| part.wrong("is unknown"))
}

/// What is asked about an ended conversation: one of some words, a number within bounds, or anything.
fn evaluation(part: &Part<'_>) -> Result<Change<Label>, Error> {
    if part.is_null() {
        return Ok(Change::Off);
    }
    let members = part.members()?;
    let below = |name: &'static str, member| given(members, member).map(|v| Part::new(name, v));
    let prompt = match below("postEvaluationConfig.prompt", "prompt") {
        Some(part) => part.text(0, QUESTION_CHARS_MAX)?,
        None => "",
    };
    let mut label = Label::new(RESULT, LabelKind::Text, prompt);
    if let Some(part) = below("postEvaluationConfig.enumOptions", "enumOptions") {
        label.options = part.texts(OPTIONS_MAX, WORD_CHARS_MAX)?;
    }
    if let Some(part) = below("postEvaluationConfig.numberConfig", "numberConfig") {
        label.kind = LabelKind::Number;
        (label.min, label.max) = bounds(&part)?;
    }
    if !label.options.is_empty() {
        (label.kind, label.min, label.max) = (LabelKind::Selector, None, None);
    }
    label.required = true;
    let enabled = match below("postEvaluationConfig.enabled", "enabled") {
        Some(part) => Some(part.flag()?),
        None => None,
    };
    // What says neither that it is on nor what may be answered asks nothing.
    let asks = enabled.unwrap_or(label.kind != LabelKind::Text);
    Ok(if asks { Change::To(label) } else { Change::Off })
}

fn bounds(part: &Part<'_>) -> Result<(Option<Number>, Option<Number>), Error> {
    let members = part.members()?;
    let bound = |name| match given(members, name) {
        None => Ok(None),
        Some(Value::Number(number)) => Ok(Some(number.clone())),
        Some(_) => Err(part.wrong("must have numbers as min and max")),
    };
    let (min, max) = (bound("min")?, bound("max")?);
    let value = |bound: &Option<Number>| bound.as_ref().and_then(Number::as_f64);
    match (value(&min), value(&max)) {
        (Some(least), Some(most)) if least > most => Err(part.wrong("must have min up to max")),
        _ => Ok((min, max)),
    }
}

/// Holds everything that was written to its bounds.
fn hold(document: &Map<String, Value>) -> Result<(), Error> {
    let deepest = document.values().map(variables::depth).max().unwrap_or(0);
    if deepest >= DOCUMENT_DEPTH_MAX {
        return Err(Error::bad(format!("The agent must have at most {DOCUMENT_DEPTH_MAX} levels")));
    }
    // A map of JSON values always has a text.
    let bytes = serde_json::to_vec(document).map_or(usize::MAX, |text| text.len());
    if bytes > DOCUMENT_BYTES_MAX {
        return Err(Error::too_large("The agent", DOCUMENT_BYTES_MAX));
    }
    Ok(())
}
