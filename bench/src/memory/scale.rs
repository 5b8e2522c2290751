//! Measures memory that is full: how long it takes to remember a conversation and to recall, with a
//! hundred people of whom ten thousand facts each are known.

use std::{fs, path::Path, sync::Arc};

use epilogue_core::{
    AgentId, MemoryScope, OrgId, Person, SessionId, Span, Timestamp, agent::ModelSpec,
};
use epilogue_engine::{
    clock::{Clock as _, SystemClock},
    ids::Ids,
    memory::{Conversation, EmbeddedMemory, Ingested, Memory as _, RecallRequest},
};
use epilogue_storage::{
    AbsorbOutcome, AbsorbRequest, Episode, GraphStore as _, MemoryStore as _, RememberRequest,
    sqlite::{self, SqliteStorage},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use tempfile::TempDir;

use super::{
    invented::{Invented, MESSAGES},
    written::Written,
};
use crate::{
    Result,
    load::{Latencies, count},
    report::{Aim, Figure},
    time::{self, Duration},
};

/// How many people fill at once, whose decisions share commits.
const FILLING: usize = 64;
/// In how many parts each conversation is absorbed.
const PARTS: u32 = 2;
/// What a conversation of usual size tells.
const FACTS_USUAL: usize = 10;
/// How many conversations of usual size are remembered.
const INGESTS: usize = 200;
/// How many recalls are measured of each kind.
const RECALLS: usize = 2_000;
/// As many facts as an open asks for.
const FACTS_RECALLED: u32 = 40;
/// How many recalls run at once.
const AT_ONCE: usize = 8;
/// How long the slowest of a hundred may take.
const RECALL_MS_MAX: f64 = 20.0;
/// How long a conversation may take to be remembered.
const PATIENCE: Span = Span::from_secs(60);
/// The same people in every run.
const SEED: u64 = 7;
/// A day in 2026, and how long it is between two conversations.
const FIRST_DAY: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const BETWEEN: Span = Span::from_secs(86_400);

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    people: usize,
    sessions: u64,
    facts_of_part: usize,
}

impl Scale {
    /// A million facts, or so few that filling takes seconds. With fewer `people` it is as much of each.
    pub fn new(is_quick: bool, people: Option<usize>) -> Self {
        // One more than fifty, for some are told twice.
        let (all, facts_of_part) = if is_quick { (10, 5) } else { (100, 51) };
        let people = people.unwrap_or(all).clamp(1, all);
        Self { people, sessions: 100, facts_of_part }
    }
}

/// Whose memory, of whom.
#[derive(Debug)]
struct Known<'a> {
    person: Person,
    scope: MemoryScope,
    life: Invented<'a>,
}

/// A full memory.
struct Full {
    storage: Arc<SqliteStorage>,
    memory: EmbeddedMemory,
    model: ModelSpec,
    written: Arc<Written>,
    org: OrgId,
    folder: TempDir,
}

/// Fills a memory and measures it. How large it was, and the figures.
pub async fn measure(scale: Scale, folder: &Path) -> Result<(String, Vec<Figure>)> {
    let chance = Arc::new(Ids::seeded(SEED));
    let full = Full::open(folder, &chance)?;
    let agent = AgentId::from("agent");
    let known: Vec<_> = (0..scale.people)
        .map(|number| {
            let person =
                Person::new(&format!("person {number}")).ok_or("a person without a name")?;
            Ok(Known { scope: person.memory_scope(&agent), person, life: Invented::new(&chance) })
        })
        .collect::<Result<_>>()?;
    let began = time::now();
    let filling = known.iter().map(|known| full.fill(known, scale, &chance));
    let learned: Vec<usize> = stream::iter(filling).buffer_unordered(FILLING).try_collect().await?;
    let filled = began.elapsed();
    let facts: usize = learned.iter().sum();
    let mut figures =
        vec![Figure::new("facts absorbed", count(facts) / filled.as_secs_f64(), "/s")];
    figures.push(Figure::new("database for a fact", full.bytes()? / count(facts), "bytes"));
    figures.extend(latencies(
        "a conversation of usual size",
        &full.ingest(&known, &chance).await?,
        None,
    ));
    for (kind, asks) in [("recall at an open", false), ("recall by a question", true)] {
        for at_once in [1, AT_ONCE] {
            let took = full.recall(&known, asks, at_once).await?;
            let name = format!("{kind}, {at_once} at once");
            figures.extend(latencies(&name, &took, (at_once == 1).then_some(RECALL_MS_MAX)));
        }
    }
    let Scale { people, sessions, .. } = scale;
    Ok((format!("{people} people × {sessions} conversations, {facts} facts"), figures))
}

fn latencies(name: &str, took: &Latencies, p99_max: Option<f64>) -> Vec<Figure> {
    let p99 = Figure::new(format!("{name}, p99"), took.quantile_ms(99), "ms");
    vec![
        Figure::new(format!("{name}, p50"), took.quantile_ms(50), "ms"),
        match p99_max {
            Some(max) => p99.aim(Aim::AtMost(max)),
            None => p99,
        },
        Figure::new(format!("{name}, worst"), took.worst_ms(), "ms"),
    ]
}

impl Full {
    fn open(folder: &Path, ids: &Arc<Ids>) -> Result<Self> {
        let folder = tempfile::tempdir_in(folder)?;
        let file = folder.path().join("epilogue.db");
        let storage = Arc::new(SqliteStorage::open(&file, &sqlite::Options::default())?);
        let written = Arc::<Written>::default();
        let clock = Arc::new(SystemClock);
        let memory = EmbeddedMemory::new(storage.clone(), written.clone(), clock, ids.clone());
        let model = json!({ "provider": "openai", "name": "written" });
        let org = OrgId::from("org_bench");
        Ok(Self { storage, memory, model: serde_json::from_value(model)?, written, org, folder })
    }

    /// Has everything remembered of one person, by the decisions that a model's answers are absorbed by.
    /// How many facts were new.
    async fn fill(&self, known: &Known<'_>, scale: Scale, ids: &Ids) -> Result<usize> {
        let mut learned = 0;
        for number in 0..scale.sessions {
            let at = FIRST_DAY + Span::from_millis(BETWEEN.as_millis() * number);
            let session = ids.session(at);
            let said = known.life.messages(at);
            let said: Vec<_> = said.into_iter().map(|message| message.body.content).collect();
            let text = said.join("\n");
            let episode = Episode { scope: known.scope.clone(), session, at, text };
            let person = known.person.key();
            let request = RememberRequest { episode, person, began_at: at, salt: ids.bytes() };
            self.storage.remember(&self.org, request).await?;
            for part in 0..PARTS {
                learned += self.absorb(known, session, (part, at), scale.facts_of_part).await?;
            }
        }
        Ok(learned)
    }

    async fn absorb(
        &self,
        known: &Known<'_>,
        session: SessionId,
        (part, at): (u32, Timestamp),
        facts: usize,
    ) -> Result<usize> {
        let request = AbsorbRequest {
            scope: known.scope.clone(),
            session,
            from: part,
            until: part + 1,
            told_at: at,
            extraction: known.life.extraction(facts),
            vectors: None,
        };
        match self.storage.absorb(&self.org, request, at).await? {
            AbsorbOutcome::Absorbed { learned, .. } => Ok(usize::try_from(learned)?),
            other => Err(format!("not absorbed: {other:?}").into()),
        }
    }

    /// Conversations of usual size, one after the other, as they are remembered in production, but for the
    /// time that a model takes.
    async fn ingest(&self, known: &[Known<'_>], ids: &Ids) -> Result<Latencies> {
        let mut took = Vec::new();
        for known in known.iter().cycle().take(INGESTS) {
            let at = SystemClock.now();
            let conversation = Conversation {
                org: self.org.clone(),
                scope: known.scope.clone(),
                person: known.person.clone(),
                session: ids.session(at),
                began_at: at,
                at,
                messages: known.life.messages(at),
                model: Some(self.model.clone()),
                patience: PATIENCE,
            };
            let extraction = known.life.extraction(FACTS_USUAL);
            self.written.lay_ready(serde_json::to_string(&extraction)?);
            let began = time::now();
            let ingested = self.memory.ingest(conversation).await?;
            took.push(began.elapsed());
            let is_whole = matches!(&ingested, Ingested::Remembered(detail) if detail.contains(&format!("{MESSAGES} of")));
            if !is_whole || !self.written.is_taken() {
                return Err(format!("not remembered: {ingested:?}").into());
            }
        }
        Ok(took.into_iter().collect())
    }

    /// Recalls about everybody in turn.
    async fn recall(&self, known: &[Known<'_>], asks: bool, at_once: usize) -> Result<Latencies> {
        let recalls = known.iter().cycle().take(RECALLS).map(|known| {
            let request = RecallRequest {
                org: self.org.clone(),
                scope: known.scope.clone(),
                query: asks.then(|| known.life.question()),
                as_of: None,
                limit: FACTS_RECALLED,
            };
            async move {
                let began = time::now();
                let recalled = self.memory.recall(&request).await?;
                let took = began.elapsed();
                if recalled.is_none_or(|recalled| recalled.facts.is_empty()) {
                    return Err("nothing was recalled".into());
                }
                Ok(took)
            }
        });
        let took: Result<Vec<Duration>> =
            stream::iter(recalls).buffer_unordered(at_once).try_collect().await;
        Ok(took?.into_iter().collect())
    }

    /// How large the database is, with what is not checkpointed yet.
    fn bytes(&self) -> Result<f64> {
        let mut bytes = 0;
        for entry in fs::read_dir(self.folder.path())? {
            bytes += entry?.metadata()?.len();
        }
        Ok(count(usize::try_from(bytes)?))
    }
}
