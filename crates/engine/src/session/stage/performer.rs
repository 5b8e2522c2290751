//! Whoever performs on a stage: has one part after the other spoken, hands it over when the one before
//! is about to be over, and writes down what was handed over.

use std::sync::Arc;

use epilogue_core::Span;
use epilogue_storage::{WriteSaid, WriteSaidOutcome};
use tokio::sync::watch;

use super::{
    Stage,
    line::{Next, Part},
    locked,
};
use crate::{Engine, Result, media::Clip, records::SessionName, speech::Utterance};

/// How long before its moment a part is handed over, so that there is no gap.
const HANDED_OVER_BEFORE: Span = Span::from_millis(1_000);
/// How often a session that is watched or heard is kept alive, and any is looked after.
const WATCHED_EVERY: Span = Span::from_secs(15);

impl Engine {
    /// Performs until the stage is struck, the session is over, or the server takes nothing new.
    pub(super) async fn perform(self, stage: Arc<Stage>) {
        tokio::select! {
            biased;
            () = stage.stop.cancelled() => return,
            () = self.drain_begins() => return,
            () = self.say_all(&stage) => return,
            () = self.keep_while_watched(&stage) => {}
        }
        let id = stage.key.1;
        tracing::warn!(session = %id, "a session that is over was still on stage");
        self.clear_stage(id).await;
    }

    /// A session whose avatar is watched or heard is in use, whoever else is silent. Ready when it is over:
    /// whoever ended it may not have known of this stage, or it was set while nobody could read the record.
    async fn keep_while_watched(&self, stage: &Stage) {
        loop {
            self.clock().sleep(WATCHED_EVERY).await;
            match self.look_after(stage).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    let (error, id) = (&error as &dyn std::error::Error, stage.key.1);
                    tracing::warn!(error, session = %id, "a session on stage was not looked after");
                }
            }
        }
    }

    /// Keeps a session alive that is in use. Whether it goes on.
    async fn look_after(&self, stage: &Stage) -> Result<bool> {
        let (org, id) = &stage.key;
        let is_heard = self.now() < locked(&stage.program).heard_until;
        if is_heard || self.inner.parts.media.is_watched(*id).await {
            return Ok(self.keep_alive(org, *id).await?.unwrap_or(false));
        }
        let session = self.find(org, &SessionName::Id(*id)).await?;
        Ok(session.is_some_and(|session| session.ended().is_none()))
    }

    async fn say_all(&self, stage: &Stage) {
        let mut interruptions = stage.interruptions.subscribe();
        loop {
            let (next, before) = {
                let mut program = locked(&stage.program);
                (program.line.next(self.now()), program.line.interruptions())
            };
            match next {
                Next::Nothing => stage.more.notified().await,
                Next::WaitUntil(at) => tokio::select! {
                    biased;
                    () = stage.more.notified() => {}
                    () = self.clock().sleep_until(at) => {}
                },
                Next::Part(turn, part, number) => {
                    let ready = self.make_ready(stage, part);
                    let ready = unless_interrupted(&mut interruptions, before, ready).await;
                    if let Some((clip, words)) = ready.flatten() {
                        self.hand_over(stage, &clip, (words, &turn, number), before).await;
                    }
                }
            }
        }
    }

    /// Makes a part ready and waits for its moment. `None`: nothing can be made of it.
    async fn make_ready(&self, stage: &Stage, part: Part) -> Option<(Clip, Option<String>)> {
        let (clip, words) = match part {
            Part::Recording(clip) => (clip, None),
            Part::Words(words) => (self.speak(stage, &words).await?, Some(words)),
        };
        let heard_until = locked(&stage.program).heard_until;
        self.clock().sleep_until(heard_until - HANDED_OVER_BEFORE).await;
        Some((clip, words))
    }

    async fn speak(&self, stage: &Stage, words: &str) -> Option<Clip> {
        let voice = self.inner.parts.voice.as_ref()?;
        let (session, staging) = (stage.key.1, &stage.staging);
        let utterance = Utterance {
            text: words.to_owned(),
            voice: staging.voice.clone(),
            speed: staging.pace(),
        };
        let sound = match voice.speak(&utterance).await {
            Ok(sound) => sound,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, %session, "a part of what is to be said was not spoken");
                return None;
            }
        };
        match self.inner.parts.media.prepare(sound).await {
            Ok(clip) => Some(clip),
            Err(error) => {
                tracing::warn!(%error, %session, "what the voice made cannot be played");
                None
            }
        }
    }

    /// Hands a part over, unless there was an interruption, and writes it down. From here on nothing
    /// stops half-way: what is heard is on record.
    async fn hand_over(
        &self,
        stage: &Stage,
        clip: &Clip,
        (words, turn, number): (Option<String>, &str, Option<u32>),
        before: u64,
    ) {
        let (org, id) = stage.key.clone();
        let floor = stage.floor.lock().await;
        if locked(&stage.program).line.interruptions() != before {
            return;
        }
        if let Err(error) = self.inner.parts.media.say(id, clip).await {
            tracing::warn!(%error, session = %id, "a part of what is to be said was not heard");
            return;
        }
        {
            let mut program = locked(&stage.program);
            program.heard_until = program.heard_until.max(self.now()) + clip.lasts();
        }
        drop(floor);
        let Some(text) = words else { return };
        let said = WriteSaid { org, session: id, turn: number, text };
        match self.store().write_said(said, self.now()).await {
            Ok(WriteSaidOutcome::Written { turn: number }) => {
                locked(&stage.program).line.number(turn, number);
            }
            Ok(WriteSaidOutcome::Over | WriteSaidOutcome::NoSession) => {
                tracing::debug!(session = %id, "it ended while it was spoken in");
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, session = %id, "what was said is not on record");
            }
        }
    }
}

/// Waits for something until there is an interruption.
async fn unless_interrupted<F: Future>(
    interruptions: &mut watch::Receiver<u64>,
    before: u64,
    work: F,
) -> Option<F::Output> {
    tokio::select! {
        biased;
        // The sender lives as long as the stage, which whoever waits here holds.
        _ = interruptions.wait_for(|now| *now != before) => None,
        done = work => Some(done),
    }
}
