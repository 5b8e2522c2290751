//! Carries one conversation over, message by message. The next is sent when the server shows the one
//! before, for it promises neither to keep what it takes nor to keep it in order.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
};

use epilogue_core::{
    Span, Timestamp,
    retry::{RetryPolicy, Verdict},
    upload::{LOOK_MIN, Move, Progress, Upload},
};
use epilogue_storage::{UploadClaim, UploadOutcome, UploadReport};
use tokio_util::sync::CancellationToken;

use super::{
    Graphiti,
    client::{ClientError, Kind},
    group::group,
    pieces::{self, Piece},
    wire::StoredEpisode,
};
use crate::{Engine, clock::within, step::explain};

/// How long to wait for the server's clock, when it is behind ours.
const CLOCK_WAIT: Span = Span::from_secs(5);

/// An upload that is ours until the lease runs out.
pub(super) struct Carriage<'a> {
    pub engine: &'a Engine,
    pub graphiti: &'a Graphiti,
    pub policy: &'a RetryPolicy,
    pub upload: Upload,
    /// For how long a claim is believed.
    pub lease: Span,
    /// Until when this one is.
    pub leased_until: Timestamp,
}

/// What comes next.
enum Next {
    /// Look again then.
    Look(Timestamp),
    /// This is what it came to.
    Over(UploadReport),
    /// Somebody else has the upload.
    LeaseLost,
}

impl Carriage<'_> {
    /// Goes on until there is something to report. `None`: it is another's to say.
    pub async fn run(mut self, stop: &CancellationToken) -> Option<UploadReport> {
        match self.load().await {
            Ok(pieces) => self.carry(&pieces, stop).await,
            Err(error) => {
                Some(self.failed(&explain("the transcript could not be read", &error), false))
            }
        }
    }

    /// The claim that reports.
    pub fn claim(&self) -> UploadClaim {
        let Upload { org, session, attempt, .. } = &self.upload;
        UploadClaim { org: org.clone(), session: *session, attempt: *attempt }
    }

    async fn load(&self) -> crate::Result<Vec<Piece>> {
        let messages = self.engine.transcript(&self.upload.org, self.upload.session).await?;
        Ok(pieces::pieces(self.upload.session, &messages))
    }

    async fn carry(&mut self, pieces: &[Piece], stop: &CancellationToken) -> Option<UploadReport> {
        let group = group(&self.upload.org, &self.upload.scope);
        let clock = self.engine.clock().clone();
        loop {
            let limit = self.policy.timeout;
            let next = match within(&*clock, limit, self.go_on(&group, pieces)).await {
                Some(Ok(next)) => next,
                Some(Err(error)) => Next::Over(self.because(&error)),
                None => {
                    let late = ClientError::TooLate(limit);
                    Next::Over(self.because(&late))
                }
            };
            let at = match next {
                Next::Over(report) => return Some(report),
                Next::LeaseLost => return None,
                Next::Look(at) => at,
            };
            tokio::select! {
                biased;
                // What was sent is on record, and is looked for by whoever comes next.
                () = stop.cancelled() => return Some(UploadReport::GoesOn { due_at: at }),
                () = clock.sleep_until(at) => {}
            }
        }
    }

    /// Looks at what the server shows, and does what follows from it.
    async fn go_on(&mut self, group: &str, pieces: &[Piece]) -> Result<Next, ClientError> {
        let confirmed = self.upload.progress.confirmed as usize;
        let Some(next) = pieces.get(confirmed) else { return self.check(group, pieces).await };
        let shown = self.graphiti.look_back(group, next.at).await?;
        let names: HashSet<_> = shown.episodes.iter().map(|e| e.name.as_str()).collect();
        let there = pieces[confirmed..].iter().take_while(|p| names.contains(p.name.as_str()));
        let progress = self.found(there.count());
        let Some(piece) = pieces.get(progress.confirmed as usize) else {
            return Ok(self.advance(progress).await?.unwrap_or(Next::Look(self.engine.now())));
        };
        let now = self.engine.now();
        match progress.next_move(self.graphiti.patience, now) {
            Move::LookAgain(at) => Ok(self.keep_lease().await?.unwrap_or(Next::Look(at))),
            Move::Lost => self.lose(progress, pieces.len()).await,
            // It would take the message and not show it, which looks as if it had lost it.
            Move::Send if shown.clock.is_some_and(|at| at.as_secs() < piece.at.as_secs()) => {
                tracing::warn!(session = %self.upload.session, "Graphiti's clock is behind ours");
                let wait = Next::Look(now + CLOCK_WAIT);
                Ok(self.advance(progress).await?.unwrap_or(wait))
            }
            Move::Send => self.send(group, piece, progress).await,
        }
    }

    /// So many more messages are there.
    fn found(&mut self, count: usize) -> Progress {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if count > 0 {
            self.upload.failures = 0;
            self.engine.metrics().memory_messages("found", count);
            if self.graphiti.watch.found(self.engine.now()) {
                tracing::info!("Graphiti stores what it takes again");
            }
        }
        self.upload.progress.found(count)
    }

    async fn send(
        &mut self,
        group: &str,
        piece: &Piece,
        progress: Progress,
    ) -> Result<Next, ClientError> {
        let now = self.engine.now();
        // On record first: whoever comes after a crash must look for it before sending it again.
        let sent = Progress { sent_at: Some(now), ..progress };
        if let Some(stop) = self.advance(sent).await? {
            return Ok(stop);
        }
        match self.graphiti.client.add(group, piece).await {
            Ok(()) => {
                self.engine.metrics().memory_messages("sent", 1);
                Ok(Next::Look(now + LOOK_MIN))
            }
            Err(error) if error.was_not_taken() => {
                self.engine.metrics().memory_messages("refused", 1);
                if let Some(stop) = self.advance(progress).await? {
                    return Ok(stop);
                }
                Err(error)
            }
            Err(error) => {
                let error = explain("a message was sent into the unknown", &error);
                tracing::warn!(error, session = %self.upload.session, "Graphiti failed");
                Ok(Next::Look(now + LOOK_MIN))
            }
        }
    }

    /// The next message was taken and did not come.
    async fn lose(&mut self, progress: Progress, total: usize) -> Result<Next, ClientError> {
        let now = self.engine.now();
        self.engine.metrics().memory_messages("lost", 1);
        if self.graphiti.watch.lost(progress.sent_at.unwrap_or(now), now) {
            tracing::error!("Graphiti takes messages and stores none: its queue may have died");
        }
        if let Some(stop) = self.advance(progress.without_the_lost()).await? {
            return Ok(stop);
        }
        let number = progress.confirmed + 1;
        let detail = format!("Graphiti took message {number} of {total} and does not show it");
        Ok(Next::Over(self.failed(&detail, false)))
    }

    /// Everything has been found once. Whether it is there once, and still is.
    async fn check(&mut self, group: &str, pieces: &[Piece]) -> Result<Next, ClientError> {
        let Some(first) = pieces.first() else {
            return Ok(Next::Over(UploadReport::Done("there was nothing to send".into())));
        };
        let shown = self.graphiti.look_back(group, first.at).await?.episodes;
        let mut by_name: BTreeMap<&str, Vec<&StoredEpisode>> = BTreeMap::new();
        for episode in &shown {
            by_name.entry(&episode.name).or_default().push(episode);
        }
        let gone = pieces.iter().position(|piece| !by_name.contains_key(piece.name.as_str()));
        if let Some(gone) = gone {
            let confirmed = u32::try_from(gone).unwrap_or(u32::MAX);
            let back = Progress { confirmed, ..self.upload.progress };
            return Ok(self.advance(back).await?.unwrap_or(Next::Look(self.engine.now())));
        }
        let mut left = 0;
        for piece in pieces {
            let Some(doubles) = by_name.get_mut(piece.name.as_str()) else { continue };
            doubles.sort_by_key(|episode| episode.created_at);
            for double in &doubles[1..] {
                let removed = self.graphiti.client.delete(Kind::Episode, &double.uuid).await?;
                self.engine.metrics().memory_messages("doubled", 1);
                left += usize::from(!removed);
            }
        }
        Ok(Next::Over(UploadReport::Done(self.told(pieces.len(), left))))
    }

    fn told(&self, total: usize, left: usize) -> String {
        let mut told = format!("{total} messages are in Graphiti");
        if self.upload.progress.lost > 0 {
            // Writing to a string does not fail.
            let _ = write!(told, "; {} were sent again", self.upload.progress.lost);
        }
        if left > 0 {
            let _ = write!(told, "; {left} stand there twice, and the server removes none");
            tracing::warn!(left, session = %self.upload.session, "Graphiti keeps doubles");
        }
        told
    }

    /// Puts on record how far it has come. `Some`: there is no going on.
    async fn advance(&mut self, progress: Progress) -> Result<Option<Next>, ClientError> {
        let until = self.engine.now() + self.lease;
        let outcome = self.engine.store().advance_upload(&self.claim(), progress, until).await;
        match outcome {
            Ok(UploadOutcome::Recorded) => {
                (self.upload.progress, self.leased_until) = (progress, until);
                Ok(None)
            }
            Ok(UploadOutcome::LeaseLost) => Ok(Some(Next::LeaseLost)),
            // Nothing is sent that is not on record.
            Err(error) => Ok(Some(Next::Over(self.failed(&explain("the store", &error), false)))),
        }
    }

    /// Extends the lease in time.
    async fn keep_lease(&mut self) -> Result<Option<Next>, ClientError> {
        let left = self.leased_until.since(self.engine.now()).as_millis();
        if left > self.lease.as_millis() / 2 {
            return Ok(None);
        }
        self.advance(self.upload.progress).await
    }

    fn because(&self, error: &ClientError) -> UploadReport {
        self.failed(&explain("Graphiti", error), error.is_final())
    }

    fn failed(&self, detail: &str, is_final: bool) -> UploadReport {
        if is_final {
            return UploadReport::Park(detail.to_owned());
        }
        let (failures, jitter) = (self.upload.failures + 1, self.engine.ids().fraction());
        match self.policy.after_failure(failures, None, jitter, self.engine.now()) {
            Verdict::Again(due_at) => UploadReport::Again { due_at, detail: detail.to_owned() },
            Verdict::GiveUp => UploadReport::Park(detail.to_owned()),
        }
    }
}
