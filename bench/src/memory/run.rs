//! Has the conversations remembered by the memory itself, in a store of its own, and asks the questions.

use std::sync::Arc;

use epilogue_core::{
    AgentId, MemoryScope, OrgId, Person, Span, Timestamp,
    agent::{ModelSpec, SecretRef},
};
use epilogue_engine::{
    ids::Ids,
    llm::{LanguageModel, OpenAi},
    memory::{
        Conversation, EmbeddedMemory, Embeddings, EmbeddingsEndpoint, EndpointEmbeddings, Ingested,
        Memory, MemoryError, RecallRequest, RecalledFact,
    },
};
use epilogue_storage::{PageRequest, sqlite::SqliteStorage};
use serde_json::json;
use tempfile::TempDir;

use super::{
    Options,
    clock::SetClock,
    judge::{RECALLED, Verdict, judge},
    people::{Case, Question},
    plain::{self, Words},
    written::Written,
};
use crate::Result;

/// How often a conversation is handed over again that is not remembered yet.
const ROUNDS_MAX: usize = 64;

/// How long a model may be silent, which is long where it runs on the same machine.
const SILENCE_S: u64 = 300;

/// How long a model may take for a conversation.
const PATIENCE: Span = Span::from_secs(600);

/// The same for what sentences are like.
const EMBEDDING_PATIENCE: Span = Span::from_secs(60);

/// The same ids in every run.
const SEED: u64 = 6;

/// What came of everything.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How many facts are known.
    pub facts: usize,
    /// Of how many conversations the model gave no usable answer: nothing is known from them.
    pub unread: usize,
    /// Each question.
    pub asked: Vec<Asked>,
}

/// A question that was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// About whom.
    pub case: String,
    /// About what the person speaks.
    pub topics: Vec<String>,
    /// Whether the person's place in the set is an odd one.
    pub is_odd: bool,
    /// Whether the person speaks English.
    pub is_english: bool,
    /// In which words.
    pub question: String,
    /// What the memory's own search recalled.
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
    /// Full text with the memory's words and dates.
    pub dated: Verdict,
}

/// Does it all.
pub async fn run(cases: &[Case], options: &Options) -> Result<Outcome> {
    let bench = Remembering::start(options)?;
    let mut outcome = Outcome::default();
    for (case, place) in cases.iter().zip(1..) {
        let (scope, unread) = bench.remember(case).await?;
        outcome.unread += unread;
        let facts = bench.facts(&scope).await?;
        outcome.facts += facts.len();
        bench.clock.set(case.today);
        for question in &case.questions {
            let recalled = bench.recall(&scope, question).await?;
            outcome.asked.push(Asked {
                case: case.name.clone(),
                topics: case.topics.clone(),
                is_odd: place % 2 == 1,
                is_english: case.language == "en",
                question: question.ask.clone(),
                searched: searched(case, question, &facts, &recalled)?,
                recalled: recalled.into_iter().map(|fact| fact.sentence).collect(),
            });
        }
    }
    Ok(outcome)
}

/// How good each search is at one question.
fn searched(
    case: &Case,
    question: &Question,
    facts: &[RecalledFact],
    recalled: &[RecalledFact],
) -> Result<Searched> {
    let day = question.as_of.unwrap_or(case.today);
    let dated = |found: &[RecalledFact]| {
        found
            .iter()
            .map(|fact| (fact.sentence.clone(), plain::is_valid(fact, day)))
            .collect::<Vec<_>>()
    };
    // Without dates, everything is said as if it were so.
    let full_text: Vec<_> = plain::search(facts, &question.ask, Words::Sqlite, None)?
        .into_iter()
        .map(|fact| (fact.sentence, true))
        .collect();
    let ours = plain::search(facts, &question.ask, Words::Ours, question.as_of)?;
    Ok(Searched {
        hybrid: judge(question, &dated(recalled)),
        full_text: judge(question, &full_text),
        dated: judge(question, &dated(&ours)),
    })
}

/// A memory in a store of its own.
struct Remembering {
    memory: EmbeddedMemory,
    model: ModelSpec,
    written: Option<Arc<Written>>,
    clock: Arc<SetClock>,
    ids: Arc<Ids>,
    org: OrgId,
    agent: AgentId,
    _folder: TempDir,
}

impl Remembering {
    fn start(options: &Options) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("epilogue.db");
        let storage =
            Arc::new(SqliteStorage::open(&file, &epilogue_storage::sqlite::Options::default())?);
        let clock = Arc::new(SetClock::at(Timestamp::from_millis(0)));
        let ids = Arc::new(Ids::seeded(SEED));
        let written = options.model.is_none().then(Arc::<Written>::default);
        let models: Arc<dyn LanguageModel> = match &written {
            Some(written) => written.clone(),
            None => Arc::new(OpenAi::new(clock.clone(), ids.clone(), true)?),
        };
        let memory = EmbeddedMemory::new(storage, models, clock.clone(), ids.clone())
            .with_embeddings(embeddings(options, &clock)?);
        Ok(Self {
            memory,
            model: model(options)?,
            written,
            clock,
            ids,
            org: OrgId::from("org_bench"),
            agent: AgentId::from("agent"),
            _folder: folder,
        })
    }

    /// Has everything remembered that a person said. How many conversations could not be read.
    async fn remember(&self, case: &Case) -> Result<(MemoryScope, usize)> {
        let mut unread = 0;
        let person = Person::new(&case.name).ok_or("a person without a name")?;
        let scope = person.memory_scope(&self.agent);
        for (session, answer) in case.sessions.iter().zip(&case.answers) {
            self.clock.set(session.at);
            if let Some(written) = &self.written {
                written.lay_ready(answer.to_string());
            }
            let conversation = Conversation {
                org: self.org.clone(),
                scope: scope.clone(),
                person: person.clone(),
                session: self.ids.session(session.at),
                began_at: session.at,
                at: session.at,
                messages: session.transcript(),
                model: Some(self.model.clone()),
                patience: PATIENCE,
            };
            let is_read = self.ingest(conversation).await;
            let is_read = is_read.map_err(|error| format!("{}: {}", case.name, whole(&error)))?;
            unread += usize::from(!is_read);
            if self.written.as_ref().is_some_and(|written| !written.is_taken()) {
                return Err(format!("{}: the model was not asked", case.name).into());
            }
        }
        Ok((scope, unread))
    }

    /// Whether it could be read, and all of it.
    async fn ingest(&self, conversation: Conversation) -> std::result::Result<bool, MemoryError> {
        for _ in 0..ROUNDS_MAX {
            match self.memory.ingest(conversation.clone()).await {
                Ok(Ingested::Unfinished { .. }) => {}
                Ok(_) => return Ok(true),
                Err(MemoryError::Answer { .. }) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Everything that is known.
    async fn facts(&self, scope: &MemoryScope) -> Result<Vec<RecalledFact>> {
        let mut page = PageRequest::first(PageRequest::LIMIT_MAX);
        let mut facts = Vec::new();
        loop {
            let found = self.memory.list(&self.org, scope, &page).await?;
            facts.extend(found.items);
            match found.next {
                Some(next) => page.after = Some(next),
                None => return Ok(facts),
            }
        }
    }

    async fn recall(&self, scope: &MemoryScope, question: &Question) -> Result<Vec<RecalledFact>> {
        let request = RecallRequest {
            org: self.org.clone(),
            scope: scope.clone(),
            query: Some(question.ask.clone()),
            as_of: question.as_of,
            limit: u32::try_from(RECALLED)?,
        };
        let recalled = self.memory.recall(&request).await?;
        Ok(recalled.map(|recalled| recalled.facts).unwrap_or_default())
    }
}

/// An error with all its causes.
fn whole(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The model that reads conversations.
fn model(options: &Options) -> Result<ModelSpec> {
    let key = options.key.as_ref().map(|variable| format!("env:{variable}"));
    let spec = json!({
        "provider": "openai", "base_url": options.model, "name": options.name.as_deref().unwrap_or("written"),
        "api_key": key, "temperature": 0.0, "first_token_timeout_s": SILENCE_S, "stall_timeout_s": SILENCE_S,
    });
    Ok(serde_json::from_value(spec)?)
}

/// Who says what sentences are like, if anybody does.
fn embeddings(options: &Options, clock: &Arc<SetClock>) -> Result<Option<Arc<dyn Embeddings>>> {
    let (Some(base_url), Some(name)) = (&options.embeddings, &options.embeddings_name) else {
        return Ok(None);
    };
    let api_key = options.key.as_ref().map(|variable| SecretRef(format!("env:{variable}")));
    let endpoint = EmbeddingsEndpoint { base_url: base_url.parse()?, name: name.clone(), api_key };
    let embeddings = EndpointEmbeddings::new(endpoint, EMBEDDING_PATIENCE, clock.clone())?;
    Ok(Some(Arc::new(embeddings)))
}
