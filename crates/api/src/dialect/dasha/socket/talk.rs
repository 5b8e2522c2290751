//! The conversation over a socket: what the page says becomes turns, what happens in them is told to
//! the page, and whoever ends the session, the page hears of it.

use std::collections::VecDeque;

use epilogue_core::{EndReason, EndRequest, Session};
use epilogue_engine::{
    clock::Sleep,
    records::{EndReceipt, SessionName, TokenHolder},
    session::{
        Attachment, TurnError, TurnEvent as Happens, TurnExtras, TurnFailure, TurnNews, TurnRecord,
        TurnRequest, Watch, WhenBusy, WholeTurnError,
    },
};
use futures::{FutureExt as _, future::BoxFuture};
use serde_json::{Value, json};

use super::{
    super::{
        find::within_limit,
        messages::{produced, refused},
        query, view,
    },
    LAST_WORDS_WITHIN, LOOK_EVERY, PING_EVERY, SILENCE_MAX, WAITING_MAX, fault,
    frames::Incoming,
    handshake::Visit,
    line::{Heard, Left, Line},
    tools::{Ask, Tools},
    turn::{Turn, TurnEvent},
};
use crate::{Api, rate::Subject};

type Ending = BoxFuture<'static, epilogue_engine::Result<Option<EndReceipt>>>;

/// A conversation. Dropping it lets the session go.
pub(super) struct Talk {
    api: Api,
    visit: Visit,
    /// The token, for the activity log.
    by: String,
    session: Session,
    attachment: Attachment,
    watch: Watch,
    tools: Tools,
    /// The turn has said that it calls one of them: its request is not passed on before, for the page is
    /// to hear everything in its order.
    calls_page: bool,
    /// What was said and waits for its turn.
    waiting: VecDeque<String>,
    turn: Option<Turn>,
    /// The end that the page has asked for.
    ending: Option<Ending>,
    /// The session as it ended.
    over: Option<Box<Session>>,
    draining: bool,
    look: Sleep,
    ping: Sleep,
    /// When the turn in flight of a session that has ended is heard no longer.
    last_words: Option<Sleep>,
}

/// What moves a conversation.
enum Event {
    Heard(Heard),
    Turn(TurnEvent),
    Asked(Ask),
    Hinted,
    Look,
    Ping,
    Ended(Box<epilogue_engine::Result<Option<EndReceipt>>>),
    Draining,
    LastWords,
}

/// On with it, or why not.
type Step = Result<(), Left>;

impl Talk {
    pub fn new(
        api: Api,
        (visit, holder): (Visit, TokenHolder),
        session: Session,
        attachment: Attachment,
    ) -> Self {
        let (tools, clock) = (Tools::of(&holder.integration), api.engine().clock());
        let watch = api.engine().watch(&session.org, session.id);
        let (look, ping) = (clock.sleep(LOOK_EVERY), clock.sleep(PING_EVERY));
        Self {
            api,
            visit,
            by: holder.token.id,
            session,
            attachment,
            watch,
            tools,
            calls_page: false,
            waiting: VecDeque::new(),
            turn: None,
            ending: None,
            over: None,
            draining: false,
            look,
            ping,
            last_words: None,
        }
    }

    /// Says that the conversation has begun.
    pub async fn greet(&mut self, line: &mut Line) -> Step {
        let data = json!({ "recordId": self.session.dialect_id });
        line.tell("event", json!({ "name": "connection", "data": data })).await?;
        line.tell("event", json!({ "name": "opened", "data": data })).await
    }

    /// Talks until there is a reason not to.
    pub async fn run(mut self, line: &mut Line) -> Left {
        loop {
            if self.turn.is_none() {
                if let Some(session) = self.over.take() {
                    return Left::Over(session);
                }
                if self.draining {
                    return Left::Draining;
                }
                self.begin_turn();
            }
            let event = self.next(line).await;
            if let Err(left) = self.take(event, line).await {
                return left;
            }
        }
    }

    async fn next(&mut self, line: &mut Line) -> Event {
        let engine = self.api.engine();
        tokio::select! {
            heard = line.hear() => Event::Heard(heard),
            event = unless_none(self.turn.as_mut().map(Turn::next)) => Event::Turn(event),
            ask = self.tools.asked(), if self.calls_page => Event::Asked(ask),
            () = self.watch.hinted() => Event::Hinted,
            () = &mut self.look => Event::Look,
            () = &mut self.ping => Event::Ping,
            ended = unless_none(self.ending.as_mut()) => Event::Ended(Box::new(ended)),
            () = engine.drain_begins(), if !self.draining => Event::Draining,
            () = unless_none(self.last_words.as_mut()) => Event::LastWords,
        }
    }

    async fn take(&mut self, event: Event, line: &mut Line) -> Step {
        match event {
            Event::Heard(Heard::Said(message)) => self.hear(message, line).await,
            Event::Heard(Heard::Alive) => Ok(()),
            Event::Heard(Heard::Left(left)) => Err(left),
            Event::Turn(event) => self.relay(event, line).await,
            Event::Asked(ask) => {
                self.calls_page = false;
                let request = self.tools.request(query::drawn_id(&self.api), ask);
                line.tell("websocketToolRequest", request).await
            }
            Event::Hinted => self.look().await,
            Event::Look => self.look_again().await,
            Event::Ping => self.ping(line).await,
            Event::Ended(ended) => self.ended(*ended, line).await,
            Event::Draining => {
                self.draining = true;
                Ok(())
            }
            Event::LastWords => {
                self.turn = None;
                Ok(())
            }
        }
    }

    async fn hear(&mut self, message: Incoming, line: &mut Line) -> Step {
        match message {
            Incoming::Initialize(_) => Err(Left::Fault(fault::INIT_AGAIN)),
            Incoming::Message(text) => match self.accept(text) {
                Ok(()) => Ok(()),
                Err(complaint) => line.complain(complaint).await,
            },
            Incoming::ToolResponse { id, result } => {
                if self.tools.answer(&id, result) {
                    return Ok(());
                }
                // It may be late for a request that took too long: no reason to close.
                line.complain("No such tool request").await
            }
            Incoming::Terminate => {
                self.terminate();
                Ok(())
            }
        }
    }

    /// Takes what the person said, or says why not; then the conversation goes on as if it had not
    /// been said. What comes after `terminate` is passed over.
    fn accept(&mut self, text: String) -> Result<(), &'static str> {
        if self.ending.is_some() || self.over.is_some() || self.draining {
            return Ok(());
        }
        if text.trim().is_empty() {
            return Err("`content` must not be blank");
        }
        if self.waiting.len() >= WAITING_MAX {
            return Err("Too many messages wait for this conversation");
        }
        let per_minute = self.api.settings().messages_per_minute;
        within_limit(
            &self.api,
            &Subject::Messages(self.session.org.clone(), self.session.id),
            per_minute,
        )
        .map_err(|_| "Rate limit exceeded")?;
        self.waiting.push_back(text);
        Ok(())
    }

    fn begin_turn(&mut self) {
        if self.ending.is_some() {
            return;
        }
        let Some(message) = self.waiting.pop_front() else { return };
        let extras = TurnExtras { tools: self.tools.offered(), ..TurnExtras::default() };
        let (org, session) = (self.session.org.clone(), self.session.id);
        let input = message.clone().into();
        let request = TurnRequest { org, session, input, when_busy: WhenBusy::Wait, extras };
        self.turn = Some(Turn::begin(&self.api, message, request));
    }

    /// Ends the session as its user's. The turn in flight is heard meanwhile.
    fn terminate(&mut self) {
        if self.ending.is_some() || self.over.is_some() {
            return;
        }
        let (engine, org, id) =
            (self.api.engine().clone(), self.session.org.clone(), self.session.id);
        let by = Some(self.by.clone());
        let request = EndRequest { by, ..EndRequest::asked(EndReason::UserEnd) };
        self.ending = Some(async move { engine.end(&org, id, request).await }.boxed());
    }

    async fn ended(
        &mut self,
        ended: epilogue_engine::Result<Option<EndReceipt>>,
        line: &mut Line,
    ) -> Step {
        self.ending = None;
        match ended {
            Ok(Some(receipt)) => {
                self.is_over(receipt.session);
                Ok(())
            }
            Ok(None) => Err(Left::Fault(fault::OURS)),
            // The session lives: the page may ask again, or go.
            Err(error) => {
                self.warn(&error, "a session was not ended");
                line.complain("The conversation could not be ended. Please try again.").await
            }
        }
    }

    fn warn(&self, error: &epilogue_engine::Error, what: &str) {
        let error = error as &dyn std::error::Error;
        tracing::warn!(error, session = %self.session.id, "{what}");
    }

    fn is_over(&mut self, session: Session) {
        if session.ended().is_some() && self.over.is_none() {
            self.over = Some(Box::new(session));
            self.last_words = Some(self.api.engine().clock().sleep(LAST_WORDS_WITHIN));
        }
    }

    /// Looks at the record, which alone says whether the session lives and whose it is.
    async fn look(&mut self) -> Step {
        let name = SessionName::Id(self.session.id);
        match self.api.engine().find(&self.session.org, &name).await {
            Ok(Some(session)) if session.ended().is_some() => self.is_over(session),
            Ok(Some(session)) if self.attachment.holds(&session) => {}
            Ok(Some(_)) => return Err(Left::Fault(fault::TAKEN_OVER)),
            Ok(None) => return Err(Left::Fault(fault::OURS)),
            // It is looked at again, sooner or later.
            Err(error) => self.warn(&error, "a session was not looked at"),
        }
        Ok(())
    }

    async fn look_again(&mut self) -> Step {
        self.look = self.api.engine().clock().sleep(LOOK_EVERY);
        self.look().await?;
        match self.visit.admit(&self.api).await {
            Ok(_) => Ok(()),
            Err(fault) if fault == fault::OURS => Ok(()),
            Err(fault) => Err(Left::Fault(fault)),
        }
    }

    async fn ping(&mut self, line: &mut Line) -> Step {
        let engine = self.api.engine();
        if engine.now().since(line.heard_at()) >= SILENCE_MAX {
            return Err(Left::Gone);
        }
        self.ping = engine.clock().sleep(PING_EVERY);
        line.ping().await
    }

    /// Tells the page what happens in its turn. Text is unfinished until the turn is on disk.
    async fn relay(&mut self, event: TurnEvent, line: &mut Line) -> Step {
        let Some(turn) = &mut self.turn else { return Ok(()) };
        match event {
            TurnEvent::News(TurnNews::Begun) => line.tell("text", text("user", &turn.said)).await,
            TurnEvent::News(TurnNews::Event(Happens::Text(more))) => {
                match turn.grow(&more, &self.api) {
                    Some(so_far) => line.tell("text", unfinished(so_far)).await,
                    None => Ok(()),
                }
            }
            TurnEvent::News(TurnNews::Event(Happens::ToolStarted { name })) => {
                turn.next_message();
                self.calls_page = self.tools.has(&name);
                self.notice("toolCall", &name, line).await
            }
            TurnEvent::News(TurnNews::Event(Happens::ToolFinished { name })) => {
                self.notice("toolCallResult", &name, line).await
            }
            // Its end is told by the turn itself.
            TurnEvent::News(TurnNews::Event(_)) => Ok(()),
            TurnEvent::Show => match turn.show(&self.api) {
                Some(so_far) => line.tell("text", unfinished(so_far)).await,
                None => Ok(()),
            },
            TurnEvent::Done(result) => {
                self.turn = None;
                match *result {
                    Ok(record) => self.answered(record, line).await,
                    Err(error) => self.failed(error, line).await,
                }
            }
        }
    }

    /// Says that a tool runs here, by its name alone: what it is given and gives back may be none of
    /// the page's business. Of its own tools the page hears by its requests.
    async fn notice(&mut self, kind: &str, name: &str, line: &mut Line) -> Step {
        if self.tools.has(name) {
            return Ok(());
        }
        line.tell(kind, json!({ "content": { "toolName": name } })).await
    }

    async fn answered(&mut self, record: TurnRecord, line: &mut Line) -> Step {
        let shown = view::messages(&produced(&record.messages));
        for message in shown.iter().filter(|message| !message.content.is_empty()) {
            line.tell("text", text("assistant", &message.content)).await?;
        }
        self.is_over(record.session);
        Ok(())
    }

    /// A turn that failed has left nothing behind, and the conversation goes on.
    async fn failed(&mut self, error: WholeTurnError, line: &mut Line) -> Step {
        match error {
            WholeTurnError::NotBegun(TurnError::Over(_) | TurnError::Lapsed(_))
            | WholeTurnError::Failed(TurnFailure::SessionEnded) => self.look().await,
            error => line.complain(refused(error).detail()).await,
        }
    }
}

fn text(source: &str, text: &str) -> Value {
    json!({ "content": { "source": source, "text": text, "potential": false } })
}

fn unfinished(text: &str) -> Value {
    json!({ "content": { "source": "assistant", "text": text, "potential": true } })
}

/// Waits for something that may not be there; then for ever.
async fn unless_none<F: Future>(work: Option<F>) -> F::Output {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}
