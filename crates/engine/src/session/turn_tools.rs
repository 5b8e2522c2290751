//! The tools of a turn: which the model is offered, and what becomes of its calls.

use epilogue_core::{
    Role,
    agent::ToolSpec,
    event::Activity,
    message::{NewMessage, ToolCall},
    profile::FinishTool,
    variable_spec,
    variables::{Nulls, SAVE_VARIABLES, merged},
};
use serde_json::{Map, Value};

use super::{TurnEvent, turn_run::TurnRun, turns::Cut};
use crate::{
    llm::ToolDefinition,
    tool::{ARGUMENTS_BYTES_MAX, BAD_ARGUMENTS, LONG_ARGUMENTS, Toolbox},
    wording::ToolInvocation,
};

/// What the model hears when everything was saved.
const SAVED: &str = "Saved.";

/// What the model hears of a call that was cut.
const CALL_CUT: &str = "The call was cut before it had a result.";

impl TurnRun {
    /// The tools that the model is offered.
    pub(super) fn tools(&self) -> Vec<ToolDefinition> {
        let mut tools = Toolbox::definitions(&self.agent.tools);
        // The agent's own tool comes before a client's of the same name.
        let own = |name: &str| self.agent.tools.iter().any(|tool| tool.name == name);
        let of_client = self.extras.tools.iter().map(|tool| &tool.definition);
        tools.extend(of_client.filter(|tool| !own(&tool.name)).cloned());
        let deferred = self.extras.deferred.iter().filter(|tool| self.is_deferred(&tool.name));
        tools.extend(deferred.cloned());
        if self.agent.may_finish && !self.has_tool(self.finish_tool().as_str()) {
            tools.push(ToolDefinition {
                name: self.finish_tool().as_str().to_owned(),
                description: "Ends the conversation. Call it when the person has said goodbye or \
                              everything is settled."
                    .to_owned(),
                parameters: serde_json::json!({ "type": "object", "properties": {} }),
            });
        }
        if self.saves(SAVE_VARIABLES) {
            tools.push(ToolDefinition {
                name: SAVE_VARIABLES.to_owned(),
                description:
                    "Saves what you have learned in the conversation. Call it as soon as you \
                              know any of these values, with those that you know."
                        .to_owned(),
                parameters: variable_spec::schema(&self.agent.variables),
            });
        }
        tools
    }

    /// Whether a call means goodbye. An agent's own tool of that name is a tool like any other, and so
    /// is any to an agent that may not finish.
    pub(super) fn is_finish(&self, tool: &str) -> bool {
        let understood = self.finish_tool().understood();
        self.agent.may_finish && understood.contains(&tool) && !self.has_tool(tool)
    }

    pub(super) const fn finish_tool(&self) -> FinishTool {
        self.session.profile.turns.finish_tool
    }

    fn has_tool(&self, name: &str) -> bool {
        self.agent.tools.iter().any(|tool| tool.name == name)
            || self.extras.tools.iter().any(|tool| tool.definition.name == name)
            || self.is_deferred(name)
    }

    /// Whether a call is for the turn's caller to run, after the turn. A caller's tool comes before what
    /// is built in under its name.
    pub(super) fn is_deferred(&self, name: &str) -> bool {
        self.session.profile.turns.defers_calls
            && self.extras.deferred.iter().any(|tool| tool.name == name)
    }

    /// Whether a call saves variables.
    fn saves(&self, name: &str) -> bool {
        name == SAVE_VARIABLES && !self.agent.variables.is_empty() && !self.has_tool(name)
    }

    /// Saves what the model says it has learned, and tells it what of that was not to be.
    fn save(&mut self, arguments: &str) -> String {
        if arguments.len() > ARGUMENTS_BYTES_MAX {
            return LONG_ARGUMENTS.to_owned();
        }
        let Ok(given) = serde_json::from_str::<Map<String, Value>>(arguments) else {
            return BAD_ARGUMENTS.to_owned();
        };
        let (fits, mut wrong) = variable_spec::accepted(&self.agent.variables, &given);
        match merged(&self.saved, &fits, Nulls::Kept) {
            Ok(saved) if self.bag_takes(&saved) => self.saved = saved,
            _ => wrong.push("the values are too long".to_owned()),
        }
        if wrong.is_empty() {
            SAVED.to_owned()
        } else {
            format!("Not saved: {}.", wrong.join("; "))
        }
    }

    fn bag_takes(&self, saved: &Map<String, Value>) -> bool {
        merged(&self.session.context.bag, saved, Nulls::Kept).is_ok()
    }

    /// Runs tools one after the other. Every call gets a result, so that the transcript stays valid
    /// for replay, even when the turn is cut between them.
    pub(super) async fn run_tools(&mut self, calls: Vec<ToolCall>) -> Option<Cut> {
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
        if self.saves(&call.name) {
            return Ok(self.save(&call.arguments));
        }
        self.tell(TurnEvent::ToolStarted { name: call.name.clone() }).await?;
        let spec = self.agent.tools.iter().find(|tool| tool.name == call.name).cloned();
        let of_client =
            self.extras.tools.iter().find(|tool| tool.definition.name == call.name).cloned();
        let result = match (spec, of_client) {
            (None, Some(tool)) => {
                let clock = self.engine.clock().clone();
                let calling = async move { tool.call(call, &clock).await };
                let reply = self.unless_cut(calling).await?;
                self.log_call(&call.name, reply.failure.as_deref());
                reply.text
            }
            (Some(spec), _) => {
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
            (None, None) => format!("There is no tool called {}.", call.name),
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
}
