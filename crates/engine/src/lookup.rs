//! Reading records, and the small decisions an operator makes about them.

use epilogue_core::{
    Agent, AgentId, EventId, KeyId, Message, MicroCredits, OrgId, ProjectId, Session, SessionId,
    Step, StepId, event::Activity, ledger::Account, session::AgentVersion, step::Attempt,
};

use crate::{
    Engine, Result,
    records::{
        AnalysisResult, Credential, Delivery, DeliveryAttempt, DeliveryFilter, KeyHash, LedgerRow,
        LiveBounds, LiveConversations, Organization, Page, PageRequest, Project, RecentFilter,
        RecentSessions, ResendOutcome, RetryOutcome, SessionFilter, SessionName, StepFilter,
    },
};

/// How many messages are read at a time.
const MESSAGES_PAGE: u32 = 500;

impl Engine {
    /// Finds a session. `None`: this organization has no such session.
    pub async fn find(&self, org: &OrgId, name: &SessionName) -> Result<Option<Session>> {
        Ok(self.store().find(org, name).await?)
    }

    /// The organization's sessions, the latest opened first.
    pub async fn sessions(
        &self,
        org: &OrgId,
        filter: &SessionFilter,
        page: &PageRequest,
    ) -> Result<Page<Session>> {
        Ok(self.store().list(org, filter, page).await?)
    }

    /// The organization's sessions of one dialect's channels, the latest active first: `take` of them
    /// after `skip`.
    pub async fn recent_sessions(
        &self,
        org: &OrgId,
        filter: &RecentFilter,
        skip: u32,
        take: u32,
    ) -> Result<RecentSessions> {
        Ok(self.store().list_recent(org, filter, skip, take).await?)
    }

    /// A session with its whole transcript, both as of one moment. `None`: this organization has no
    /// such session.
    pub async fn conversation(
        &self,
        org: &OrgId,
        id: SessionId,
    ) -> Result<Option<(Session, Vec<Message>)>> {
        Ok(self.store().conversation(org, id).await?)
    }

    /// Part of a project's live sessions with what was said in them, in the order of their names:
    /// those that come after `after`.
    pub async fn live_conversations(
        &self,
        org: &OrgId,
        project: &ProjectId,
        after: Option<&str>,
        bounds: LiveBounds,
    ) -> Result<LiveConversations> {
        Ok(self.store().live_conversations(org, project, after, bounds).await?)
    }

    /// A whole transcript, however long, tool traffic included.
    pub async fn transcript(&self, org: &OrgId, id: SessionId) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        loop {
            let from = u32::try_from(messages.len()).unwrap_or(u32::MAX);
            let page = self.store().messages(org, id, from, MESSAGES_PAGE).await?;
            let last = page.len() < MESSAGES_PAGE as usize;
            messages.extend(page);
            if last {
                return Ok(messages);
            }
        }
    }

    /// Part of a transcript, oldest first, tool traffic included.
    pub async fn messages(
        &self,
        org: &OrgId,
        id: SessionId,
        from_seq: u32,
        limit: u32,
    ) -> Result<Vec<Message>> {
        Ok(self.store().messages(org, id, from_seq, limit).await?)
    }

    /// Part of what the person saw, oldest first.
    pub async fn visible_messages(
        &self,
        org: &OrgId,
        id: SessionId,
        skip: u32,
        limit: u32,
    ) -> Result<Vec<Message>> {
        Ok(self.store().visible_messages(org, id, skip, limit).await?)
    }

    /// Records that the client is still there. `None`: no such session. `Some(false)`: it is over.
    pub async fn keep_alive(&self, org: &OrgId, id: SessionId) -> Result<Option<bool>> {
        Ok(self.store().keep_alive(org, id, self.now()).await?)
    }

    /// One session's steps with their attempts.
    pub async fn steps_of(
        &self,
        org: &OrgId,
        session: SessionId,
    ) -> Result<Vec<(Step, Vec<Attempt>)>> {
        Ok(self.store().steps_of(org, session).await?)
    }

    /// One session's filled-in forms.
    pub async fn analyses_of(
        &self,
        org: &OrgId,
        session: SessionId,
    ) -> Result<Vec<AnalysisResult>> {
        Ok(self.store().analyses_of(org, session).await?)
    }

    /// The organization's steps, the latest owed first.
    pub async fn steps(
        &self,
        org: &OrgId,
        filter: &StepFilter,
        page: &PageRequest,
    ) -> Result<Page<Step>> {
        Ok(self.store().list_steps(org, filter, page).await?)
    }

    /// Resumes a parked step.
    pub async fn retry_step(
        &self,
        org: &OrgId,
        step: StepId,
        by: Option<String>,
    ) -> Result<RetryOutcome> {
        let outcome = self.store().retry(org, step, by, self.now()).await?;
        self.inner.new_steps.notify_one();
        Ok(outcome)
    }

    /// The organization's deliveries, the latest first.
    pub async fn deliveries(
        &self,
        org: &OrgId,
        filter: &DeliveryFilter,
        page: &PageRequest,
    ) -> Result<Page<Delivery>> {
        Ok(self.store().list_deliveries(org, filter, page).await?)
    }

    /// One delivery with its attempts.
    pub async fn delivery(
        &self,
        org: &OrgId,
        id: &EventId,
    ) -> Result<Option<(Delivery, Vec<DeliveryAttempt>)>> {
        Ok(self.store().delivery(org, id).await?)
    }

    /// Sends a delivery again, with the same id.
    pub async fn resend(
        &self,
        org: &OrgId,
        id: &EventId,
        by: Option<String>,
    ) -> Result<ResendOutcome> {
        let outcome = self.store().resend(org, id, by, self.now()).await?;
        self.inner.new_steps.notify_one();
        Ok(outcome)
    }

    /// The organization's ledger, latest first.
    pub async fn ledger(
        &self,
        org: &OrgId,
        session: Option<SessionId>,
        page: &PageRequest,
    ) -> Result<Page<LedgerRow>> {
        Ok(self.store().list_ledger(org, session, page).await?)
    }

    /// What an account of the organization holds.
    pub async fn balance(&self, org: &OrgId, account: Account) -> Result<MicroCredits> {
        Ok(self.store().balance(org, account).await?)
    }

    /// The organization's activity log, latest first.
    pub async fn activity(
        &self,
        org: &OrgId,
        session: Option<SessionId>,
        page: &PageRequest,
    ) -> Result<Page<Activity>> {
        Ok(self.store().list_activity(org, session, page).await?)
    }

    /// Every organization.
    pub async fn organizations(&self) -> Result<Vec<Organization>> {
        Ok(self.store().organizations().await?)
    }

    /// One organization.
    pub async fn organization(&self, org: &OrgId) -> Result<Option<Organization>> {
        Ok(self.store().organization(org).await?)
    }

    /// One project. `None` for one that is gone.
    pub async fn project(&self, org: &OrgId, id: &ProjectId) -> Result<Option<Project>> {
        Ok(self.store().project(org, id).await?)
    }

    /// The organization's projects, by id.
    pub async fn projects(&self, org: &OrgId) -> Result<Vec<Project>> {
        Ok(self.store().projects(org).await?)
    }

    /// The organization's agents, each in its latest version.
    pub async fn agents(&self, org: &OrgId) -> Result<Vec<(AgentVersion, Agent)>> {
        Ok(self.store().agents(org).await?)
    }

    /// An agent's latest version.
    pub async fn agent(&self, org: &OrgId, id: &AgentId) -> Result<Option<(AgentVersion, Agent)>> {
        Ok(self.store().agent(org, id).await?)
    }

    /// The credential with this hash, if it opens anything at this moment.
    pub async fn valid_credential(&self, hash: &KeyHash) -> Result<Option<Credential>> {
        let found = self.store().credential(hash).await?;
        Ok(found.filter(|credential| credential.is_valid(self.now())))
    }

    /// The organization's keys.
    pub async fn credentials(&self, org: &OrgId) -> Result<Vec<Credential>> {
        Ok(self.store().credentials(org).await?)
    }

    /// Adds a key.
    pub async fn add_credential(&self, credential: Credential) -> Result<()> {
        Ok(self.store().add_credential(credential, self.now()).await?)
    }

    /// Revokes a key. `false`: this organization has no such key.
    pub async fn revoke_credential(
        &self,
        org: &OrgId,
        id: &KeyId,
        by: Option<String>,
    ) -> Result<bool> {
        Ok(self.store().revoke_credential(org, id, by, self.now()).await?)
    }
}
