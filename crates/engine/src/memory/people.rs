//! Looking at what is remembered of a person, and putting it right.

use epilogue_core::{MemoryScope, OrgId, Person, memory::FactId};
use epilogue_storage::{Episode, FactCorrection, FactView, Page, PageRequest};

use super::{MemoryError, RecalledFact};
use crate::{Engine, Result};

/// What is remembered of a person under one scope.
#[derive(Clone, Debug, PartialEq)]
pub struct PersonMemory {
    /// Which scope: what one agent, or several that share a memory, know.
    pub scope: MemoryScope,
    /// The facts, the last told first.
    pub facts: Page<RecalledFact>,
}

impl Engine {
    /// What is remembered of a person, scope by scope; of each so many facts. Empty: nothing.
    pub async fn memory_of(
        &self,
        org: &OrgId,
        person: &Person,
        facts_max: u32,
    ) -> Result<Vec<PersonMemory>, MemoryError> {
        let scopes = self.scopes_of(org, person).await.map_err(|error| match error {
            crate::Error::Store(error) => MemoryError::Store(error),
            other => MemoryError::Service {
                service: "the store",
                why: other.to_string(),
                is_passing: true,
            },
        })?;
        let mut memory = Vec::new();
        for scope in scopes {
            let page = PageRequest::first(facts_max);
            let facts = self.inner.parts.memory.list(org, &scope, &page).await?;
            if !facts.items.is_empty() {
                memory.push(PersonMemory { scope, facts });
            }
        }
        Ok(memory)
    }

    /// Why a fact is believed: the conversations it comes from. `None`: there is no such fact.
    pub async fn why_believed(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        fact: FactId,
    ) -> Result<Option<(FactView, Vec<Episode>)>> {
        Ok(self.store().why(org, scope, fact).await?)
    }

    /// Puts a fact right. `false`: there is no such fact.
    pub async fn correct_fact(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        fact: FactId,
        correction: FactCorrection,
    ) -> Result<bool> {
        Ok(self.store().correct_fact(org, scope, fact, correction, self.now()).await?)
    }

    /// Removes a fact for good. `false`: there is no such fact.
    pub async fn drop_fact(&self, org: &OrgId, scope: &MemoryScope, fact: FactId) -> Result<bool> {
        Ok(self.store().drop_fact(org, scope, fact).await?)
    }
}
