//! One turn while it runs: the model, its tools, and what is kept when it is cut.

use std::{ops::ControlFlow, panic::AssertUnwindSafe};

use epilogue_core::{
    Agent, Message, Role, Session, Usage,
    event::Activity,
    message::{CONTEXT_ITEMS_MAX, NewMessage, Said, ToolCall, context_window, usage_of},
    open_calls::{with_ids, without_result},
    profile::Writes,
    variables,
};
use futures::{FutureExt as _, StreamExt as _};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};

use super::{
    TurnEvent, TurnExtras, TurnFailure, TurnRecord, TurnUsage,
    turns::{Cut, Place},
};
use crate::{
    Engine,
    clock::{Sleep, within},
    llm::{ModelError, ModelEvent, ModelRequest, ModelUsage, tokens},
};

/// What stands in the transcript as the result of the call by which the agent said goodbye.
const FINISHED: &str = "The conversation is finished.";

/// What ended one answer of the model.
struct Reply {
    text: String,
    calls: Vec<ToolCall>,
    usage: Option<ModelUsage>,
    /// Why it is incomplete, if it is.
    broken: Option<Broken>,
}

/// Why a turn stops before it is complete.
pub(super) enum Broken {
    Cut(Cut),
    Model(TurnFailure),
    ToolLoop,
}

impl Broken {
    const fn failure(&self) -> TurnFailure {
        match self {
            Self::Model(failure) => *failure,
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
    pub(super) engine: Engine,
    pub(super) session: Session,
    pub(super) agent: Agent,
    pub(super) number: u32,
    history: Vec<Message>,
    /// What the turn adds to the transcript.
    pub(super) added: Vec<NewMessage>,
    /// How many of these, the first ones, were said to the agent.
    pub(super) said: u32,
    /// What the agent has saved.
    pub(super) saved: Map<String, Value>,
    /// What its tools came to, for the activity log.
    pub(super) activity: Vec<Activity>,
    pub(super) usage: Usage,
    input_tokens: u64,
    pub(super) finish: bool,
    pub(super) extras: TurnExtras,
    events: mpsc::Sender<TurnEvent>,
    recorded: Option<oneshot::Sender<TurnRecord>>,
    place: Option<Place>,
    time_is_up: Sleep,
}

/// What a turn begins with.
pub(crate) struct Start {
    pub session: Session,
    pub agent: Agent,
    pub number: u32,
    /// The end of the transcript.
    pub history: Vec<Message>,
    /// What was said, as it goes on from there.
    pub said: Vec<Said>,
    pub extras: TurnExtras,
}

impl TurnRun {
    pub fn new(
        engine: Engine,
        start: Start,
        events: mpsc::Sender<TurnEvent>,
        recorded: oneshot::Sender<TurnRecord>,
    ) -> Self {
        let time_is_up = engine.clock().sleep(engine.limits().turn_max);
        let Start { session, agent, number, mut history, said, mut extras } = start;
        let (mut added, mut usage) = (Vec::new(), Usage::default());
        let used = usage_of(&said);
        let writes = session.profile.turns.writes;
        if writes == Writes::WholeTurns {
            let given = extras.history.take();
            if session.messages == 0 {
                added.extend(given.into_iter().flatten());
            } else if let Some(given) = given {
                history = numbered(given, number);
            }
        }
        if writes != Writes::AsItGoes {
            added.extend(said.into_iter().map(|said| said.body));
            usage = used;
        }
        Self {
            engine,
            session,
            agent,
            number,
            history,
            said: u32::try_from(added.len()).unwrap_or(u32::MAX),
            added,
            saved: Map::new(),
            activity: Vec::new(),
            usage,
            input_tokens: used.input_tokens,
            finish: false,
            extras,
            events,
            recorded: Some(recorded),
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
            Some(Broken::Model(TurnFailure::Model))
        });
        let recorded = self.record(broken.as_ref()).await;
        let event = match (recorded, broken) {
            (Err(failure), _) => TurnEvent::Failed(failure),
            (Ok(_), Some(broken)) => TurnEvent::Failed(broken.failure()),
            (Ok(record), None) => {
                let ended = record.session.ended().is_some();
                // A reader that does not want the record has dropped its end.
                if let Some(recorded) = self.recorded.take() {
                    let _ = recorded.send(record);
                }
                let output_tokens = self.usage.output_tokens;
                let usage = TurnUsage { input_tokens: self.input_tokens, output_tokens };
                TurnEvent::Completed { usage, finish: self.finish || ended }
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
        let next = self.history.last().map_or(0, |message| message.seq + 1);
        let added = self.added.iter().zip(next..).map(|(body, seq)| Message {
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
        let variables = variables::effective(context, &self.extras.variables);
        let mut prompt = super::prompt::fill_in(&self.agent.prompt, &variables);
        if let Some(recalled) = &context.recalled {
            prompt.push_str("\n\n");
            prompt.push_str(recalled);
        }
        prompt
    }

    /// Takes an answer into the transcript and runs the tools it calls.
    async fn take(&mut self, mut reply: Reply) -> ControlFlow<Option<Broken>> {
        self.count(&reply);
        reply.calls.truncate(self.engine.limits().tool_calls_max);
        if reply.calls.iter().any(|call| self.is_finish(&call.name)) {
            // Nobody will come back with the results of these.
            reply.calls.retain(|call| !self.is_deferred(&call.name));
        }
        if self.session.profile.turns.defers_calls {
            with_ids(&mut reply.calls, self.number, self.added.len());
        }
        if reply.broken.is_some() {
            // Its calls were never run: an answer that broke off keeps only what was received.
            reply.calls.clear();
        }
        let (finishing, calls): (Vec<_>, Vec<_>) =
            reply.calls.iter().cloned().partition(|call| self.is_finish(&call.name));
        self.finish |= !finishing.is_empty();
        let (deferred, calls): (Vec<_>, Vec<_>) =
            calls.into_iter().partition(|call| self.is_deferred(&call.name));
        let shown = self.session.profile.turns.finish_is_shown;
        let silent =
            calls.is_empty() && deferred.is_empty() && reply.text.is_empty() && self.finish;
        if silent && !shown {
            reply.text = self.farewell().await;
        }
        let mut said = NewMessage::text(Role::Assistant, reply.text, self.engine.now());
        said.tokens = reply.usage.map(|u| u32::try_from(u.completion_tokens).unwrap_or(u32::MAX));
        said.cut = reply.broken.is_some();
        // The agent's own come first, for their results do.
        let asked = || calls.iter().chain(&deferred).cloned().collect();
        said.tool_calls = if shown { reply.calls.clone() } else { asked() };
        if !said.content.is_empty() || !said.tool_calls.is_empty() {
            self.usage.total_messages += u32::from(said.is_visible());
            self.added.push(said);
        }
        if shown {
            self.answer_goodbye(finishing, silent).await;
        }
        if reply.broken.is_some() || (calls.is_empty() && deferred.is_empty()) {
            return ControlFlow::Break(reply.broken);
        }
        match self.run_tools(calls).await {
            Some(cut) => {
                self.added.extend(without_result(&deferred, self.engine.now()));
                ControlFlow::Break(Some(Broken::Cut(cut)))
            }
            // The turn is complete: what it asked its caller to do comes with the next.
            None if !deferred.is_empty() => ControlFlow::Break(None),
            None if self.finish => ControlFlow::Break(None),
            None => ControlFlow::Continue(()),
        }
    }

    /// Gives the shown call of the finish tool its result, and the agent its last words where it has
    /// said none.
    async fn answer_goodbye(&mut self, finishing: Vec<ToolCall>, silent: bool) {
        for call in finishing {
            let mut result = NewMessage::text(Role::Tool, FINISHED, self.engine.now());
            result.tool_call_id = Some(call.id);
            self.added.push(result);
        }
        if silent {
            let farewell = self.farewell().await;
            if !farewell.is_empty() {
                self.usage.total_messages += 1;
                self.added.push(NewMessage::text(Role::Assistant, farewell, self.engine.now()));
            }
        }
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

    /// Waits for something unless the turn is cut first.
    pub(super) async fn unless_cut<F: Future>(&mut self, work: F) -> Result<F::Output, Cut> {
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
    pub(super) async fn tell(&mut self, event: TurnEvent) -> Result<(), Cut> {
        let (events, clock) = (self.events.clone(), self.engine.clock().clone());
        let stall = self.engine.limits().reader_stall;
        let sending = async move { within(&*clock, stall, events.send(event)).await };
        match self.unless_cut(sending).await? {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(Cut::ReaderGone),
        }
    }
}

fn broken_by(reply: Reply, session: &Session, error: &ModelError) -> Reply {
    let cause = error as &dyn std::error::Error;
    tracing::warn!(error = cause, session = %session.id, "the model failed");
    let failure = match error {
        ModelError::Timeout { .. } => TurnFailure::ModelTimeout,
        ModelError::Configuration(_) => TurnFailure::Misconfigured,
        _ => TurnFailure::Model,
    };
    Reply { broken: Some(Broken::Model(failure)), ..reply }
}

/// Messages in the client's keeping, as if they stood in a transcript.
fn numbered(messages: Vec<NewMessage>, turn: u32) -> Vec<Message> {
    let numbered = messages.into_iter().zip(0..);
    numbered.map(|(body, seq)| Message { seq, turn, body }).collect()
}
