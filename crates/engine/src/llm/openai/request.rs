//! What is sent: a conversation in the words of `chat/completions`.

use epilogue_core::{Message, Role, agent::ModelSpec, message::ToolCall};
use serde_json::{Value, json};
use url::Url;

use super::super::{AnswerSchema, ModelError, ModelRequest, ToolDefinition};

/// The longest name of a schema that endpoints accept.
const SCHEMA_NAME_CHARS_MAX: usize = 64;

/// The endpoint whose newer models refuse `max_tokens`, which all others understand.
const OPENAI_HOST: &str = "api.openai.com";

/// Where requests go: `chat/completions` below the base, whose query stays.
pub(super) fn url(model: &ModelSpec) -> Result<Url, ModelError> {
    let missing = || ModelError::Configuration("`base_url` is missing".into());
    let mut url = model.base_url.clone().ok_or_else(missing)?;
    match url.path_segments_mut() {
        Ok(mut path) => path.pop_if_empty().extend(["chat", "completions"]),
        Err(()) => return Err(ModelError::Configuration("`base_url` is not an HTTP URL".into())),
    };
    Ok(url)
}

/// The body of a request.
pub(super) fn body(request: &ModelRequest) -> Value {
    let model = &request.model;
    // What the owner adds comes first, so that it replaces nothing of what follows.
    let mut body = model.options.clone();
    let mut set = |key: &str, value: Value| body.insert(key.to_owned(), value);
    set("model", json!(model.name));
    set("messages", messages(request).collect());
    set("stream", json!(true));
    set("stream_options", json!({ "include_usage": true }));
    if let Some(temperature) = model.temperature {
        set("temperature", json!(temperature));
    }
    if let Some(tokens) = model.max_output_tokens {
        let openai = model.base_url.as_ref().and_then(Url::host_str) == Some(OPENAI_HOST);
        set(if openai { "max_completion_tokens" } else { "max_tokens" }, json!(tokens));
    }
    if !request.tools.is_empty() {
        set("tools", request.tools.iter().map(tool).collect());
    }
    if let Some(answer) = &request.answer {
        set("response_format", response_format(answer));
    }
    Value::Object(body)
}

fn messages(request: &ModelRequest) -> impl Iterator<Item = Value> {
    let system = (!request.system.is_empty())
        .then(|| json!({ "role": "system", "content": request.system }));
    system.into_iter().chain(request.messages.iter().map(message))
}

fn message(message: &Message) -> Value {
    let body = &message.body;
    match body.role {
        Role::User | Role::System => {
            json!({ "role": body.role.as_str(), "content": body.content })
        }
        Role::Tool => json!({
            "role": "tool",
            "content": body.content,
            "tool_call_id": body.tool_call_id,
        }),
        Role::Assistant if body.tool_calls.is_empty() => {
            json!({ "role": "assistant", "content": body.content })
        }
        Role::Assistant => json!({
            "role": "assistant",
            "content": (!body.content.is_empty()).then_some(&body.content),
            "tool_calls": body.tool_calls.iter().map(tool_call).collect::<Vec<_>>(),
        }),
    }
}

/// A call the model made earlier. Arguments that are not JSON are left out: many endpoints parse
/// them and refuse the whole conversation, forever, and the result beside them tells the model
/// that the call failed.
fn tool_call(call: &ToolCall) -> Value {
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&call.arguments).is_ok();
    let arguments = if is_json { &call.arguments } else { "{}" };
    json!({
        "id": call.id,
        "type": "function",
        "function": { "name": call.name, "arguments": arguments },
    })
}

fn tool(tool: &ToolDefinition) -> Value {
    json!({
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
        },
    })
}

fn response_format(answer: &AnswerSchema) -> Value {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = answer.name.chars().map(allowed).take(SCHEMA_NAME_CHARS_MAX).collect();
    let name = if name.is_empty() { "answer" } else { &name };
    json!({
        "type": "json_schema",
        "json_schema": { "name": name, "strict": true, "schema": answer.schema },
    })
}

#[cfg(test)]
mod tests {
    use epilogue_core::{Timestamp, message::NewMessage};

    use super::*;
    use crate::llm::testing::{conversation, numbered, request};

    fn at(base: &str) -> ModelSpec {
        let base_url = Some(Url::parse(base).expect("a URL"));
        ModelSpec { base_url, ..request(Vec::new()).model }
    }

    #[test]
    fn the_endpoint_lies_below_the_base_whose_query_stays() {
        let url = |base| url(&at(base)).expect("a URL").to_string();
        assert_eq!(url("http://h/v1"), "http://h/v1/chat/completions");
        assert_eq!(url("http://h/v1/"), "http://h/v1/chat/completions");
        assert_eq!(url("http://h"), "http://h/chat/completions");
        assert_eq!(url("http://h/d?api-version=1"), "http://h/d/chat/completions?api-version=1");
    }

    #[test]
    fn a_model_without_a_place_is_a_mistake_in_the_configuration() {
        let nowhere = request(Vec::new()).model;
        assert!(matches!(url(&nowhere), Err(ModelError::Configuration(_))));
        assert!(matches!(url(&at("mailto:a@b")), Err(ModelError::Configuration(_))));
    }

    #[test]
    fn the_least_request_asks_for_a_stream_with_usage_and_nothing_else() {
        assert_eq!(
            body(&request(conversation(&["hello"]))),
            json!({
                "model": "a-model",
                "messages": [{ "role": "user", "content": "hello" }],
                "stream": true,
                "stream_options": { "include_usage": true },
            })
        );
    }

    #[test]
    fn options_tools_and_schema_are_sent_when_they_are_set() {
        let mut full = request(Vec::new());
        full.system = "Be kind.".into();
        full.model.temperature = Some(0.5);
        full.model.max_output_tokens = Some(7);
        let parameters = json!({ "type": "object" });
        full.tools.push(ToolDefinition { name: "t".into(), description: "d".into(), parameters });
        full.answer = Some(AnswerSchema { name: "a form".into(), schema: json!({}) });
        let sent = body(&full);
        assert_eq!(sent["messages"], json!([{ "role": "system", "content": "Be kind." }]));
        assert_eq!((&sent["temperature"], &sent["max_tokens"]), (&json!(0.5), &json!(7)));
        assert_eq!(sent["tools"][0]["function"]["name"], "t");
        assert_eq!(sent["response_format"]["json_schema"]["name"], "a_form");
    }

    #[test]
    fn the_vendor_that_renamed_the_limit_gets_it_by_its_new_name() {
        let mut request = request(Vec::new());
        request.model = at("https://api.openai.com/v1");
        request.model.max_output_tokens = Some(7);
        let sent = body(&request);
        assert_eq!((&sent["max_completion_tokens"], sent.get("max_tokens")), (&json!(7), None));
    }

    #[test]
    fn the_name_of_a_schema_is_cut_at_its_limit() {
        let name = |chars: usize| {
            let answer = AnswerSchema { name: "n".repeat(chars), schema: json!({}) };
            response_format(&answer)["json_schema"]["name"].as_str().map(str::len)
        };
        assert_eq!((name(0), name(64), name(65)), (Some("answer".len()), Some(64), Some(64)));
    }

    #[test]
    fn tool_traffic_is_replayed_with_arguments_that_every_endpoint_can_parse() {
        let call = |id: &str, arguments: &str| ToolCall {
            id: id.into(),
            name: "t".into(),
            arguments: arguments.into(),
        };
        let mut calling = NewMessage::text(Role::Assistant, "", Timestamp::default());
        calling.tool_calls =
            vec![call("c1", r#"{"a": 1}"#), call("c2", r#"{"a":"#), call("c3", "")];
        let mut result = NewMessage::text(Role::Tool, "done", Timestamp::default());
        result.tool_call_id = Some("c1".into());
        let sent = body(&request(numbered([calling, result])));
        let arguments = |i: usize| &sent["messages"][0]["tool_calls"][i]["function"]["arguments"];
        assert_eq!(sent["messages"][0]["content"], Value::Null);
        assert_eq!(
            [arguments(0), arguments(1), arguments(2)],
            [&json!(r#"{"a": 1}"#), &json!("{}"), &json!("{}")]
        );
        assert_eq!(
            sent["messages"][1],
            json!({ "role": "tool", "content": "done", "tool_call_id": "c1" })
        );
    }
}
