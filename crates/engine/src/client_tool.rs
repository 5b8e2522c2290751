//! Tools that the client of a turn runs itself, such as the page behind a socket: the model is offered
//! them beside the agent's own, and is told of their results in the same way.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use epilogue_core::{Span, message::ToolCall};

use crate::{
    clock::{SharedClock, within},
    llm::ToolDefinition,
    tool::{ARGUMENTS_BYTES_MAX, EMPTY, FAILED, LONG_ARGUMENTS, REPLY_BYTES_MAX, ToolReply},
};

/// Why the client did not run a tool: for the log, never for the model.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ClientToolError(pub String);

/// Whoever runs a client's tools.
#[async_trait]
pub trait RunsTools: Send + Sync {
    /// Runs one call, and says what came of it. Dropped when it takes too long or the turn is cut.
    async fn run(&self, call: &ToolCall) -> Result<String, ClientToolError>;
}

/// A tool that the client of a turn runs.
#[derive(Clone)]
pub struct ClientTool {
    /// What the model is shown of it.
    pub definition: ToolDefinition,
    /// Who runs it.
    pub runner: Arc<dyn RunsTools>,
    /// How long a call may take.
    pub timeout: Span,
    /// What the model is told when a call fails; absent: a sentence saying that it failed.
    pub fallback: Option<String>,
}

impl fmt::Debug for ClientTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientTool").field(&self.definition.name).finish()
    }
}

impl ClientTool {
    /// Runs a call. Always comes to something that the model can be told; why it failed goes to the log.
    pub(crate) async fn call(&self, call: &ToolCall, clock: &SharedClock) -> ToolReply {
        if call.arguments.len() > ARGUMENTS_BYTES_MAX {
            return ToolReply::told(LONG_ARGUMENTS, "its arguments are too long");
        }
        let ran = within(&**clock, self.timeout, self.runner.run(call)).await;
        let ran = ran.unwrap_or_else(|| {
            let seconds = self.timeout.as_millis() / 1000;
            Err(ClientToolError(format!("the client did not answer within {seconds} s")))
        });
        let ran = ran.and_then(|text| {
            let fits = text.len() <= REPLY_BYTES_MAX;
            let long = || ClientToolError(format!("it answered more than {REPLY_BYTES_MAX} bytes"));
            fits.then_some(text).ok_or_else(long)
        });
        match ran {
            Ok(text) if text.trim().is_empty() => {
                ToolReply { text: EMPTY.to_owned(), failure: None }
            }
            Ok(text) => ToolReply { text, failure: None },
            Err(error) => {
                let failure = Some(error.to_string());
                let error = &error as &dyn std::error::Error;
                tracing::warn!(tool = self.definition.name, error, "a client's tool failed");
                let text = self.fallback.clone().unwrap_or_else(|| FAILED.to_owned());
                ToolReply { text, failure }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use epilogue_core::Timestamp;
    use futures::FutureExt as _;

    use super::*;
    use crate::clock::SimClock;

    /// A client that answers with the arguments, fails, or never answers.
    struct FakeClient;

    #[async_trait]
    impl RunsTools for FakeClient {
        async fn run(&self, call: &ToolCall) -> Result<String, ClientToolError> {
            match &*call.name {
                "fail" => Err(ClientToolError("gone".into())),
                "hang" => std::future::pending().await,
                "long" => Ok("x".repeat(REPLY_BYTES_MAX + 1)),
                "full" => Ok("x".repeat(REPLY_BYTES_MAX)),
                _ => Ok(call.arguments.clone()),
            }
        }
    }

    fn tool(fallback: Option<&str>) -> ClientTool {
        let definition = ToolDefinition {
            name: "t".into(),
            description: String::new(),
            parameters: serde_json::Value::Null,
        };
        let fallback = fallback.map(str::to_owned);
        let runner = Arc::new(FakeClient);
        ClientTool { definition, runner, timeout: Span::from_secs(20), fallback }
    }

    fn call(name: &str, arguments: &str) -> ToolCall {
        ToolCall { id: "c".into(), name: name.into(), arguments: arguments.into() }
    }

    #[tokio::test]
    async fn a_clients_answer_is_told_and_its_failures_too() {
        let clock: SharedClock = Arc::new(SimClock::at(Timestamp::from_millis(0)));
        let told = async |fallback, name, arguments: &str| {
            let reply = tool(fallback).call(&call(name, arguments), &clock).await;
            (reply.text, reply.failure.is_some())
        };
        assert_eq!(told(None, "t", "{}").await, ("{}".into(), false));
        assert_eq!(told(None, "t", " ").await, (EMPTY.into(), false));
        assert_eq!(told(None, "fail", "").await, (FAILED.into(), true));
        assert_eq!(told(Some("busy"), "fail", "").await, ("busy".into(), true));
        assert_eq!(told(None, "long", "").await, (FAILED.into(), true));
        assert!(!told(None, "full", "").await.1);
        let long = "x".repeat(ARGUMENTS_BYTES_MAX + 1);
        assert_eq!(told(None, "t", &long).await, (LONG_ARGUMENTS.into(), true));
    }

    #[tokio::test]
    async fn a_client_that_never_answers_is_waited_for_within_bounds() {
        let sim = SimClock::at(Timestamp::from_millis(0));
        let clock: SharedClock = Arc::new(sim.clone());
        let (tool, call) = (tool(Some("no answer")), call("hang", "{}"));
        let mut running = Box::pin(tool.call(&call, &clock));
        assert!(futures::poll!(&mut running).is_pending());
        sim.advance(Span::from_millis(19_999));
        assert!(futures::poll!(&mut running).is_pending());
        sim.advance(Span::from_millis(1));
        assert_eq!(running.await.text, "no answer");
        assert!(tool.call(&call, &clock).now_or_never().is_none());
    }
}
