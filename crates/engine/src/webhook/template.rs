//! Bodies in an owner's own words: a template whose places are filled in from an event's words.

use epilogue_core::agent::{BodyFormat, BodyTemplate};
use serde_json::Value;
use url::form_urlencoded;

/// How long a filled-in body may be, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The body would be longer than [`BODY_BYTES_MAX`].
#[derive(Debug, thiserror::Error)]
#[error("the webhook's template makes more than {BODY_BYTES_MAX} bytes")]
pub struct TooLong;

/// Where one stands in a JSON text, as far as it has been read.
#[derive(Default)]
struct Quotes {
    within: bool,
    escaped: bool,
}

impl Quotes {
    fn read(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = self.within,
                b'"' => self.within = !self.within,
                _ => {}
            }
        }
    }
}

/// Fills a template in, once: what a value brings along is text, and is not filled in again. A place
/// that names nothing becomes nothing, in JSON null unless it stands within quotation marks. Only
/// the template's own quotation marks count.
pub fn fill_in(template: &BodyTemplate, words: &Value) -> Result<String, TooLong> {
    let mut filled = String::new();
    let mut quotes = Quotes::default();
    let mut rest = template.template.as_str();
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        quotes.read(before);
        let Some((path, after)) = after.split_once("}}") else {
            filled.push_str("{{");
            rest = after;
            continue;
        };
        let value = find(words, path.trim());
        filled.push_str(&shown(value, template.format, quotes.within));
        rest = after;
        if filled.len() > BODY_BYTES_MAX {
            return Err(TooLong);
        }
    }
    filled.push_str(rest);
    if filled.len() > BODY_BYTES_MAX { Err(TooLong) } else { Ok(filled) }
}

/// The part at `a.b.0`. `None`: there is none.
fn find<'a>(words: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(words, |part, name| match part {
        Value::Object(members) => members.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    })
}

fn shown(value: Option<&Value>, format: BodyFormat, quoted: bool) -> String {
    let plain = match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    match format {
        BodyFormat::Json if quoted => {
            let json = Value::from(plain).to_string();
            json[1..json.len() - 1].to_owned()
        }
        BodyFormat::Json => value.unwrap_or(&Value::Null).to_string(),
        BodyFormat::Text => plain,
        BodyFormat::Xml => xml(&plain),
        BodyFormat::Form => form_urlencoded::byte_serialize(plain.as_bytes()).collect(),
    }
}

fn xml(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    escaped.replace('"', "&quot;").replace('\'', "&apos;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(format: BodyFormat, template: &str) -> String {
        let words = json!({
            "callId": "c\"1",
            "n": 7,
            "result": { "finishReason": "<a&b>", "list": [1, "{{n}}"] },
        });
        fill_in(&BodyTemplate { format, template: template.into() }, &words).expect("fits")
    }

    #[test]
    fn json_stays_json_within_quotation_marks_and_without() {
        let made = filled(
            BodyFormat::Json,
            r#"{"id":"{{callId}}","text":"{{ n }}","n":{{n}},"r":{{result.list}},"none":{{x.y}},"q":"{{x}}"}"#,
        );
        let read: Value = serde_json::from_str(&made).expect("JSON");
        assert_eq!(
            read,
            json!({ "id": "c\"1", "text": "7", "n": 7, "r": [1, "{{n}}"], "none": null, "q": "" })
        );
    }

    #[test]
    fn a_place_in_the_middle_of_a_json_text_is_part_of_that_text() {
        let made = filled(
            BodyFormat::Json,
            r#"{"text":"Call {{callId}} ended \" {{result.list}}","\\":{{n}},"{{n}}":"{{callId}}{{x}}\\"}"#,
        );
        let read: Value = serde_json::from_str(&made).expect("JSON");
        assert_eq!(
            read,
            json!({
                "text": "Call c\"1 ended \" [1,\"{{n}}\"]", "\\": 7, "7": "c\"1\\",
            })
        );
    }

    #[test]
    fn each_format_is_escaped_its_own_way() {
        assert_eq!(filled(BodyFormat::Text, "{{result.finishReason}} {{"), "<a&b> {{");
        assert_eq!(filled(BodyFormat::Xml, "{{result.finishReason}}"), "&lt;a&amp;b&gt;");
        assert_eq!(filled(BodyFormat::Form, "r={{result.finishReason}}"), "r=%3Ca%26b%3E");
        assert_eq!(filled(BodyFormat::Text, "{{result.list.1}}"), "{{n}}");
    }

    #[test]
    fn a_body_at_the_limit_and_one_past_it() {
        let made = |bytes: usize| {
            let words = json!({ "a": "x".repeat(bytes - 1) });
            let template = BodyTemplate { format: BodyFormat::Text, template: "{{a}}.".into() };
            fill_in(&template, &words)
        };
        assert!(made(BODY_BYTES_MAX).is_ok() && made(BODY_BYTES_MAX + 1).is_err());
    }
}
