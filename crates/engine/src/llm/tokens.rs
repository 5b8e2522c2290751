//! Counting tokens here, where nobody else says how many there were.
//!
//! The vocabulary is `o200k_base`. Other models cut text otherwise, so what is counted here for
//! them is an estimate, and usage that rests on it is marked as one.

use epilogue_core::{Message, message::ToolCall};

use super::{ModelRequest, ModelUsage, ToolDefinition};

/// What every message costs beside its text: the marks around it.
const MESSAGE_OVERHEAD: u64 = 4;

/// What every answer costs before its first word: the mark that opens it.
const ANSWER_OVERHEAD: u64 = 3;

/// How many tokens `text` is. The vocabulary is loaded with the first call.
pub fn count(text: &str) -> u32 {
    u32::try_from(bpe_openai::o200k_base().count(text)).unwrap_or(u32::MAX)
}

/// What a request and its answer have used, for endpoints that do not say.
pub fn estimate(request: &ModelRequest, text: &str, calls: &[ToolCall]) -> ModelUsage {
    let system = match request.system.as_str() {
        "" => 0,
        system => u64::from(count(system)) + MESSAGE_OVERHEAD,
    };
    let messages: u64 = request.messages.iter().map(of_message).sum();
    let tools: u64 = request.tools.iter().map(of_tool).sum();
    let answer: u64 = request.answer.iter().map(|a| of(&a.schema.to_string())).sum();
    ModelUsage {
        prompt_tokens: system + messages + tools + answer + ANSWER_OVERHEAD,
        completion_tokens: of(text) + of_calls(calls),
    }
}

fn of(text: &str) -> u64 {
    u64::from(count(text))
}

fn of_message(message: &Message) -> u64 {
    MESSAGE_OVERHEAD + of(&message.body.content) + of_calls(&message.body.tool_calls)
}

fn of_calls(calls: &[ToolCall]) -> u64 {
    calls.iter().map(|call| of(&call.name) + of(&call.arguments)).sum()
}

fn of_tool(tool: &ToolDefinition) -> u64 {
    of(&tool.name) + of(&tool.description) + of(&tool.parameters.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::llm::testing::{conversation, request};

    #[test]
    fn words_are_counted_as_the_vocabulary_cuts_them() {
        assert_eq!(count(""), 0);
        assert_eq!(count("hello world"), 2);
        assert_eq!(count("Straße"), 2);
    }

    #[test]
    fn a_text_made_to_be_slow_is_counted_all_the_same() {
        // Eight to the token. A tokenizer that merges pair by pair would not return.
        assert_eq!(count(&"a".repeat(10_000)), 1250);
        assert_eq!(count(&"a".repeat(1_000_000)), 125_000);
    }

    #[test]
    fn an_estimate_counts_everything_that_is_sent() {
        let mut request = request(conversation(&["hello world"]));
        let bare = estimate(&request, "hello world", &[]);
        assert_eq!(bare.completion_tokens, 2);
        assert_eq!(bare.prompt_tokens, 2 + MESSAGE_OVERHEAD + ANSWER_OVERHEAD);

        request.system = "hello world".into();
        let with_system = estimate(&request, "", &[]);
        assert_eq!(with_system.prompt_tokens, bare.prompt_tokens + 2 + MESSAGE_OVERHEAD);

        request.tools.push(ToolDefinition {
            name: "weather".into(),
            description: "hello world".into(),
            parameters: json!({ "type": "object" }),
        });
        let with_tool = estimate(&request, "", &[]);
        assert!(with_tool.prompt_tokens > with_system.prompt_tokens + 2);

        let call =
            ToolCall { id: "call_1".into(), name: "hello".into(), arguments: "hello world".into() };
        assert_eq!(estimate(&request, "hello", &[call]).completion_tokens, 1 + 1 + 2);
    }
}
