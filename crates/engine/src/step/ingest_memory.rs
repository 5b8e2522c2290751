//! Puts the conversation into the person's long-term memory: all of it.

use super::{StepContext, StepDone, StepError};
use crate::memory::Conversation;

pub(super) async fn run(cx: &StepContext<'_>) -> Result<StepDone, StepError> {
    let Some(person) = &cx.session.person else {
        return Ok(StepDone::Skipped("nobody to remember it for".into()));
    };
    let messages = cx.transcript().await?;
    let count = messages.len();
    let conversation = Conversation {
        org: cx.session.org.clone(),
        scope: person.memory_scope(cx.agent.remembers_as()),
        session: cx.session.id,
        at: cx.ended()?.at,
        messages,
    };
    match cx.engine.inner.parts.memory.ingest(conversation).await {
        Ok(()) => {
            Ok(StepDone::Done { detail: format!("{count} messages remembered"), products: vec![] })
        }
        Err(error) => Err(StepError::because("memory", &error)),
    }
}
