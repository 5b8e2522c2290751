//! What Graphiti knows of a person, with when it was said.

use std::collections::HashMap;

use super::{
    Graphiti,
    client::ClientError,
    group::group,
    pieces::session_of,
    wire::{Fact, StoredEpisode},
};
use crate::memory::{RecallRequest, RecalledFact, Recollection, Source};

/// What is asked when nobody says what it is about.
const WHATEVER_MATTERS: &str =
    "personal information and facts about the user, what the user said, likes, has and does";

/// How many of the latest messages are read, to say when a fact was told.
const SOURCES_READ: u32 = 64;

/// How many conversations are named for one fact.
const SOURCES_MAX: usize = 3;

impl Graphiti {
    /// What fits a question best. One search: each costs the server a call of its model, and an open
    /// waits no longer for several.
    pub(super) async fn recalled(
        &self,
        asked: &RecallRequest,
    ) -> Result<Option<Recollection>, ClientError> {
        let group = group(&asked.org, &asked.scope);
        let query = asked.query.as_deref().unwrap_or(WHATEVER_MATTERS);
        let search = self.client.search(&group, query, asked.limit);
        let (facts, shown) = tokio::join!(search, self.client.episodes(&group, SOURCES_READ));
        // Facts are worth telling even if nobody knows when they were said.
        let episodes = shown.map(|shown| shown.episodes).unwrap_or_default();
        let by_uuid: HashMap<_, _> = episodes.iter().map(|e| (e.uuid.as_str(), e)).collect();
        let held = |fact: &Fact| {
            asked.as_of.is_none_or(|as_of| {
                let begun = fact.valid_at.is_none_or(|at| at <= as_of);
                begun && fact.invalid_at.is_none_or(|at| at > as_of)
            })
        };
        let facts = facts?.into_iter().filter(held).zip(1_u32..);
        let facts: Vec<_> = facts.map(|(fact, rank)| told(fact, rank, &by_uuid)).collect();
        Ok((!facts.is_empty()).then(|| Recollection { facts, episodes: Vec::new() }))
    }
}

fn told(fact: Fact, rank: u32, episodes: &HashMap<&str, &StoredEpisode>) -> RecalledFact {
    let found = fact.episodes.iter().filter_map(|uuid| episodes.get(uuid.as_str()));
    let mut sources: Vec<_> = found
        .filter_map(|e| Some(Source { session: session_of(&e.name), at: e.valid_at? }))
        .collect();
    sources.sort_by_key(|source| std::cmp::Reverse(source.at));
    sources.dedup_by_key(|source| source.session);
    sources.truncate(SOURCES_MAX);
    RecalledFact {
        id: fact.uuid,
        subject: fact.source_node_uuid,
        relation: fact.name.to_lowercase(),
        object: fact.target_node_uuid,
        sentence: fact.sentence,
        valid_from: fact.valid_at,
        valid_until: fact.invalid_at,
        learned_at: fact.created_at.or(fact.valid_at).unwrap_or_default(),
        unlearned_at: fact.expired_at,
        sources,
        score: 1.0 / f64::from(rank),
    }
}
