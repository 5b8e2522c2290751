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
struct Remembering { storage: epilogue_storage::sqlite::SqliteStorage, org: OrgId }
impl Remembering {
    fn start(folder: &Path, _options: &Options) -> Result<Self> {
        Ok(Self { storage: epilogue_storage::sqlite::SqliteStorage::open(&folder.join("m.db"), &Default::default())?, org: "org_bench".parse().map_err(|_| "org")? })
    }
    async fn remember(&self, case: &Case) -> Result<MemoryScope> {
        use epilogue_storage::*;
        let agent: AgentId = "agent".parse().map_err(|_| "agent")?;
        let person = Person::new(&case.name).ok_or("no name")?;
        let scope = person.memory_scope(&agent);
        for (n, (session, answer)) in case.sessions.iter().zip(&case.answers).enumerate() {
            let id = SessionId(uuid::Uuid::from_u128((case.name.len() as u128) << 32 | n as u128 | (case.questions.len() as u128) << 16));
            let episode = Episode { scope: scope.clone(), session: id, at: session.at, text: "x".into() };
            self.storage.remember(&self.org, RememberRequest { episode, person: person.key(), began_at: session.at, salt: [7; 16] }).await?;
            let extraction = epilogue_core::memory::Extraction::read(&answer.to_string())?.extraction;
            let got = self.storage.absorb(&self.org, AbsorbRequest { scope: scope.clone(), session: id, from: 0, until: 1, told_at: session.at, extraction, vectors: None }, session.at).await?;
            assert!(matches!(got, AbsorbOutcome::Absorbed { .. }), "{got:?}");
        }
        Ok(scope)
    }
    async fn facts(&self, scope: &MemoryScope) -> Result<Vec<RecalledFact>> {
        use epilogue_storage::*;
        let page = self.storage.list_facts(&self.org, scope, &PageRequest::first(500)).await?;
        Ok(page.items.into_iter().map(recalled).collect())
    }
    async fn ask(&self, case: &Case, question: &Question, scope: &MemoryScope, facts: &[RecalledFact], is_odd: bool) -> Result<Asked> {
        use epilogue_storage::*;
        use epilogue_core::memory::{fuse, Ranking};
        let found = self.storage.find_facts(&self.org, scope, &FactQuestion { text: question.ask.clone(), vector: None, as_of: question.as_of }).await?;
        let w = |n: &str, d: f64| std::env::var(n).ok().and_then(|v| v.parse().ok()).unwrap_or(d);
        let mut fused = fuse(&[Ranking { found: found.by_words, weight: w("WW", 1.0) }, Ranking { found: found.by_distance, weight: w("WD", 0.7) }, Ranking { found: found.by_time, weight: w("WT", 0.3) }]);
        let view = |id| found.facts.iter().find(|f| f.fact.id == id).expect("there").clone();
        for (id, score) in &mut fused { if question.as_of.is_none() && view(*id).fact.valid_until.is_some_and(|u| u <= case.today) { *score *= w("OVER", 0.5); } }
        fused.sort_by(|a, b| b.1.total_cmp(&a.1));
        let hybrid: Vec<RecalledFact> = fused.iter().take(RECALLED).map(|(id, _)| recalled(view(*id))).collect();
        let at = question.as_of.unwrap_or(case.today);
        let so = |f: &RecalledFact| plain::is_valid(f, at);
        let said = |found: &[RecalledFact]| found.iter().map(|f| (f.sentence.clone(), so(f))).collect::<Vec<_>>();
        let text = plain::search(facts, &question.ask, Words::Sqlite, None)?;
        let dated = plain::search(facts, &question.ask, Words::Ours, question.as_of)?;
        Ok(Asked { case: case.name.clone(), is_odd, question: question.ask.clone(), recalled: hybrid.iter().map(|f| f.sentence.clone()).collect(),
            searched: Searched { hybrid: judge(question, &said(&hybrid)), full_text: judge(question, &text.iter().map(|f| (f.sentence.clone(), true)).collect::<Vec<_>>()), dated: judge(question, &said(&dated)) } })
    }
}
fn recalled(v: epilogue_storage::FactView) -> RecalledFact {
    RecalledFact { id: v.fact.id.0.to_string(), subject: v.subject, relation: v.fact.relation, object: v.object, sentence: v.fact.sentence, valid_from: Some(v.fact.valid_from), valid_until: v.fact.valid_until, learned_at: v.fact.learned_at, unlearned_at: v.fact.unlearned_at, sources: vec![], score: 0.0 }
}
