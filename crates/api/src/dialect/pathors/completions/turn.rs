//! From a call to the turn of a session: the live one of its name, or a fresh one.

use epilogue_core::{
    EndReason, Session, Span,
    message::Said,
    open_calls::{self, Misfit},
};
use epilogue_engine::{
    records::SessionName,
    session::{
        TurnError, TurnExtras, TurnFailure, TurnInput, TurnRequest, WhenBusy, WholeTurnError,
    },
};
use http::StatusCode;

use super::{names::Named, request::Asked};
use crate::{
    Api,
    dialect::pathors::{
        access::Member,
        enter::{self, Beginning},
        error::Error,
        limits,
    },
    gone::CallerGone,
    rate::Subject,
};

/// How often a turn may find that the session it was for has just ended.
pub(super) const TRIES_MAX: u32 = 16;

/// When a client is asked to come back whose session has too many calls waiting.
const RETRY_AFTER: Span = Span::from_secs(1);

/// A call, and who makes it.
pub(super) struct Talk {
    pub api: Api,
    pub member: Member,
    pub asked: Asked,
    pub named: Named,
    /// The call's own name.
    pub key: Option<String>,
    pub gone: CallerGone,
}

/// Why a turn has no answer of its own.
pub(super) enum NoTurn {
    /// The session was over before the call came: what was said begins another.
    Over,
    /// The session has ended while the call waited in its line.
    Ended,
    /// It is refused.
    Refused(Error),
}

impl From<Error> for NoTurn {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl Talk {
    /// The turn of the session with this name. Of one that has ended, a turn is taken as well if the
    /// call has a name: it may be on record there. With it, whether the session was open when it was found.
    pub async fn begin(&self, tries: u32) -> Result<(TurnRequest, bool), NoTurn> {
        let session = match self.answered_before(tries).await? {
            Some(session) => session,
            None => self.enter().await?,
        };
        if tries == 0 {
            let subject = Subject::Messages(session.org.clone(), session.id);
            limits::within(&self.api, &subject, self.api.settings().messages_per_minute)?;
        }
        let extras = TurnExtras {
            key: self.key.clone(),
            deferred: self.asked.tools.clone(),
            told_whole: !self.asked.stream,
            ..TurnExtras::default()
        };
        let was_open = session.is_live(self.api.engine().now());
        let request = TurnRequest {
            org: session.org,
            session: session.id,
            input: TurnInput::Messages(self.asked.messages.clone()),
            when_busy: WhenBusy::Wait,
            extras,
        };
        Ok((request, was_open))
    }

    /// The latest session of the name, if the call may be on record there.
    async fn answered_before(&self, tries: u32) -> Result<Option<Session>, Error> {
        if tries > 0 || self.key.is_none() {
            return Ok(None);
        }
        let (project, name) = (self.member.project.id.clone(), self.named.name.clone());
        let latest = SessionName::LatestInProject(project, name);
        Ok(self.api.engine().find(self.member.org(), &latest).await?)
    }

    /// The live session of the name, or a fresh one.
    async fn enter(&self) -> Result<Session, Error> {
        let (api, member, name) = (&self.api, &self.member, &*self.named.name);
        if let Some(live) = enter::live(api, member, name).await? {
            return Ok(live);
        }
        self.fits_a_fresh_session()?;
        let person = self.asked.person.clone();
        let beginning = Beginning { person, with_turn: true, ..Beginning::default() };
        Ok(enter::enter(api, member, name, &beginning).await?.session)
    }

    /// Nothing is opened for words that no session could begin with, such as results of tools.
    fn fits_a_fresh_session(&self) -> Result<(), Error> {
        let said = self.asked.messages.iter().cloned().map(|body| Said { body, tokens: 0 });
        let fits = open_calls::fit(&[], said.collect(), self.api.engine().now());
        fits.map(drop).map_err(|misfit| misfits(&misfit))
    }
}

fn misfits(misfit: &Misfit) -> Error {
    Error::bad(format!("messages: {misfit}"))
}

/// Why a turn did not begin. Who found the session open is told of its end; to others, and where the
/// session never came about, there is another.
pub(super) fn not_begun(error: TurnError, was_open: bool) -> NoTurn {
    NoTurn::Refused(match error {
        TurnError::Over(ended) if was_open && ended.reason != EndReason::Failed => {
            return NoTurn::Ended;
        }
        TurnError::Lapsed(_) if was_open => return NoTurn::Ended,
        TurnError::Over(_) | TurnError::Lapsed(_) | TurnError::NoSession => return NoTurn::Over,
        error @ TurnError::ToolTaken(_) => Error::bad(format!("tools: {error}")),
        TurnError::NoAgent => Error::bad("The agent of this project takes no turns"),
        TurnError::Misfit(misfit) => misfits(&misfit),
        TurnError::Busy | TurnError::Overrun => {
            let message = "Too many messages wait for this session";
            Error::new(StatusCode::TOO_MANY_REQUESTS, message).retry_after(RETRY_AFTER)
        }
        TurnError::Engine(error) => error.into(),
    })
}

/// Why a turn that had begun has no answer. It has left no trace. Clients that call again by themselves
/// are told where that cannot help.
pub(super) fn failed(failure: TurnFailure) -> Error {
    let status = match failure {
        TurnFailure::ShuttingDown | TurnFailure::Interrupted => {
            let error = Error::new(StatusCode::SERVICE_UNAVAILABLE, failure.to_string());
            return error.retry_after(RETRY_AFTER);
        }
        TurnFailure::Model
        | TurnFailure::ModelTimeout
        | TurnFailure::Misconfigured
        | TurnFailure::ToolLoop
        | TurnFailure::TooLong
        | TurnFailure::SessionEnded
        | TurnFailure::Store => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let error = Error::new(status, failure.to_string());
    match failure {
        TurnFailure::Misconfigured | TurnFailure::ToolLoop | TurnFailure::TooLong => {
            error.for_good()
        }
        _ => error,
    }
}

/// Why a whole turn has no answer.
pub(super) fn refused(error: WholeTurnError, was_open: bool) -> NoTurn {
    match error {
        WholeTurnError::NotBegun(error) => not_begun(error, was_open),
        WholeTurnError::Failed(failure) => NoTurn::Refused(failed(failure)),
    }
}

/// Nobody reads this.
pub(super) fn hung_up() -> Error {
    Error::bad("The caller hung up")
}

/// What is said of a call whose answer has gone with its session.
pub(super) fn gone() -> Error {
    Error::bad("This call was answered before, and its session is gone with the answer")
}

/// What is said when others end the session time and again.
pub(super) fn outrun() -> Error {
    Error::busy("Too many requests open and end this session")
}
