//! What is remembered of a person, for whoever is responsible for it: to be looked at, explained, put
//! right, taken away and handed out.
//!
//! A person has a memory for each agent that remembers them, or for several agents that share one. What
//! is in it is called by the beginning of the memory's digest and a number of its own.

mod correct;
mod export;
mod show;
mod view;
mod why;

use std::collections::BTreeMap;

use epilogue_core::{AgentId, MemoryScope, OrgId, Person, memory::FactId};

pub use self::{
    correct::Correction,
    export::{ExportPlace, Exported},
    show::{MemoryGraph, MemoryQuestion},
    view::{End, ShownCorrection, ShownEntity, ShownFact},
    why::WhyBelieved,
};
use super::MemoryError;
use crate::Engine;

/// One memory of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonMemory {
    /// Which one.
    pub scope: MemoryScope,
    /// Whose it is. `None`: an agent's that is not there any more.
    pub agent: Option<AgentId>,
}

impl Engine {
    /// Whether what is remembered is in the store, where single facts can be looked at and put right.
    pub fn remembers_in_store(&self) -> bool {
        self.inner.parts.memory.is_in_store()
    }

    /// Every memory in which something may be known of a person, in the order of their digests: those that
    /// the store knows, and one for each agent, for what was remembered before the store knew whose it is.
    pub async fn memories_of(
        &self,
        org: &OrgId,
        person: &Person,
    ) -> epilogue_storage::Result<Vec<PersonMemory>> {
        let agents = self.store().agents(org).await?;
        let mut memories: BTreeMap<String, Option<AgentId>> = BTreeMap::new();
        for (_, agent) in &agents {
            let remembering = agent.remembers_as();
            memories.insert(person.memory_scope(remembering).0, Some(remembering.clone()));
        }
        for scope in self.store().scopes_of(org, person.key()).await? {
            memories.entry(scope.0).or_default();
        }
        let memory = |(scope, agent)| PersonMemory { scope: MemoryScope(scope), agent };
        Ok(memories.into_iter().map(memory).collect())
    }

    /// The memory and the number of a fact of this name. `None`: the person has no such memory.
    async fn fact_named(
        &self,
        org: &OrgId,
        person: &Person,
        name: &str,
    ) -> Result<Option<(PersonMemory, FactId)>, MemoryError> {
        let Some((scope, number)) = name.split_once('-') else { return Ok(None) };
        let Ok(number) = number.parse() else { return Ok(None) };
        let memories = self.memories_of(org, person).await?;
        let found = memories.into_iter().find(|memory| memory.scope.short() == scope);
        Ok(found.map(|memory| (memory, FactId(number))))
    }
}
