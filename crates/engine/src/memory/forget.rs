//! Forgetting a person, everywhere, in one call.

use epilogue_core::{OrgId, Person, event::Activity};
use epilogue_storage::{ErasureReport, ErasureStep};
use serde_json::json;

use super::ForgetRequest;
use crate::{Engine, Result};

/// How many decisions one erasure may take. Far beyond any person: whoever goes on for ever is stopped here,
/// and the report says so.
const STEPS_MAX: u32 = 10_000;

/// What is removed part by part.
#[derive(Clone, Copy)]
enum Part {
    Remembered,
    Transcripts,
}

impl Engine {
    /// Forgets a person: what is remembered of them under whatever agent, what was recalled into their
    /// sessions, and their transcripts if that is asked for. The ledger and the counters stay. The report
    /// says what was removed, and what could not be. Harmless to repeat; empty if nobody like that is known.
    /// The activity log says how much that was, and of whom only as a digest.
    ///
    /// Carried through whether or not the caller stays.
    pub async fn forget(
        &self,
        org: &OrgId,
        person: &Person,
        transcripts: bool,
        by: Option<String>,
    ) -> Result<ErasureReport> {
        let (engine, org, person) = (self.clone(), org.clone(), person.clone());
        let forgetting = async move {
            let report = engine.forget_now(&org, &person, transcripts).await?;
            let told = json!({ "removed": report.removed, "left": report.left.len() });
            let entry = Activity::person_forgotten(person.key(), &told, by, engine.now());
            engine.store().note_erasure(&org, entry).await?;
            let removed: u64 = report.removed.iter().map(|removed| removed.count).sum();
            tracing::info!(%org, removed, left = report.left.len(), "a person was forgotten");
            Ok(report)
        };
        tokio::spawn(forgetting).await?
    }

    async fn forget_now(
        &self,
        org: &OrgId,
        person: &Person,
        transcripts: bool,
    ) -> Result<ErasureReport> {
        let memories = self.memories_of(org, person).await?;
        let scopes = memories.into_iter().map(|memory| memory.scope).collect();
        let request = ForgetRequest { org: org.clone(), person: person.clone(), scopes };
        let mut report = ErasureReport::default();
        self.erase(&request, Part::Remembered, &mut report).await?;
        // The store has said by now that nothing older may come in.
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
            self.erase(&request, Part::Transcripts, &mut report).await?;
        }
        Ok(report)
    }

    /// Takes one step after the other until nothing is left.
    async fn erase(
        &self,
        request: &ForgetRequest,
        part: Part,
        report: &mut ErasureReport,
    ) -> Result<()> {
        let ForgetRequest { org, person, scopes } = request;
        let (store, now) = (self.store(), self.now());
        for _ in 0..STEPS_MAX {
            let ErasureStep { report: more, done } = match part {
                Part::Remembered => store.erase_person(org, person, scopes, now).await?,
                Part::Transcripts => store.erase_transcripts(org, person, now).await?,
            };
            report.and(more);
            if done {
                return Ok(());
            }
        }
        report.left.push("more than one request removes: ask again".into());
        Ok(())
    }
}
