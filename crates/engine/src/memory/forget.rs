//! Forgetting a person, everywhere, in one call.

use std::collections::BTreeSet;

use epilogue_core::{MemoryScope, OrgId, Person};
use epilogue_storage::{ErasureReport, ErasureStep};

use super::ForgetRequest;
use crate::{Engine, Result};

/// How many decisions one erasure may take. Far beyond any person: whoever goes on for ever is stopped here,
/// and the report says so.
const STEPS_MAX: u32 = 10_000;

impl Engine {
    /// Forgets a person: what is remembered of them under whatever agent, what was recalled into their
    /// sessions, and their transcripts if that is asked for. The ledger and the counters stay. The report
    /// says what was removed, and what could not be. Harmless to repeat; empty if nobody like that is known.
    pub async fn forget(
        &self,
        org: &OrgId,
        person: &Person,
        transcripts: bool,
    ) -> Result<ErasureReport> {
        let scopes = self.scopes_of(org, person).await?;
        let now = self.now();
        let mut report = ErasureReport::default();
        let erase = async || self.store().erase_person(org, person, &scopes, now).await;
        repeat(erase, &mut report).await?;
        // The store has said by now that nothing older may come in.
        let request = ForgetRequest { org: org.clone(), person: person.clone(), scopes };
        match self.inner.parts.memory.forget(&request).await {
            Ok(outside) => report.and(outside),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a person was not forgotten"
                );
                report.left.push(format!("what is kept outside the store: {error}"));
            }
        }
        if transcripts {
            let erase = async || self.store().erase_transcripts(org, person, now).await;
            repeat(erase, &mut report).await?;
        }
        let removed: u64 = report.removed.iter().map(|removed| removed.count).sum();
        tracing::info!(%org, removed, left = report.left.len(), "a person was forgotten");
        Ok(report)
    }
}

impl Engine {
    /// Every scope under which a person may be known: those that the store knows, and one for each agent, for
    /// what was remembered before the store knew whose it is.
    pub(super) async fn scopes_of(&self, org: &OrgId, person: &Person) -> Result<Vec<MemoryScope>> {
        let agents = self.store().agents(org).await?;
        let remembering: BTreeSet<_> = agents.iter().map(|(_, a)| a.remembers_as()).collect();
        let mut scopes: Vec<_> =
            remembering.into_iter().map(|agent| person.memory_scope(agent)).collect();
        for scope in self.store().scopes_of(org, person.key()).await? {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        Ok(scopes)
    }
}

/// Takes one step after the other until nothing is left.
async fn repeat(
    step: impl AsyncFn() -> epilogue_storage::Result<ErasureStep>,
    report: &mut ErasureReport,
) -> Result<()> {
    for _ in 0..STEPS_MAX {
        let ErasureStep { report: more, done } = step().await?;
        report.and(more);
        if done {
            return Ok(());
        }
    }
    report.left.push("more than one request removes: ask again".into());
    Ok(())
}
