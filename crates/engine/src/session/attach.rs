//! Sessions that live by a connection: held while it stands, given up some time after it is gone.

use epilogue_core::{Connection, ConnectionId, OrgId, Session, SessionId, Span};
use epilogue_storage::{AttachOutcome, AttachRequest, DetachOutcome};
use tokio::runtime::Handle;

use crate::{Engine, Result};

/// How long letting a session go waits before it is tried again, at first and at most.
const RETRY: Span = Span::from_millis(20);
const RETRY_MAX: Span = Span::from_secs(5);

/// A session in the hands of a connection. Dropping it lets the session go, unless it has ended or
/// another connection has it by then: from that moment on its grace runs, and survives this process.
pub struct Attachment {
    engine: Engine,
    org: OrgId,
    session: SessionId,
    connection: ConnectionId,
}

impl Attachment {
    /// Whether the session, as it is, is still in these hands.
    pub fn holds(&self, session: &Session) -> bool {
        session.is_held_by(&self.connection)
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // Without a runtime the process is on its way out, and the next one lets the session go.
        let Ok(runtime) = Handle::try_current() else { return };
        let (engine, session) = (self.engine.clone(), (self.org.clone(), self.session));
        let connection = self.connection.clone();
        let letting_go = async move { engine.let_go(session, connection).await };
        self.engine.inner.tasks.spawn_on(letting_go, &runtime);
    }
}

/// What became of a connection that wants to take a session up.
pub enum Attached {
    /// It has it.
    To(Box<Session>, Attachment),
    /// The session has ended.
    Over(Box<Session>),
    /// There is no such session, it lives by no connection, or by somebody else's.
    NotYours,
}

impl Engine {
    /// A new connection of `holder`'s, for a session to be opened with: it ends by itself when it has
    /// been without a connection for `grace`.
    pub fn new_connection(&self, holder: &str, grace: Span) -> Connection {
        let (id, node) = (self.draw_connection(), self.inner.parts.node.clone());
        Connection { id, holder: holder.to_owned(), node, grace, lost_at: None }
    }

    pub(super) fn draw_connection(&self) -> ConnectionId {
        format!("con_{:032x}", u128::from_be_bytes(self.ids().bytes())).into()
    }

    /// Takes a session into the hands of the connection it was opened with. `None`: it has none.
    pub fn hold(&self, session: &Session) -> Option<Attachment> {
        let connection = session.connection.as_ref()?.id.clone();
        Some(self.attachment(session, connection))
    }

    fn attachment(&self, session: &Session, connection: ConnectionId) -> Attachment {
        let (engine, org) = (self.clone(), session.org.clone());
        Attachment { engine, org, session: session.id, connection }
    }

    /// Takes a session up with a new connection. One that stands so far is told to look.
    pub async fn attach(&self, org: &OrgId, id: SessionId, holder: &str) -> Result<Attached> {
        let Connection { id: connection, holder, node, .. } =
            self.new_connection(holder, Span::ZERO);
        let request = AttachRequest { connection: connection.clone(), holder, node };
        Ok(match self.store().attach(org, id, request).await? {
            AttachOutcome::Attached(session) => {
                let attachment = self.attachment(&session, connection);
                self.inner.watches.hint(&(org.clone(), id));
                Attached::To(session, attachment)
            }
            AttachOutcome::Over(session) => Attached::Over(session),
            AttachOutcome::NotYours => Attached::NotYours,
        })
    }

    /// Tried until it succeeds: a session that nobody lets go would never end. When the server stops
    /// first, its next start does it.
    async fn let_go(&self, (org, id): (OrgId, SessionId), connection: ConnectionId) {
        let (since, mut wait) = (self.now(), RETRY);
        loop {
            match self.store().detach(&org, id, &connection, since).await {
                Ok(DetachOutcome::Lost { due_at }) => {
                    tracing::info!(%org, session = %id, "the connection is gone");
                    return due_at.into_iter().for_each(|at| self.inner.alarm.due_at(at));
                }
                Ok(DetachOutcome::NotHeld) => return,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, session = %id, "a session could not be let go yet");
                }
            }
            if self.is_draining() {
                return;
            }
            self.clock().sleep(wait).await;
            wait = Span::from_millis(wait.as_millis() * 4).min(RETRY_MAX);
        }
    }
}
