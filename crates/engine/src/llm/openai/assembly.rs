//! Puts an answer together from its chunks: text at once, tool calls when they are whole.
//! No I/O, and lenient where endpoints differ: only what cannot be understood is a fault.

use epilogue_core::message::ToolCall;
use serde::Deserialize;
use serde_json::Value;

use super::{super::ModelUsage, refusal::Kind};

/// How much a model may write in one answer: text, arguments and what it thinks.
pub const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// How many tools it may call in one answer.
pub const TOOL_CALLS_MAX: usize = 32;

/// How long the arguments of one call may be.
pub const ARGUMENTS_BYTES_MAX: usize = 64 * 1024;

/// Why something is not an answer. Holds nothing of what was sent.
#[derive(Debug, thiserror::Error, PartialEq)]
pub(super) enum Fault {
    #[error("the endpoint reported an error: {0}")]
    Reported(Kind),
    #[error("the endpoint sent no event stream")]
    NotAStream,
    #[error("an event is not a chunk of an answer, at its byte {0}")]
    NotAChunk(usize),
    #[error("an event is longer than {} bytes", super::answer::EVENT_BYTES_MAX)]
    EventTooLong,
    #[error("the event stream is not UTF-8")]
    NotUtf8,
    #[error("the answer is longer than {ANSWER_BYTES_MAX} bytes")]
    AnswerTooLong,
    #[error("the answer calls more than {TOOL_CALLS_MAX} tools")]
    ToolCallsTooMany,
    #[error("the arguments of a tool call are longer than {ARGUMENTS_BYTES_MAX} bytes")]
    ArgumentsTooLong,
    #[error("a tool call names no tool")]
    NamelessCall,
}

/// What a chunk brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Brought {
    /// Nothing that the model wrote.
    Nothing,
    /// Something that is not shown, or not yet: a thought, or a part of a tool call.
    Hidden,
    /// Text.
    Text(String),
}

#[derive(Deserialize)]
struct Chunk {
    error: Option<Value>,
    choices: Option<Vec<Choice>>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct WireUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<Content>,
    refusal: Option<String>,
    reasoning_content: Option<Value>,
    reasoning: Option<Value>,
    tool_calls: Option<Vec<Fragment>>,
}

/// Some endpoints wrap text into typed parts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
}

#[derive(Deserialize)]
struct Fragment {
    index: Option<u64>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<FunctionFragment>,
}

#[derive(Default, Deserialize)]
struct FunctionFragment {
    name: Option<String>,
    arguments: Option<Value>,
}

/// A tool call whose fragments are coming in.
struct OpenCall {
    index: Option<u64>,
    call: ToolCall,
}

/// An answer so far.
pub(super) struct Assembly {
    /// The number of the message this becomes, for ids that the endpoint does not give.
    seq: u32,
    calls: Vec<OpenCall>,
    written: usize,
    usage: Option<ModelUsage>,
    finished: bool,
}

impl Assembly {
    /// An answer that becomes message number `seq`.
    pub(super) fn new(seq: u32) -> Self {
        Self { seq, calls: Vec::new(), written: 0, usage: None, finished: false }
    }

    /// Whether a finish reason has come, whatever it was: only usage may follow.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether the model has written anything, thoughts included.
    pub(super) fn is_empty(&self) -> bool {
        self.written == 0
    }

    /// Whether a tool call has begun.
    pub(super) fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    /// Takes the next chunk.
    pub(super) fn take(&mut self, data: &str) -> Result<Brought, Fault> {
        // The parser's own words would quote the text.
        let chunk: Chunk = serde_json::from_str(data).map_err(|e| Fault::NotAChunk(e.column()))?;
        if let Some(error) = chunk.error {
            return Err(Fault::Reported(Kind::of(&error)));
        }
        let usage = chunk.usage.and_then(|usage| {
            let (prompt_tokens, completion_tokens) =
                (usage.prompt_tokens?, usage.completion_tokens?);
            Some(ModelUsage { prompt_tokens, completion_tokens })
        });
        self.usage = usage.or(self.usage);
        let Some(choice) = chunk.choices.into_iter().flatten().next() else {
            return Ok(Brought::Nothing);
        };
        let brought = choice.delta.map_or(Ok(Brought::Nothing), |delta| self.write(delta))?;
        match choice.finish_reason.as_deref() {
            None | Some("") => {}
            Some("error") => return Err(Fault::Reported(Kind::default())),
            Some(_) => self.finished = true,
        }
        Ok(brought)
    }

    fn write(&mut self, delta: Delta) -> Result<Brought, Fault> {
        let before = self.written;
        let thoughts = [delta.reasoning_content, delta.reasoning];
        let thought = thoughts.iter().flatten().filter_map(Value::as_str).map(str::len).max();
        self.count(thought.unwrap_or_default())?;
        for fragment in delta.tool_calls.into_iter().flatten() {
            self.extend_call(fragment)?;
        }
        let mut text = match delta.content {
            None => String::new(),
            Some(Content::Text(text)) => text,
            Some(Content::Parts(parts)) => parts.into_iter().filter_map(|part| part.text).collect(),
        };
        text.push_str(delta.refusal.as_deref().unwrap_or_default());
        self.count(text.len())?;
        Ok(match text.is_empty() {
            false => Brought::Text(text),
            true if self.written > before => Brought::Hidden,
            true => Brought::Nothing,
        })
    }

    fn count(&mut self, bytes: usize) -> Result<(), Fault> {
        self.written = self.written.saturating_add(bytes);
        if self.written > ANSWER_BYTES_MAX { Err(Fault::AnswerTooLong) } else { Ok(()) }
    }

    fn extend_call(&mut self, fragment: Fragment) -> Result<(), Fault> {
        let function = fragment.function.unwrap_or_default();
        let id = fragment.id.unwrap_or_default();
        let name = function.name.unwrap_or_default();
        let arguments = match function.arguments {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text,
            Some(whole) => whole.to_string(),
        };
        self.count(id.len() + name.len() + arguments.len())?;
        let at = match self.find_call(fragment.index, &id, &name) {
            Some(at) => at,
            None if self.calls.len() == TOOL_CALLS_MAX => return Err(Fault::ToolCallsTooMany),
            None => {
                let (id, name, arguments) = <(String, String, String)>::default();
                let call = ToolCall { id, name, arguments };
                self.calls.push(OpenCall { index: fragment.index, call });
                self.calls.len() - 1
            }
        };
        let call = &mut self.calls[at].call;
        if call.id.is_empty() {
            call.id = id;
        }
        if call.name.is_empty() {
            call.name = name;
        }
        if call.arguments.len() + arguments.len() > ARGUMENTS_BYTES_MAX {
            return Err(Fault::ArgumentsTooLong);
        }
        call.arguments.push_str(&arguments);
        Ok(())
    }

    /// The call a fragment belongs to. `None`: it opens another one.
    ///
    /// The index says which, but some endpoints leave it out, and some number all of their
    /// parallel calls 0: those differ by their ids, or each names its tool again.
    fn find_call(&self, index: Option<u64>, id: &str, name: &str) -> Option<usize> {
        let at = self.calls.iter().rposition(|open| match index {
            Some(_) => open.index == index,
            None => id.is_empty() || open.call.id == id,
        })?;
        let call = &self.calls[at].call;
        let names_again = !name.is_empty() && !call.name.is_empty();
        let another_id = !id.is_empty() && !call.id.is_empty() && call.id != id;
        let another = names_again && (another_id || (index.is_none() && id.is_empty()));
        (!another).then_some(at)
    }

    /// The tool calls, whole, and what the endpoint says it used.
    pub(super) fn finish(&mut self) -> Result<(Vec<ToolCall>, Option<ModelUsage>), Fault> {
        let mut calls: Vec<ToolCall> = Vec::new();
        for OpenCall { mut call, .. } in std::mem::take(&mut self.calls) {
            if call.name.is_empty() {
                return Err(Fault::NamelessCall);
            }
            // A result is matched to its call by the id, so there must be one, and it must differ.
            if call.id.is_empty() || calls.iter().any(|other| other.id == call.id) {
                call.id = format!("call_{}_{}", self.seq, calls.len());
            }
            calls.push(call);
        }
        Ok((calls, self.usage))
    }
}

#[cfg(test)]
#[path = "assembly_tests.rs"]
mod tests;
