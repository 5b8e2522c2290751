//! Calls of tools that the caller runs between turns: which of them are open, and what may follow.
//!
//! A turn may end with calls open, for its caller to run. What comes next must keep the transcript
//! valid for replay: results answer the open calls, all of them and nothing else, or the calls are
//! closed without a result.

use std::collections::HashSet;

use crate::{
    message::{NewMessage, Role, Said, ToolCall},
    time::Timestamp,
};

/// What stands in the transcript as the result of a call that nobody answered.
pub const NO_RESULT: &str = "The call was given no result.";

/// Why messages do not go on from where a transcript stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// There are none.
    #[error("there is no message")]
    Nothing,
    /// A result of a call that is not open.
    #[error("no open tool call has the id {0}")]
    Unasked(String),
    /// A call that has another result already, or two calls of one id.
    #[error("the tool call {0} is there twice")]
    Doubled(String),
    /// Other calls beside this one have results.
    #[error("the tool call {0} has no result")]
    Missing(String),
}

/// The calls at the end of a transcript that have no result, in the order in which they were made.
pub fn open_calls<'a>(
    transcript: impl IntoIterator<Item = &'a NewMessage, IntoIter: DoubleEndedIterator>,
) -> Vec<&'a ToolCall> {
    let mut answered: Vec<&String> = Vec::new();
    for message in transcript.into_iter().rev() {
        if message.role != Role::Tool {
            let is_open = |call: &&ToolCall| match answered.iter().position(|id| **id == call.id) {
                Some(place) => {
                    answered.swap_remove(place);
                    false
                }
                None => true,
            };
            return message.tool_calls.iter().filter(is_open).collect();
        }
        answered.extend(&message.tool_call_id);
    }
    Vec::new()
}

/// Gives calls of no id, or of one that another has, ids of their own: results are matched by them.
pub fn with_ids(calls: &mut [ToolCall], turn: u32, message: usize) {
    for place in 0..calls.len() {
        let (before, rest) = calls.split_at_mut(place);
        let Some((call, after)) = rest.split_first_mut() else { return };
        let others = || before.iter().chain(&*after);
        if !call.id.is_empty() && before.iter().all(|other| other.id != call.id) {
            continue;
        }
        let mut id = format!("call_{turn}_{message}_{place}");
        while others().any(|other| other.id == id) {
            id.push('_');
        }
        call.id = id;
    }
}

/// Says of each of these calls that it was given no result.
pub fn without_result<'a>(
    calls: impl IntoIterator<Item = &'a ToolCall>,
    at: Timestamp,
) -> Vec<NewMessage> {
    calls.into_iter().map(|call| result(&call.id, at)).collect()
}

fn result(call: &str, at: Timestamp) -> NewMessage {
    NewMessage { tool_call_id: Some(call.into()), ..NewMessage::text(Role::Tool, NO_RESULT, at) }
}

/// What is to be written when `input` follows a transcript with these calls open: results in the
/// order of their calls, and a word for each call that nothing answers.
///
/// Clients that keep the conversation themselves send the agent's calls back before the results: the
/// latest message that repeats one of the open calls is passed over, with everything before it.
pub fn fit(open: &[ToolCall], input: Vec<Said>, at: Timestamp) -> Result<Vec<Said>, Misfit> {
    if input.is_empty() {
        return Err(Misfit::Nothing);
    }
    let repeats = |said: &Said| said.body.tool_calls.iter().any(|call| has(open, &call.id));
    let from = input.iter().rposition(repeats).map_or(0, |place| place + 1);
    if let (true, Some(call)) = (from == input.len(), open.first()) {
        return Err(Misfit::Missing(call.id.clone()));
    }
    let mut fitting = Fitting { open: open.to_vec(), results: Vec::new(), written: Vec::new(), at };
    for said in input.into_iter().skip(from) {
        fitting.take(said)?;
    }
    fitting.settle()?;
    Ok(fitting.written)
}

fn has(calls: &[ToolCall], id: &str) -> bool {
    calls.iter().any(|call| call.id == id)
}

/// Messages on their way into a transcript.
struct Fitting {
    open: Vec<ToolCall>,
    /// Of the open calls.
    results: Vec<Said>,
    written: Vec<Said>,
    at: Timestamp,
}

impl Fitting {
    fn take(&mut self, said: Said) -> Result<(), Misfit> {
        if said.body.role == Role::Tool {
            return self.answer(said);
        }
        self.settle()?;
        let mut ids = HashSet::new();
        if let Some(twice) = said.body.tool_calls.iter().find(|call| !ids.insert(&call.id)) {
            return Err(Misfit::Doubled(twice.id.clone()));
        }
        self.open.clone_from(&said.body.tool_calls);
        self.written.push(said);
        Ok(())
    }

    fn answer(&mut self, said: Said) -> Result<(), Misfit> {
        let id = said.body.tool_call_id.clone().unwrap_or_default();
        if self.results.iter().any(|result| result.body.tool_call_id == said.body.tool_call_id) {
            return Err(Misfit::Doubled(id));
        }
        if !has(&self.open, &id) {
            return Err(Misfit::Unasked(id));
        }
        self.results.push(said);
        Ok(())
    }

    /// Nothing more comes for the open calls: either all have results, or none has.
    fn settle(&mut self) -> Result<(), Misfit> {
        let nothing_came = self.results.is_empty();
        for call in std::mem::take(&mut self.open) {
            let of_call = |said: &Said| said.body.tool_call_id.as_ref() == Some(&call.id);
            match self.results.iter().position(of_call) {
                Some(place) => self.written.push(self.results.remove(place)),
                None if nothing_came => {
                    self.written.push(Said { body: result(&call.id, self.at), tokens: 0 });
                }
                None => return Err(Misfit::Missing(call.id)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "open_calls_tests.rs"]
mod tests;
