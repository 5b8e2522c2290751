//! Why a fact is believed.

use epilogue_core::{OrgId, Person};
use epilogue_storage::Episode;

use super::ShownFact;
use crate::{Engine, memory::MemoryError};

/// A fact, and what it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct WhyBelieved {
    /// The fact.
    pub fact: ShownFact,
    /// The conversations that say so, whole, the latest first, of many only some. None where somebody
    /// put the fact in the place of another.
    pub episodes: Vec<Episode>,
}

impl Engine {
    /// Why a fact is believed. `None`: the person has no such fact.
    pub async fn why_believed(
        &self,
        org: &OrgId,
        person: &Person,
        fact: &str,
    ) -> Result<Option<WhyBelieved>, MemoryError> {
        let Some((memory, id)) = self.fact_named(org, person, fact).await? else { return Ok(None) };
        let known = self.store().pick_facts(org, &memory.scope, &[id]).await?.pop();
        let told = self.store().why(org, &memory.scope, id).await?;
        // Between the two the fact may have gone.
        Ok(known.zip(told).map(|(known, (_, episodes))| {
            let fact = memory.known(known, None);
            WhyBelieved { fact, episodes }
        }))
    }
}
