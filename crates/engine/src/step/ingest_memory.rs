//! Puts the conversation into the person's long-term memory: all of it.

use super::{StepContext, StepDone, StepError};
use crate::memory::{Conversation, Ingested};

/// How often in all a conversation may come back unfinished. Far beyond the longest one: whoever gets
/// nowhere and says otherwise is stopped here.
const UNFINISHED_MAX: u32 = 10_000;

pub(super) async fn run(cx: &StepContext<'_>) -> Result<StepDone, StepError> {
    let Some(person) = &cx.session.person else {
        return Ok(StepDone::Skipped("nobody to remember it for".into()));
    };
    let messages = cx.transcript().await?;
    if !messages.iter().any(|message| message.body.is_visible()) {
        return Ok(StepDone::Skipped("nothing was said".into()));
    }
    let models = &cx.engine.inner.parts.models;
    let conversation = Conversation {
        org: cx.session.org.clone(),
        scope: person.memory_scope(cx.agent.remembers_as()),
        person: person.clone(),
        session: cx.session.id,
        began_at: cx.session.opened_at,
        at: cx.ended()?.at,
        messages,
        patience: cx.engine.inner.parts.policies.ingest_memory.timeout,
        model: models.understands(&cx.agent.model).then(|| cx.agent.model.clone()),
    };
    match cx.engine.inner.parts.memory.ingest(conversation).await {
        Ok(Ingested::Remembered(detail)) => Ok(StepDone::Done { detail, products: vec![] }),
        Ok(Ingested::Forgotten) => {
            Ok(StepDone::Skipped("the person has been forgotten since it began".into()))
        }
        Ok(Ingested::Unfinished { detail, .. }) if cx.step.attempt > UNFINISHED_MAX => {
            Err(StepError::fatal(format!("it does not come to an end: {detail}")))
        }
        Ok(Ingested::Unfinished { detail, again_in }) => {
            Ok(StepDone::Unfinished { detail, again_in })
        }
        Err(error) => {
            Err(StepError { fatal: !error.is_passing(), ..StepError::because("memory", &error) })
        }
    }
}
