//! A person's memory as a graph: all of it page by page, or what fits a question.

use std::collections::BTreeSet;

use epilogue_core::{
    AgentId, OrgId, Person, Timestamp,
    memory::{EntityId, FactId},
};
use epilogue_storage::{Cursor, KnownFact, Page, PageRequest, SOURCES_SHOWN};

use super::{PersonMemory, ShownEntity, ShownFact};
use crate::{
    Engine,
    memory::{MemoryError, RecallRequest},
};

/// What is to be seen of a person's memory.
#[derive(Clone, Debug)]
pub struct MemoryQuestion {
    /// What this agent knows. `None`: what any does.
    pub agent: Option<AgentId>,
    /// What fits this, the best first, on one page. `None`: everything, the last told first.
    pub query: Option<String>,
    /// What was true then. `None`: whatever was, is or will be.
    pub as_of: Option<Timestamp>,
    /// Which page.
    pub page: PageRequest,
}

/// A part of a person's memory, as a graph.
#[derive(Clone, Debug, Default)]
pub struct MemoryGraph {
    /// Its edges.
    pub facts: Vec<ShownFact>,
    /// Their ends.
    pub entities: Vec<ShownEntity>,
    /// Where the next page begins. `None`: this was the last.
    pub next: Option<Cursor>,
}

/// What comes before the place within a memory, in a cursor.
const BORDER: char = ':';

impl Engine {
    /// What is known of a person. Nothing of somebody who is not known.
    pub async fn memory_graph(
        &self,
        org: &OrgId,
        person: &Person,
        asked: &MemoryQuestion,
    ) -> Result<MemoryGraph, MemoryError> {
        let memories = self.memories_asked(org, person, asked.agent.as_ref()).await?;
        let mut graph = MemoryGraph::default();
        if asked.query.is_some() || (asked.as_of.is_some() && !self.remembers_in_store()) {
            for memory in &memories {
                self.add_fitting(org, memory, asked, &mut graph).await?;
            }
            let score = |fact: &ShownFact| fact.score.unwrap_or_default();
            graph.facts.sort_by(|a, b| score(b).total_cmp(&score(a)));
            graph.facts.truncate(asked.page.limit() as usize);
            let shown: BTreeSet<_> = graph.facts.iter().flat_map(ends).collect();
            graph.entities.retain(|entity| shown.contains(&entity.id));
            return Ok(graph);
        }
        self.add_all(org, &memories, asked, &mut graph).await?;
        Ok(graph)
    }

    async fn memories_asked(
        &self,
        org: &OrgId,
        person: &Person,
        agent: Option<&AgentId>,
    ) -> Result<Vec<PersonMemory>, MemoryError> {
        let mut memories = self.memories_of(org, person).await?;
        if let Some(agent) = agent {
            let found = self.store().agent(org, agent).await?;
            let remembering = found.map(|(_, found)| found.remembers_as().clone());
            let scope = person.memory_scope(remembering.as_ref().unwrap_or(agent));
            memories.retain(|memory| memory.scope == scope);
        }
        Ok(memories)
    }

    /// What fits a question.
    async fn add_fitting(
        &self,
        org: &OrgId,
        memory: &PersonMemory,
        asked: &MemoryQuestion,
        graph: &mut MemoryGraph,
    ) -> Result<(), MemoryError> {
        let request = RecallRequest {
            org: org.clone(),
            scope: memory.scope.clone(),
            query: asked.query.clone(),
            as_of: asked.as_of,
            limit: asked.page.limit(),
        };
        let found = self.inner.parts.memory.recall(&request).await?.unwrap_or_default().facts;
        if !self.remembers_in_store() {
            graph.facts.extend(found.into_iter().map(|fact| memory.recalled(fact, true)));
            return Ok(());
        }
        let numbers = found.iter().filter_map(|fact| fact.id.parse().ok());
        let ids: Vec<_> = numbers.map(FactId).collect();
        let known = self.store().pick_facts(org, &memory.scope, &ids).await?;
        let score = |known: &KnownFact| {
            let id = known.view.fact.id.0.to_string();
            found.iter().find(|fact| fact.id == id).map(|fact| fact.score)
        };
        let known = known.into_iter().map(|known| (score(&known), known)).collect();
        self.add(org, memory, known, graph).await
    }

    /// A page of everything, one memory after the other.
    async fn add_all(
        &self,
        org: &OrgId,
        memories: &[PersonMemory],
        asked: &MemoryQuestion,
        graph: &mut MemoryGraph,
    ) -> Result<(), MemoryError> {
        let (from, mut after) = place(asked.page.after.as_ref());
        for memory in memories.iter().filter(|memory| *memory.scope.short() >= *from) {
            if memory.scope.short() != from {
                after = None;
            }
            let room = asked.page.limit().saturating_sub(count(graph));
            if room == 0 {
                graph.next = Some(Cursor { at: i64::MAX, key: border(memory, "") });
                return Ok(());
            }
            let page = PageRequest { after: after.take(), limit: room };
            let next = if self.remembers_in_store() {
                let Page { items, next } = self
                    .store()
                    .known_facts(org, &memory.scope, asked.as_of, SOURCES_SHOWN, &page)
                    .await?;
                let known = items.into_iter().map(|known| (None, known)).collect();
                self.add(org, memory, known, graph).await?;
                next
            } else {
                let found = self.inner.parts.memory.list(org, &memory.scope, &page).await?;
                let shown = found.items.into_iter().map(|fact| memory.recalled(fact, false));
                graph.facts.extend(shown);
                found.next
            };
            if let Some(next) = next {
                graph.next = Some(Cursor { at: next.at, key: border(memory, &next.key) });
                return Ok(());
            }
        }
        Ok(())
    }

    /// Adds facts of the store with their ends.
    async fn add(
        &self,
        org: &OrgId,
        memory: &PersonMemory,
        known: Vec<(Option<f64>, KnownFact)>,
        graph: &mut MemoryGraph,
    ) -> Result<(), MemoryError> {
        let both = |known: &KnownFact| [known.view.fact.subject, known.view.fact.object];
        let ends: BTreeSet<EntityId> = known.iter().flat_map(|(_, known)| both(known)).collect();
        if ends.contains(&EntityId::PERSON) {
            graph.entities.push(memory.person());
        }
        let ends: Vec<_> = ends.into_iter().collect();
        let entities = self.store().pick_entities(org, &memory.scope, &ends).await?;
        graph.entities.extend(entities.into_iter().map(|entity| memory.entity(entity)));
        graph.facts.extend(known.into_iter().map(|(score, known)| memory.known(known, score)));
        Ok(())
    }
}

fn count(graph: &MemoryGraph) -> u32 {
    u32::try_from(graph.facts.len()).unwrap_or(u32::MAX)
}

fn ends(fact: &ShownFact) -> impl Iterator<Item = String> {
    [fact.subject.entity.clone(), fact.object.entity.clone()].into_iter().flatten()
}

fn border(memory: &PersonMemory, key: &str) -> String {
    format!("{}{BORDER}{key}", memory.scope.short())
}

/// In which memory a page begins, and where in it.
fn place(after: Option<&Cursor>) -> (String, Option<Cursor>) {
    let Some(cursor) = after else { return (String::new(), None) };
    match cursor.key.split_once(BORDER) {
        Some((scope, "")) => (scope.to_owned(), None),
        Some((scope, key)) => (scope.to_owned(), Some(Cursor { at: cursor.at, key: key.into() })),
        None => (String::new(), None),
    }
}
