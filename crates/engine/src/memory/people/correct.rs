//! Putting one fact right, and taking one away. Each is one commit with its entry in the activity log.

use epilogue_core::{
    OrgId, Person,
    memory::{FactCorrection, Impossible, fact_name},
};
use epilogue_storage::{CorrectFactOutcome, CorrectFactRequest};

use super::ShownFact;
use crate::{Engine, memory::MemoryError};

/// What came of putting a fact right.
#[derive(Clone, Debug, PartialEq)]
pub enum Correction {
    /// This fact has taken its place.
    Corrected(Box<ShownFact>),
    /// The person has no such fact.
    Unknown,
    /// Another has taken its place before: this one.
    Superseded(String),
    /// It cannot be like that.
    Impossible(Impossible),
}

impl Engine {
    /// Puts another fact in the place of one of a person's. The old one stays as something that was
    /// believed for a while and never was.
    pub async fn correct_fact(
        &self,
        org: &OrgId,
        person: &Person,
        fact: &str,
        correction: FactCorrection,
        by: Option<String>,
    ) -> Result<Correction, MemoryError> {
        let Some((memory, id)) = self.fact_named(org, person, fact).await? else {
            return Ok(Correction::Unknown);
        };
        let scope = memory.scope.clone();
        let request = CorrectFactRequest { org: org.clone(), scope, fact: id, correction, by };
        let new = match self.store().correct_fact(request, self.now()).await? {
            CorrectFactOutcome::Corrected(new) => new,
            CorrectFactOutcome::Unknown => return Ok(Correction::Unknown),
            CorrectFactOutcome::Superseded(by) => {
                return Ok(Correction::Superseded(fact_name(&memory.scope, by)));
            }
            CorrectFactOutcome::Impossible(why) => return Ok(Correction::Impossible(why)),
        };
        let known = self.store().pick_facts(org, &memory.scope, &[new]).await?.pop();
        // It may have been taken away already.
        let shown = known.map(|known| Box::new(memory.known(known, None)));
        Ok(shown.map_or(Correction::Unknown, Correction::Corrected))
    }

    /// Takes one of a person's facts away for good, with its words, its embedding and its sources. `false`:
    /// the person has no such fact.
    pub async fn drop_fact(
        &self,
        org: &OrgId,
        person: &Person,
        fact: &str,
        by: Option<String>,
    ) -> Result<bool, MemoryError> {
        let Some((memory, id)) = self.fact_named(org, person, fact).await? else {
            return Ok(false);
        };
        Ok(self.store().drop_fact(org, &memory.scope, id, by, self.now()).await?)
    }
}
