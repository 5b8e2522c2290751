//! One turn while it runs: the model, its tools, and what is kept when it is cut.

use std::{ops::ControlFlow, panic::AssertUnwindSafe};

use epilogue_core::{
    Agent, EndReason, EndRequest, Message, MicroCredits, Role, Session, Usage,
    agent::{OnCreditsExhausted, ToolSpec},
    event::Activity,
    ledger::{self, Account},
    message::{CONTEXT_ITEMS_MAX, NewMessage, ToolCall, context_window},
    profile::AgentFinish,
};
use epilogue_storage::{FinishTurnOutcome, FinishTurnRequest};
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::mpsc;

use super::{
    TurnEvent, TurnFailure, TurnUsage,
    turns::{Cut, Place},
};
use crate::{
    Engine,
    clock::{Sleep, within},
    llm::{ModelError, ModelEvent, ModelRequest, ModelUsage, ToolDefinition, tokens},
    tool::Toolbox,
    wording::ToolInvocation,
};

/// The built-in tools by which an agent says goodbye. All mean the same.
const FINISH_TOOLS: [&str; 3] = ["end_chat", "finishTheConversation", "endConversation"];

/// What the model hears of a call that was cut.
const CALL_CUT: &str = "The call was cut before it had a result.";

/// How often writing down a finished turn is tried when the store is overloaded.
const FINISH_ATTEMPTS: u32 = 5;

/// What ended one answer of the model.
struct Reply {
    text: String,
    calls: Vec<ToolCall>,
    usage: Option<ModelUsage>,
    /// Why it is incomplete, if it is.
    broken: Option<Broken>,
}

/// Why a turn stops before it is complete.
enum Broken {
    Cut(Cut),
    Model,
    Unusable,
    ToolLoop,
}

impl Broken {
    const fn failure(&self) -> TurnFailure {
        match self {
            Self::Model => TurnFailure::Model,
            Self::Unusable => TurnFailure::Unusable,
            Self::ToolLoop => TurnFailure::ToolLoop,
            Self::Cut(Cut::Ended) => TurnFailure::SessionEnded,
            Self::Cut(Cut::Interrupted | Cut::ReaderGone) => TurnFailure::Interrupted,
            Self::Cut(Cut::TooLong) => TurnFailure::TooLong,
            Self::Cut(Cut::ShuttingDown) => TurnFailure::ShuttingDown,
        }
    }
}

/// A turn while it runs.
pub(crate) struct TurnRun {
    engine: Engine,
    session: Session,
    agent: Agent,
    number: u32,
    history: Vec<Message>,
    /// What the turn adds to the transcript.
    added: Vec<NewMessage>,
    /// What its tools came to, for the activity log.
    activity: Vec<Activity>,
    usage: Usage,
    input_tokens: u64,
    finish: bool,
    events: mpsc::Sender<TurnEvent>,
    place: Option<Place>,
    time_is_up: Sleep,
}

impl TurnRun {
    pub fn new(
        engine: Engine,
        session: Session,
        agent: Agent,
        number: u32,
        history: Vec<Message>,
        input_tokens: u64,
        events: mpsc::Sender<TurnEvent>,
    ) -> Self {
        let time_is_up = engine.clock().sleep(engine.limits().turn_max);
        Self {
            engine,
            session,
            agent,
            number,
            history,
            added: Vec::new(),
            activity: Vec::new(),
            usage: Usage::default(),
            input_tokens,
            finish: false,
            events,
            place: None,
            time_is_up,
        }
    }

    /// Holds the session's place until the turn is over.
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Runs the turn, writes it down, ends the session if that is due, and tells the reader.
    pub async fn run(mut self) {
        let broken = AssertUnwindSafe(self.converse()).catch_unwind().await;
        let broken = broken.unwrap_or_else(|_| {
            tracing::error!(session = %self.session.id, "a turn panicked: this is a defect");
            Some(Broken::Model)
        });
        let recorded = self.record().await;
        let mut ending = None;
        let event = match (recorded, broken) {
            (Err(failure), _) => TurnEvent::Failed(failure),
            (Ok(_), Some(broken)) => TurnEvent::Failed(broken.failure()),
            (Ok(session), None) => {
                self.session = session;
                ending = self.reason_to_end().await;
                let output_tokens = self.usage.output_tokens;
                let usage = TurnUsage { input_tokens: self.input_tokens, output_tokens };
                TurnEvent::Completed { usage, finish: self.finish || ending.is_some() }
            }
        };
        let outcome = match &event {
            TurnEvent::Failed(failure) => failure.as_str(),
            _ => "completed",
        };
        self.engine.metrics().turn_finished(outcome);
        // The place is free before the reader hears of it, so that its next message never waits; and
        // a goodbye is on disk before it is told, however slowly it is read.
        drop(self.place.take());
        if let Some(reason) = ending {
            self.end_session(reason).await;
        }
        let _ = within(
            &**self.engine.clock(),
            self.engine.limits().reader_stall,
            self.events.send(event),
        )
        .await;
    }

    /// Talks to the model until it is silent. `None`: the turn is complete.
    async fn converse(&mut self) -> Option<Broken> {
        for _ in 0..=self.engine.limits().tool_rounds_max {
            let reply = self.answer().await;
            if let ControlFlow::Break(broken) = self.take(reply).await {
                return broken;
            }
        }
        tracing::warn!(session = %self.session.id, "an agent went back to its tools too often");
        Some(Broken::ToolLoop)
    }

    /// One answer of the model, passed on as it comes.
    async fn answer(&mut self) -> Reply {
        let mut reply = Reply { text: String::new(), calls: Vec::new(), usage: None, broken: None };
        let asked_at = self.engine.now();
        let models = self.engine.inner.parts.models.clone();
        let asking = models.stream(self.request());
        let mut stream = match self.unless_cut(asking).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return broken_by(reply, &self.session, &error),
            Err(cut) => return Reply { broken: Some(Broken::Cut(cut)), ..reply },
        };
        self.engine.metrics().first_token(self.engine.now().since(asked_at));
        loop {
            match self.unless_cut(stream.next()).await {
                Ok(Some(Ok(ModelEvent::Text(text)))) => {
                    reply.text.push_str(&text);
                    if let Err(cut) = self.tell(TurnEvent::Text(text)).await {
                        return Reply { broken: Some(Broken::Cut(cut)), ..reply };
                    }
                }
                Ok(Some(Ok(ModelEvent::ToolCall(call)))) => reply.calls.push(call),
                Ok(Some(Ok(ModelEvent::End { usage }))) => return Reply { usage, ..reply },
                Ok(Some(Err(error))) => return broken_by(reply, &self.session, &error),
                Ok(None) => return broken_by(reply, &self.session, &ModelError::Incomplete),
                Err(cut) => return Reply { broken: Some(Broken::Cut(cut)), ..reply },
            }
        }
    }

    fn request(&self) -> ModelRequest {
        let added = self.added.iter().zip(self.session.messages..).map(|(body, seq)| Message {
            seq,
            turn: self.number,
            body: body.clone(),
        });
        let transcript: Vec<_> = self.history.iter().cloned().chain(added).collect();
        ModelRequest {
            model: self.agent.model.clone(),
            system: self.instructions(),
            messages: context_window(&transcript, CONTEXT_ITEMS_MAX).to_vec(),
            tools: self.tools(),
            answer: None,
        }
    }

    /// The agent's prompt with its variables filled in once, then what is remembered.
    fn instructions(&self) -> String {
        let context = &self.session.context;
        let mut prompt = super::prompt::fill_in(&self.agent.prompt, &context.variables);
        if let Some(recalled) = &context.recalled {
            prompt.push_str("\n\n");
            prompt.push_str(recalled);
        }
        prompt
    }

    fn tools(&self) -> Vec<ToolDefinition> {
        let mut tools = Toolbox::definitions(&self.agent.tools);
        if self.agent.may_finish {
            tools.push(ToolDefinition {
                name: FINISH_TOOLS[0].to_owned(),
                description: "Ends the conversation. Call it when the person has said goodbye or \
                              everything is settled."
                    .to_owned(),
                parameters: serde_json::json!({ "type": "object", "properties": {} }),
            });
        }
        tools
    }

    /// Takes an answer into the transcript and runs the tools it calls.
    async fn take(&mut self, mut reply: Reply) -> ControlFlow<Option<Broken>> {
        self.count(&reply);
        reply.calls.truncate(self.engine.limits().tool_calls_max);
        if reply.broken.is_some() {
            // Its calls were never run: an answer that broke off keeps only what was received.
            reply.calls.clear();
        }
        let (finishing, calls): (Vec<_>, Vec<_>) =
            reply.calls.iter().cloned().partition(|call| self.is_finish(&call.name));
        self.finish |= !finishing.is_empty();
        if calls.is_empty() && reply.text.is_empty() && self.finish {
            reply.text = self.farewell().await;
        }
        let mut said = NewMessage::text(Role::Assistant, reply.text, self.engine.now());
        said.tokens = reply.usage.map(|u| u32::try_from(u.completion_tokens).unwrap_or(u32::MAX));
        said.cut = reply.broken.is_some();
        said.tool_calls.clone_from(&calls);
        if !said.content.is_empty() || !calls.is_empty() {
            self.usage.total_messages += u32::from(said.is_visible());
            self.added.push(said);
        }
        if reply.broken.is_some() || calls.is_empty() {
            return ControlFlow::Break(reply.broken);
        }
        match self.run_tools(calls).await {
            Some(cut) => ControlFlow::Break(Some(Broken::Cut(cut))),
            None if self.finish => ControlFlow::Break(None),
            None => ControlFlow::Continue(()),
        }
    }

    /// Whether a call means goodbye. To an agent that may not finish it is a tool like any other.
    fn is_finish(&self, tool: &str) -> bool {
        self.agent.may_finish && FINISH_TOOLS.contains(&tool)
    }

    /// What the agent says when it finishes without words of its own.
    async fn farewell(&mut self) -> String {
        let farewell = self.agent.farewell.clone().unwrap_or_default();
        if !farewell.is_empty() {
            // A reader that is gone by now misses nothing that is not in the transcript.
            let _ = self.tell(TurnEvent::Text(farewell.clone())).await;
        }
        farewell
    }

    /// Adds what an answer used, counted here where the endpoint does not say.
    fn count(&mut self, reply: &Reply) {
        if reply.broken.is_some() && reply.text.is_empty() && reply.usage.is_none() {
            return;
        }
        let used = reply.usage.unwrap_or_else(|| {
            self.usage.estimated = true;
            tokens::estimate(&self.request(), &reply.text, &reply.calls)
        });
        self.usage.model_calls += 1;
        self.usage.prompt_tokens += used.prompt_tokens;
        self.usage.output_tokens += used.completion_tokens;
    }

    /// Runs tools one after the other. Every call gets a result, so that the transcript stays valid
    /// for replay, even when the turn is cut between them.
    async fn run_tools(&mut self, calls: Vec<ToolCall>) -> Option<Cut> {
        let mut cut = None;
        for call in calls {
            let result = match cut {
                Some(_) => CALL_CUT.to_owned(),
                None => match self.run_tool(&call).await {
                    Ok(result) => result,
                    Err(why) => {
                        cut = Some(why);
                        CALL_CUT.to_owned()
                    }
                },
            };
            let mut message = NewMessage::text(Role::Tool, result, self.engine.now());
            message.tool_call_id = Some(call.id);
            self.added.push(message);
        }
        cut
    }

    async fn run_tool(&mut self, call: &ToolCall) -> Result<String, Cut> {
        self.tell(TurnEvent::ToolStarted { name: call.name.clone() }).await?;
        let spec = self.agent.tools.iter().find(|tool| tool.name == call.name).cloned();
        let result = match spec {
            Some(spec) => {
                let engine = self.engine.clone();
                let words = self.words(&spec, call);
                let calling = async move {
                    let tools = &engine.inner.parts.tools;
                    tools.call_with(&spec, &call.arguments, words.as_deref()).await
                };
                let reply = self.unless_cut(calling).await?;
                self.log_call(&call.name, reply.failure.as_deref());
                reply.text
            }
            None => format!("There is no tool called {}.", call.name),
        };
        self.tell(TurnEvent::ToolFinished { name: call.name.clone() }).await?;
        Ok(result)
    }

    /// The call in the words of the API that the tool was written through, if it has some and the
    /// arguments are what it takes.
    fn words(&self, spec: &ToolSpec, call: &ToolCall) -> Option<String> {
        let dialect = spec.worded_by.as_ref()?;
        let invocation = ToolInvocation { session: &self.session, agent: &self.agent, call };
        self.engine.inner.parts.wording.tool_call(dialect, &invocation)
    }

    fn log_call(&mut self, tool: &str, failure: Option<&str>) {
        let call = (self.number, self.activity.len(), tool);
        let entry = Activity::tool_called(&self.session, call, failure, self.engine.now());
        self.activity.push(entry);
    }

    /// Waits for something unless the turn is cut first.
    async fn unless_cut<F: Future>(&mut self, work: F) -> Result<F::Output, Cut> {
        let running = self.place.as_ref().map(|place| place.running.clone()).unwrap_or_default();
        tokio::select! {
            biased;
            why = running.cut_down() => Err(why),
            () = self.events.closed() => Err(Cut::ReaderGone),
            () = &mut self.time_is_up => Err(Cut::TooLong),
            output = work => Ok(output),
        }
    }

    /// Tells the reader, waiting for a slow one within bounds.
    async fn tell(&mut self, event: TurnEvent) -> Result<(), Cut> {
        let (events, clock) = (self.events.clone(), self.engine.clock().clone());
        let stall = self.engine.limits().reader_stall;
        let sending = async move { within(&*clock, stall, events.send(event)).await };
        match self.unless_cut(sending).await? {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(Cut::ReaderGone),
        }
    }

    /// Writes the turn down.
    async fn record(&mut self) -> Result<Session, TurnFailure> {
        let request = FinishTurnRequest {
            org: self.session.org.clone(),
            session: self.session.id,
            number: self.number,
            messages: std::mem::take(&mut self.added),
            usage: self.usage,
            activity: std::mem::take(&mut self.activity),
        };
        let mut wait = epilogue_core::Span::from_millis(20);
        for _ in 0..FINISH_ATTEMPTS {
            match self.engine.store().finish_turn(request.clone(), self.engine.now()).await {
                Ok(FinishTurnOutcome::Recorded(session)) => return Ok(*session),
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
            wait = epilogue_core::Span::from_millis(wait.as_millis() * 4);
        }
        Err(TurnFailure::Store)
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
        let owed = self.agent.price.cost(&self.session.usage, lasted);
        let left = balance + self.session.held - owed;
        Ok(!ledger::may_open(left, MicroCredits::ZERO, organization.grace))
    }

    /// Why the session is over after this turn, if it is and the API leaves that to the server.
    async fn reason_to_end(&mut self) -> Option<EndReason> {
        if self.credits_are_out().await {
            return Some(EndReason::CreditsExhausted);
        }
        let ends = self.session.profile.agent_finish == AgentFinish::EndsSession;
        (self.finish && ends).then_some(EndReason::AgentFinish)
    }

    async fn end_session(&mut self, reason: EndReason) {
        let ended =
            self.engine.end(&self.session.org, self.session.id, EndRequest::asked(reason)).await;
        if let Err(error) = ended {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, session = %self.session.id, "the agent could not end its session");
        }
    }
}

fn broken_by(reply: Reply, session: &Session, error: &ModelError) -> Reply {
    let error_kind = error;
    let error = error as &dyn std::error::Error;
    tracing::warn!(error, session = %session.id, "the model failed");
    let broken = match error_kind {
        ModelError::Configuration(_) => Broken::Unusable,
        _ => Broken::Model,
    };
    Reply { broken: Some(broken), ..reply }
}
