//! Forgetting somebody in Graphiti: asked for, tried again piece by piece, and looked at.

use epilogue_core::{MemoryScope, OrgId, Timestamp};
use epilogue_storage::{DroppedUploads, ErasureReport};

use super::{
    Graphiti,
    client::{ClientError, Kind},
    group::group,
    wire::{Fact, StoredEpisode},
};
use crate::memory::{ForgetRequest, MemoryError};

/// How many facts are asked for at a time. The server lists none; it is asked for what fits best.
const FACTS_READ: u32 = 1_000;

/// What is asked, so that every fact is found: it fits all of them equally badly.
const ANYTHING: &str = "the user";

/// How many messages and facts of one memory are deleted one by one.
const ONE_BY_ONE_MAX: usize = 20_000;

/// What the server shows of a group.
struct Shown {
    episodes: Vec<StoredEpisode>,
    facts: Vec<Fact>,
}

impl Shown {
    fn is_empty(&self) -> bool {
        self.episodes.is_empty() && self.facts.is_empty()
    }
}

impl Graphiti {
    /// Forgets every scope of a person. What is still there afterwards is in the report: the server
    /// answers that it has deleted a group whether it has or not.
    pub(super) async fn erase(
        &self,
        request: &ForgetRequest,
    ) -> Result<ErasureReport, MemoryError> {
        let mut report = ErasureReport::default();
        for scope in &request.scopes {
            // First of all, so that nothing more is sent.
            let now = self.clock.now();
            let dropped = self.storage.drop_uploads(&request.org, scope, now).await?;
            report.removed("graphiti.waiting_conversations", dropped.conversations);
            match self.erase_group(&request.org, scope, &mut report).await {
                Ok(()) => report.left.extend(self.on_their_way(dropped)),
                Err(error) => report.left.push(format!("Graphiti could not be asked: {error}")),
            }
        }
        Ok(report)
    }

    /// What was sent, has not been seen, and may come yet.
    fn on_their_way(&self, dropped: DroppedUploads) -> Option<String> {
        let count = dropped.on_their_way;
        let seconds = self.patience.as_millis() / 1_000;
        (count > 0).then(|| {
            format!(
                "{count} messages may still stand in Graphiti's queue: forget the person again in \
                 {seconds} s"
            )
        })
    }

    async fn erase_group(
        &self,
        org: &OrgId,
        scope: &MemoryScope,
        report: &mut ErasureReport,
    ) -> Result<(), ClientError> {
        let group = group(org, scope);
        let before = self.shown(&group).await?;
        if before.is_empty() {
            return Ok(());
        }
        self.client.delete_group(&group).await?;
        let mut after = self.shown(&group).await?;
        if !after.is_empty() {
            self.delete_each(&after).await?;
            after = self.shown(&group).await?;
        }
        let gone = |before: usize, after: usize| before.saturating_sub(after) as u64;
        report.removed("graphiti.messages", gone(before.episodes.len(), after.episodes.len()));
        report.removed("graphiti.facts", gone(before.facts.len(), after.facts.len()));
        if !after.is_empty() {
            report.left.push(format!(
                "{} messages and {} facts are still in Graphiti's group {group}, which it answered it \
                 had deleted: remove the group in its database",
                after.episodes.len(),
                after.facts.len()
            ));
        }
        Ok(())
    }

    async fn shown(&self, group: &str) -> Result<Shown, ClientError> {
        let episodes = self.look_back(group, Timestamp::from_millis(0)).await?.episodes;
        let facts = self.client.search(group, ANYTHING, FACTS_READ).await?;
        Ok(Shown { episodes, facts })
    }

    async fn delete_each(&self, shown: &Shown) -> Result<(), ClientError> {
        let facts = shown.facts.iter().map(|fact| (Kind::Fact, &fact.uuid));
        let episodes = shown.episodes.iter().map(|episode| (Kind::Episode, &episode.uuid));
        let mut in_vain = true;
        for (number, (kind, uuid)) in facts.chain(episodes).take(ONE_BY_ONE_MAX).enumerate() {
            in_vain &= !self.client.delete(kind, uuid).await?;
            // One that cannot find its own facts and messages finds none of them.
            if in_vain && number >= 16 {
                return Ok(());
            }
        }
        Ok(())
    }
}
