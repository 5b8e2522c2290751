//! Recalling: several ways of finding facts, made one order.

use epilogue_core::{
    Timestamp,
    memory::{BEGINNING, FactId, Ranking, fuse},
};
use epilogue_storage::{Episode, FactQuestion, FactView, FoundFacts};

use super::{EmbeddedMemory, MemoryError, RecallRequest, RecalledFact, Recollection};
use crate::memory::{RecalledEpisode, Source};

/// How many conversations are recalled where there are no facts, and where there are.
const EPISODES_ALONE: u32 = 5;
const EPISODES_BESIDE: usize = 2;

/// How many of the last conversations are looked at for those whose words fit.
const EPISODES_SEEN: u32 = 50;

/// How much each way of finding counts. Being near what fits, and having been told lately, only decide
/// between facts that fit about as well.
const BY_WORDS: f64 = 1.0;
const BY_VECTOR: f64 = 1.0;
const BY_DISTANCE: f64 = 0.4;
const BY_TIME: f64 = 0.2;

/// How much a fact still counts that is over, where no time is asked for.
const OVER: f64 = 0.5;

impl EmbeddedMemory {
    pub(super) async fn recollect(
        &self,
        asked: &RecallRequest,
    ) -> Result<Recollection, MemoryError> {
        let text = asked.query.clone().unwrap_or_default();
        let vector = self.vector(&text).await;
        let question = FactQuestion { text, vector, as_of: asked.as_of };
        let found = self.storage.find_facts(&asked.org, &asked.scope, &question).await?;
        let seen = if asked.query.is_some() { EPISODES_SEEN } else { EPISODES_ALONE };
        let latest = self.storage.recall(&asked.org, &asked.scope, seen).await?;
        let mut episodes = fitting(latest, &found, asked.query.is_some());
        let now = asked.as_of.is_none().then(|| self.clock.now());
        let facts = ranked(found, now, asked.limit as usize);
        let shown = if facts.is_empty() { EPISODES_ALONE as usize } else { EPISODES_BESIDE };
        episodes.truncate(shown);
        episodes.sort_by_key(|episode| std::cmp::Reverse(episode.at));
        Ok(Recollection { facts, episodes })
    }

    /// What a question is like. Nobody who asks waits in vain: without, its words are enough.
    async fn vector(&self, text: &str) -> Option<(String, Vec<f32>)> {
        let embeddings = self.embeddings.as_ref().filter(|_| !text.trim().is_empty())?;
        match embeddings.embed(&[text.to_owned()]).await {
            Ok(mut vectors) => vectors.pop().map(|vector| (embeddings.model().to_owned(), vector)),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "recalling by words alone"
                );
                None
            }
        }
    }
}

/// The conversations whose words fit, the best first; all of them if nothing was asked for.
fn fitting(latest: Vec<Episode>, found: &FoundFacts, is_asked: bool) -> Vec<RecalledEpisode> {
    let rank = |episode: &Episode| found.episodes.iter().position(|id| *id == episode.session);
    let mut ranked: Vec<_> = latest
        .into_iter()
        .map(|e| (rank(&e), e))
        .filter(|(r, _)| r.is_some() || !is_asked)
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    let recalled = |Episode { session, at, text, .. }| RecalledEpisode { session, at, text };
    ranked.into_iter().map(|(_, episode)| recalled(episode)).collect()
}

/// The facts in one order, the best first. What is over `now` comes after what fits about as well.
fn ranked(found: FoundFacts, now: Option<Timestamp>, limit: usize) -> Vec<RecalledFact> {
    let FoundFacts { by_words, by_vector, by_distance, by_time, mut facts, .. } = found;
    let orders = [
        Ranking { found: by_words, weight: BY_WORDS },
        Ranking { found: by_vector, weight: BY_VECTOR },
        Ranking { found: by_distance, weight: BY_DISTANCE },
        Ranking { found: by_time, weight: BY_TIME },
    ];
    let mut best = Vec::new();
    for (id, score) in fuse::<FactId>(&orders) {
        if let Some(place) = facts.iter().position(|view| view.fact.id == id) {
            let view = facts.swap_remove(place);
            let is_over = now.zip(view.fact.valid_until).is_some_and(|(now, until)| until <= now);
            best.push(fact(view, if is_over { score * OVER } else { score }));
        }
    }
    best.sort_by(|a, b| b.score.total_cmp(&a.score));
    best.truncate(limit);
    best
}

/// A fact as it is recalled.
pub(super) fn fact(view: FactView, score: f64) -> RecalledFact {
    let FactView { fact, subject, object, sources } = view;
    RecalledFact {
        id: fact.id.0.to_string(),
        subject,
        relation: fact.relation,
        object,
        sentence: fact.sentence,
        valid_from: Some(fact.valid_from).filter(|from| *from > BEGINNING),
        valid_until: fact.valid_until,
        learned_at: fact.learned_at,
        unlearned_at: fact.unlearned_at,
        sources: sources
            .into_iter()
            .map(|source| Source { session: Some(source.session), at: source.told_at })
            .collect(),
        score,
    }
}
