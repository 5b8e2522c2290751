//! Ending a session: the one way, for callers, agents, timers, operators and lost connections.

use epilogue_core::{
    EndCause, EndRequest, Ended, OrgId, Session, SessionId, SessionState, Span,
    reason::DeadlineKind,
};
use epilogue_storage::{EndReceipt, SessionName};

use crate::{
    Engine, Error, Result,
    session::turns::{Cut, Ending},
};

impl Engine {
    /// Ends a session and owes it its finalization. `None`: this organization has no such session.
    ///
    /// Runs to its end whether or not the caller waits for it. Ready when the end is on disk; no
    /// step is awaited.
    pub async fn end(
        &self,
        org: &OrgId,
        id: SessionId,
        request: EndRequest,
    ) -> Result<Option<EndReceipt>> {
        let (engine, org) = (self.clone(), org.clone());
        let ending = async move { engine.end_now(&org, id, request).await };
        self.inner.tasks.spawn(ending).await.map_err(Error::from)?
    }

    async fn end_now(
        &self,
        org: &OrgId,
        id: SessionId,
        request: EndRequest,
    ) -> Result<Option<EndReceipt>> {
        if request.cause == EndCause::Due && !self.is_cut_by_deadline(org, id).await? {
            // A turn in flight holds the idle timer, so there is none to cut where that has run
            // out; and one that begins at this moment is for the store to let in or not.
            return self.decide_end(org, id, request).await;
        }
        // No turn begins from here on until the end is decided; the one in flight keeps what it has.
        let ending = self.inner.turns.hold_for_end((org.clone(), id));
        if let Some(limit) = self.waits_for_turn(org, id, &ending).await? {
            ending.settled(self.clock(), limit).await;
        }
        ending.cut(Cut::Ended);
        ending.settled(self.clock(), self.limits().turn_settle).await;
        self.decide_end(org, id, request).await
    }

    /// How long this end lets a turn in flight complete. The session is only looked at if it has one.
    async fn waits_for_turn(
        &self,
        org: &OrgId,
        id: SessionId,
        ending: &Ending,
    ) -> Result<Option<Span>> {
        if !ending.meets_a_turn() {
            return Ok(None);
        }
        let session = self.store().find(org, &SessionName::Id(id)).await?;
        Ok(session.and_then(|session| session.profile.turns.end_waits))
    }

    /// Whether a deadline has passed that does not wait for a turn in flight.
    async fn is_cut_by_deadline(&self, org: &OrgId, id: SessionId) -> Result<bool> {
        let session = self.store().find(org, &SessionName::Id(id)).await?;
        let lapsed = session.and_then(|session| session.lapsed(self.now()));
        Ok(lapsed.is_some_and(|deadline| deadline.kind == DeadlineKind::MaxDuration))
    }

    async fn decide_end(
        &self,
        org: &OrgId,
        id: SessionId,
        request: EndRequest,
    ) -> Result<Option<EndReceipt>> {
        let receipt = self.store().end(org, id, request, self.now()).await?;
        let new = receipt.as_ref().filter(|receipt| receipt.outcome.is_new());
        if let Some((receipt, ended)) = new.and_then(|r| Some((r, r.outcome.ended()?))) {
            self.has_ended(&receipt.session, ended);
        }
        Ok(receipt)
    }

    /// Stops media at once. That it is released is the business of a step; this only makes it soon.
    fn stop_media(&self, id: SessionId) {
        let engine = self.clone();
        self.inner.tasks.spawn(async move { engine.clear_stage(id).await });
    }

    /// Wakes whoever works on what an end owes, and counts it. To be called once per end.
    pub(crate) fn has_ended(&self, session: &Session, ended: &Ended) {
        if matches!(session.state, SessionState::Finalizing(_)) {
            self.inner.new_steps.notify_one();
        }
        if session.profile.holds_media {
            self.stop_media(session.id);
        }
        self.inner.watches.hint(&(session.org.clone(), session.id));
        self.inner.metrics.session_ended(&session.dialect, ended);
        tracing::info!(
            org = %session.org, session = %session.id, reason = ended.reason.as_str(),
            cost = %ended.cost, "ended"
        );
    }
}
