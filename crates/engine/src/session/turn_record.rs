//! The end of a turn: what of it is written down, and whether the session ends with it.

use epilogue_core::{
    EndReason, Message, MicroCredits, Role, Session, Span, Usage,
    agent::OnCreditsExhausted,
    ledger::{self, Account},
    open_calls::{open_calls, without_result},
    profile::{AgentFinish, Writes},
};
use epilogue_storage::{FinishTurnOutcome, FinishTurnRequest};

use super::{
    TurnFailure, TurnRecord,
    turn::ends_if_untold,
    turn_run::{Broken, TurnRun},
    turns::Cut,
};

/// How often writing down a finished turn is tried when the store is overloaded.
const FINISH_ATTEMPTS: u32 = 5;

impl TurnRun {
    /// Writes the turn down, as far as the session keeps one like it. With a turn that is its last,
    /// the session ends in one commit.
    pub(super) async fn record(
        &mut self,
        broken: Option<&Broken>,
    ) -> Result<TurnRecord, TurnFailure> {
        let complete = broken.is_none();
        let kept = self.is_kept(broken);
        if !kept {
            self.added.clear();
            self.said = 0;
            self.usage = Usage::default();
            self.saved.clear();
            if self.session.profile.turns.writes == Writes::WithReply {
                self.activity.clear();
            }
        }
        let then_end = match broken {
            None => self.reason_to_end().await,
            Some(_) if kept => None,
            // Whoever ends the session says why.
            Some(Broken::Cut(Cut::Ended)) if self.session.profile.turns.begins_with_turn => None,
            Some(_) => ends_if_untold(&self.session),
        };
        if then_end.is_some() {
            // Nobody will answer them any more.
            let closed = without_result(open_calls(&self.added), self.engine.now());
            self.added.extend(closed);
        }
        let by = self.extras.ended_by.take();
        let asked = complete && then_end == self.extras.then_end;
        let request = FinishTurnRequest {
            org: self.session.org.clone(),
            session: self.session.id,
            number: self.number,
            messages: std::mem::take(&mut self.added),
            said: self.said,
            usage: self.usage,
            variables: std::mem::take(&mut self.saved),
            activity: std::mem::take(&mut self.activity),
            key: self.extras.key.take().filter(|_| complete),
            then_end,
            by: by.filter(|_| asked),
        };
        let mut wait = Span::from_millis(20);
        for _ in 0..FINISH_ATTEMPTS {
            match self.engine.store().finish_turn(request.clone(), self.engine.now()).await {
                Ok(FinishTurnOutcome::Recorded(session)) => {
                    return Ok(self.recorded(*session, request));
                }
                Ok(FinishTurnOutcome::Fenced(_)) => return Err(TurnFailure::SessionEnded),
                Ok(FinishTurnOutcome::Superseded | FinishTurnOutcome::NoSession) => {
                    return Err(TurnFailure::Store);
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, session = %self.session.id, "a turn was not recorded");
                }
            }
            self.engine.clock().sleep(wait).await;
            wait = Span::from_millis(wait.as_millis() * 4);
        }
        Err(TurnFailure::Store)
    }

    /// Whether what was said stays: cut or whole where the session writes as it goes, whole or not at
    /// all where it writes whole turns; and where it writes with the reply, if there was one that its
    /// caller has heard of.
    fn is_kept(&self, broken: Option<&Broken>) -> bool {
        let Some(broken) = broken else { return true };
        match self.session.profile.turns.writes {
            Writes::AsItGoes => true,
            Writes::WholeTurns => false,
            // The caller of a session that ends in mid-turn is told what was said until then.
            Writes::WithReply if matches!(broken, Broken::Cut(Cut::Ended)) => self.has_spoken(),
            Writes::WithReply => !self.extras.told_whole && self.has_spoken(),
        }
    }

    fn has_spoken(&self) -> bool {
        let replies = self.added.iter().skip(self.said as usize);
        replies.into_iter().any(|body| body.role == Role::Assistant && !body.content.is_empty())
    }

    /// What was written, numbered as it is in the transcript.
    fn recorded(&self, session: Session, request: FinishTurnRequest) -> TurnRecord {
        if let Some(ended) = session.ended() {
            self.engine.has_ended(&session, ended);
        }
        let count = u32::try_from(request.messages.len()).unwrap_or(u32::MAX);
        let numbered = request.messages.into_iter().zip(session.messages.saturating_sub(count)..);
        let (turn, said) = (request.number, request.said);
        let messages = numbered.map(|(body, seq)| Message { seq, turn, body }).collect();
        TurnRecord { session, messages, said }
    }

    /// Why the session is over after this turn, if it is and the API leaves that to the server.
    async fn reason_to_end(&mut self) -> Option<EndReason> {
        let ends = self.session.profile.agent_finish == AgentFinish::EndsSession;
        let goodbye = (self.finish && ends).then_some(EndReason::AgentFinish);
        // An end that somebody wanted is told as theirs, whatever it leaves of the credits.
        match goodbye.or(self.extras.then_end) {
            None if self.credits_are_out().await => Some(EndReason::CreditsExhausted),
            wanted => wanted,
        }
    }

    /// Whether the conversation must end because it can no longer be paid for.
    ///
    /// A store that does not answer ends nobody's conversation: that is logged, and asked again
    /// after the next turn.
    async fn credits_are_out(&mut self) -> bool {
        self.look_at_credits().await.unwrap_or_else(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, session = %self.session.id, "the credits could not be looked at");
            false
        })
    }

    async fn look_at_credits(&mut self) -> crate::Result<bool> {
        if self.agent.on_credits_exhausted != OnCreditsExhausted::End || self.agent.price.is_free()
        {
            return Ok(false);
        }
        let org = &self.session.org;
        let organization = self.engine.store().organization(org).await?;
        let Some(organization) = organization.filter(|organization| organization.metered) else {
            return Ok(false);
        };
        let balance = self.engine.store().balance(org, Account::Balance).await?;
        let lasted = self.session.lasted(self.engine.now());
        // What this turn used is not written down yet.
        let used = self.session.usage.plus(self.usage);
        let owed = self.agent.price.cost(&used, lasted);
        let left = balance + self.session.held - owed;
        Ok(!ledger::may_open(left, MicroCredits::ZERO, organization.grace))
    }
}
