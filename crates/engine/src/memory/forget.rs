//! Forgetting a person, everywhere, in one call.

use epilogue_core::{OrgId, Person, event::Activity};
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
    /// The activity log says how much that was, and of whom only as a digest.
    pub async fn forget(
        &self,
        org: &OrgId,
        person: &Person,
        transcripts: bool,
        by: Option<String>,
    ) -> Result<ErasureReport> {
        let memories = self.memories_of(org, person).await?;
        let scopes: Vec<_> = memories.into_iter().map(|memory| memory.scope).collect();
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
        let told = serde_json::json!({ "removed": report.removed, "left": report.left.len() });
        let entry = Activity::person_forgotten(person.key(), &told, by, self.now());
        self.store().note_erasure(org, entry).await?;
        let removed: u64 = report.removed.iter().map(|removed| removed.count).sum();
        tracing::info!(%org, removed, left = report.left.len(), "a person was forgotten");
        Ok(report)
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
