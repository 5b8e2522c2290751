//! What a call asks for. What else clients of OpenAI's API send is accepted and not looked at.

use epilogue_core::{Person, message::NewMessage};
use epilogue_engine::llm::ToolDefinition;
use serde_json::{Map, Value, json};

use super::messages;
use crate::dialect::pathors::{error::Error, wire::Members};

/// How many tools one call may bring.
pub const TOOLS_MAX: usize = 128;
/// The longest name of a tool, in characters.
pub const TOOL_NAME_CHARS_MAX: usize = 64;

/// A call.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// What is said.
    pub messages: Vec<NewMessage>,
    /// The tools that the client runs.
    pub tools: Vec<ToolDefinition>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whom the client says it talks for.
    pub person: Option<Person>,
}

impl Asked {
    /// Reads a body.
    pub fn read(body: &Members) -> Result<Self, Error> {
        if body.members().is_none() {
            return Err(Error::bad("The body must be a JSON object"));
        }
        let messages = messages::read(body)?;
        if messages.is_empty() {
            return Err(Error::bad("messages say nothing"));
        }
        let tools = tools(body)?;
        let stream = match body.get("stream") {
            None => false,
            Some(stream) => stream.as_bool().ok_or_else(|| wrong("stream", "must be a boolean"))?,
        };
        let person = person(body)?;
        Ok(Self { messages, tools, stream, person })
    }
}

/// The person, by our own member: what OpenAI calls `user` is not looked at, for many send one for all.
fn person(body: &Members) -> Result<Option<Person>, Error> {
    let Some(given) = body.get("user_identifier") else { return Ok(None) };
    let given = given.as_str().filter(|given| given.len() <= Person::BYTES_MAX);
    let form = format!("must be a string of at most {} bytes", Person::BYTES_MAX);
    given.map(Person::new).ok_or_else(|| wrong("user_identifier", &form))
}

/// A part of the request is not as it must be.
pub(super) fn wrong(at: &str, message: &str) -> Error {
    Error::bad(format!("{at} {message}"))
}

/// A member that is there and not null.
pub(super) fn member<'a>(given: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    given.get(name).filter(|value| !value.is_null())
}

/// The client's tools, unless it wants none called this time.
fn tools(body: &Members) -> Result<Vec<ToolDefinition>, Error> {
    let Some(given) = body.get("tools") else { return Ok(Vec::new()) };
    let given = given.as_array().ok_or_else(|| wrong("tools", "must be an array"))?;
    if given.len() > TOOLS_MAX {
        return Err(wrong("tools", &format!("must be at most {TOOLS_MAX}")));
    }
    let mut tools: Vec<ToolDefinition> = Vec::with_capacity(given.len());
    for (n, given) in given.iter().enumerate() {
        let at = format!("tools[{n}]");
        let tool = tool(&at, given)?;
        if tools.iter().any(|other| other.name == tool.name) {
            return Err(wrong(&format!("{at}.function.name"), "is there twice"));
        }
        tools.push(tool);
    }
    let none = body.get("tool_choice").is_some_and(|choice| choice == "none");
    Ok(if none { Vec::new() } else { tools })
}

fn tool(at: &str, given: &Value) -> Result<ToolDefinition, Error> {
    let function = given["function"].as_object().filter(|_| given["type"] == "function");
    let function = function.ok_or_else(|| wrong(at, "must be a tool of type function"))?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let name = member(function, "name").and_then(Value::as_str).filter(|name| {
        (1..=TOOL_NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(allowed)
    });
    let name = name.map(str::to_owned).ok_or_else(|| {
        let form =
            format!("must have 1 to {TOOL_NAME_CHARS_MAX} letters, digits, dashes or underscores");
        wrong(&format!("{at}.function.name"), &form)
    })?;
    let description = match member(function, "description") {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(_) => return Err(wrong(&format!("{at}.function.description"), "must be a string")),
    };
    let parameters = match member(function, "parameters") {
        None => json!({ "type": "object", "properties": {} }),
        Some(schema @ Value::Object(_)) => schema.clone(),
        Some(_) => return Err(wrong(&format!("{at}.function.parameters"), "must be an object")),
    };
    Ok(ToolDefinition { name, description, parameters })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "tests write their members in place")]
    fn asked(more: Value) -> Result<Asked, Error> {
        let mut body = json!({ "messages": [{ "role": "user", "content": "x" }] });
        let members = body.as_object_mut().expect("an object");
        members.extend(more.as_object().expect("an object").clone());
        Asked::read(&Members::Of(members.clone()))
    }

    fn tool(name: &str) -> Value {
        json!({ "type": "function", "function": { "name": name } })
    }

    #[test]
    fn the_least_call_is_a_message() {
        let asked = asked(json!({ "model": "gpt-x", "n": 3, "tools": null, "stream": null }));
        let asked = asked.expect("a call");
        assert!(asked.tools.is_empty() && !asked.stream && asked.person.is_none());
        assert!(Asked::read(&Members::Nothing).is_err() && Asked::read(&Members::Other).is_err());
        let silent = json!({ "messages": [{ "role": "assistant", "content": null }] });
        assert!(Asked::read(&Members::read(silent.to_string().as_bytes())).is_err());
    }

    #[test]
    fn the_person_is_named_by_our_own_member() {
        let named = |who: Value| asked(json!({ "user_identifier": who, "user": "x" }));
        let person = |who: Value| named(who).expect("a call").person;
        assert_eq!(person(json!(" Ann@Example.com ")), Person::new("ann@example.com"));
        assert_eq!((person(json!(null)), person(json!(" "))), (None, None));
        let long = |bytes: usize| named(json!("x".repeat(bytes)));
        assert!(long(Person::BYTES_MAX).is_ok() && long(Person::BYTES_MAX + 1).is_err());
        assert!(named(json!(7)).is_err());
    }

    #[test]
    fn tools_are_functions_with_a_name_each() {
        let schema = json!({ "type": "object", "properties": { "q": { "type": "string" } } });
        let full = json!({ "type": "function", "function":
            { "name": "look-it_up", "description": "d", "parameters": schema, "strict": true } });
        let tools = asked(json!({ "tools": [full, tool("b")] })).expect("a call").tools;
        let expected = ToolDefinition {
            name: "look-it_up".into(),
            description: "d".into(),
            parameters: schema,
        };
        assert_eq!((tools.len(), &tools[0]), (2, &expected));
        assert_eq!(tools[1].parameters["type"], "object");
        let none = asked(json!({ "tools": [tool("b")], "tool_choice": "none" }));
        assert!(none.expect("a call").tools.is_empty());
    }

    #[test]
    fn what_is_no_tool_is_refused_by_its_place() {
        for (wrong, place) in [
            (json!("x"), "tools[1]"),
            (json!({ "type": "custom", "custom": { "name": "x" } }), "tools[1]"),
            (json!({ "type": "function" }), "tools[1]"),
            (tool(""), "tools[1].function.name"),
            (tool("a b"), "tools[1].function.name"),
            (tool("a"), "tools[1].function.name is there twice"),
            (
                json!({ "type": "function", "function": { "name": "x", "parameters": [] } }),
                "tools[1].function.parameters",
            ),
            (
                json!({ "type": "function", "function": { "name": "x", "description": 1 } }),
                "tools[1].function.description",
            ),
        ] {
            let error = asked(json!({ "tools": [tool("a"), wrong] })).expect_err("refused");
            assert!(error.message().starts_with(place), "{wrong}: {}", error.message());
        }
        assert!(
            asked(json!({ "tools": {} })).is_err() && asked(json!({ "stream": "yes" })).is_err()
        );
    }

    #[test]
    fn tools_and_their_names_are_held_to_their_limits() {
        let many = |count: usize| {
            let tools: Vec<_> = (0..count).map(|n| tool(&format!("t{n}"))).collect();
            asked(json!({ "tools": tools }))
        };
        assert!(many(TOOLS_MAX).is_ok() && many(TOOLS_MAX + 1).is_err());
        let long = |chars: usize| asked(json!({ "tools": [tool(&"x".repeat(chars))] }));
        assert!(long(TOOL_NAME_CHARS_MAX).is_ok() && long(TOOL_NAME_CHARS_MAX + 1).is_err());
    }
}
