//! Has the conversations remembered by the memory itself, in a store of its own, and asks the questions.

use std::{path::Path, sync::Arc};

use epilogue_core::{
    AgentId, MemoryScope, OrgId, Person, SessionId,
    agent::{ModelSpec, SecretRef},
};
use epilogue_engine::{
    llm::{LanguageModel, Models},
    memory::{Conversation, EmbeddedMemory, Ingested, Memory, RecallRequest, RecalledFact},
};
use epilogue_storage::PageRequest;

use super::{
    Options,
    judge::{RECALLED, Verdict, judge},
    people::{Case, Question, Session},
    plain::{self, Words},
    written::Written,
};
use crate::Result;

/// How often a conversation is handed over again that is not remembered yet.
const ROUNDS_MAX: usize = 64;

/// What came of everything.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How many facts are known.
    pub facts: usize,
    /// Each question.
    pub asked: Vec<Asked>,
}

/// A question that was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// About whom.
    pub case: String,
    /// Whether the person's place in the set is an odd one.
    pub is_odd: bool,
    /// In which words.
    pub question: String,
    /// What the hybrid search recalled.
    pub recalled: Vec<String>,
    /// How good each search was.
    pub searched: Searched,
}

/// How good each search was.
#[derive(Clone, Copy, Debug)]
pub struct Searched {
    /// The memory's own.
    pub hybrid: Verdict,
    /// Full text as SQLite has it.
    pub full_text: Verdict,
    /// Full text with the memory's words over what was true on that day.
    pub dated: Verdict,
}

/// Does it all.
pub async fn run(cases: &[Case], options: &Options) -> Result<Outcome> {
    let folder = tempfile::tempdir()?;
    let memory = Remembering::start(folder.path(), options)?;
    let mut outcome = Outcome { facts: 0, asked: Vec::new() };
    for (case, place) in cases.iter().zip(1..) {
        let scope = memory.remember(case).await?;
        let facts = memory.facts(&scope).await?;
        outcome.facts += facts.len();
        for question in &case.questions {
            let asked = memory.ask(case, question, &scope, &facts, place % 2 == 1).await?;
            outcome.asked.push(asked);
        }
    }
    Ok(outcome)
}
