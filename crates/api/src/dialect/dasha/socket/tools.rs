//! Tools that the page runs: requests that go over the socket, and the responses they wait for.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use epilogue_core::{Span, integration::Integration, message::ToolCall};
use epilogue_engine::{
    client_tool::{ClientTool, ClientToolError, RunsTools},
    llm::ToolDefinition,
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::super::agents::configure::{TIMEOUT_SECONDS, TOOL_TIMEOUT_S, is_tool_name};

/// How many requests wait to be sent. A turn runs its tools one after the other.
const ASKS_MAX: usize = 4;

/// A request to the page.
pub(super) struct Ask {
    call: ToolCall,
    answer: oneshot::Sender<String>,
}

/// The tools of one page.
pub(super) struct Tools {
    offered: Vec<ClientTool>,
    asks: mpsc::Receiver<Ask>,
    /// What was asked and not answered yet, by the requests' ids.
    pending: HashMap<String, oneshot::Sender<String>>,
}

/// The page, as a turn sees it. When its socket is gone, so is whatever it was asked.
struct Page {
    asks: mpsc::Sender<Ask>,
}

#[async_trait]
impl RunsTools for Page {
    async fn run(&self, call: &ToolCall) -> Result<String, ClientToolError> {
        let gone = || ClientToolError("the page is gone".into());
        let (answer, answered) = oneshot::channel();
        let ask = Ask { call: call.clone(), answer };
        self.asks.send(ask).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())
    }
}

impl Tools {
    /// The tools that an integration lists.
    pub fn of(integration: &Integration) -> Self {
        let (sender, asks) = mpsc::channel(ASKS_MAX);
        let runner: Arc<dyn RunsTools> = Arc::new(Page { asks: sender });
        let listed = integration.document.get("tools").and_then(Value::as_array);
        let offered = listed.into_iter().flatten().filter_map(|tool| offer(tool, &runner));
        Self { offered: offered.collect(), asks, pending: HashMap::new() }
    }

    /// What a turn may call.
    pub fn offered(&self) -> Vec<ClientTool> {
        self.offered.clone()
    }

    /// Whether a tool is one that the page runs.
    pub fn has(&self, name: &str) -> bool {
        self.offered.iter().any(|tool| tool.definition.name == name)
    }

    /// The next request that somebody still waits for. Dropping it loses nothing.
    pub async fn asked(&mut self) -> Ask {
        loop {
            match self.asks.recv().await {
                Some(ask) if ask.answer.is_closed() => {}
                Some(ask) => return ask,
                None => std::future::pending().await,
            }
        }
    }

    /// Notes a request under this id, and says what the page is to be told.
    pub fn request(&mut self, id: String, ask: Ask) -> Value {
        // Nobody waits any more for those that took too long.
        self.pending.retain(|_, answer| !answer.is_closed());
        let arguments = &ask.call.arguments;
        let args = serde_json::from_str(arguments).unwrap_or_else(|_| Value::from(&**arguments));
        let content = json!({ "id": id, "toolName": ask.call.name, "args": args });
        self.pending.insert(id, ask.answer);
        json!({ "content": content })
    }

    /// Passes a response on. `false`: nobody asked for it, or nobody waits any more.
    pub fn answer(&mut self, id: &str, result: Value) -> bool {
        let text = match result {
            Value::Null => String::new(),
            Value::String(text) => text,
            result => result.to_string(),
        };
        self.pending.remove(id).is_some_and(|answer| answer.send(text).is_ok())
    }
}

/// A tool as its owner wrote it. `None`: nothing that a model could call.
fn offer(tool: &Value, runner: &Arc<dyn RunsTools>) -> Option<ClientTool> {
    let name = tool["name"].as_str().filter(|name| is_tool_name(name))?.to_owned();
    let schema = Some(&tool["schema"]).filter(|schema| schema.is_object()).cloned();
    let parameters = schema.unwrap_or_else(|| json!({ "type": "object" }));
    let (least, _) = TIMEOUT_SECONDS;
    let seconds = tool["timeoutSeconds"].as_u64().unwrap_or(TOOL_TIMEOUT_S);
    let fallback = Some(&tool["fallBackResult"]).filter(|fallback| !fallback.is_null());
    Some(ClientTool {
        definition: ToolDefinition {
            name,
            description: tool["description"].as_str().unwrap_or_default().to_owned(),
            parameters,
        },
        runner: runner.clone(),
        timeout: Span::from_secs(seconds.clamp(least, TOOL_TIMEOUT_S)),
        fallback: fallback.map(|fallback| match fallback {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }),
    })
}
