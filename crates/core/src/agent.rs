//! An agent: what its owner configured. A session keeps the version it was opened with.

use std::{collections::BTreeMap, fmt};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use crate::{
    analysis::Form,
    id::{AgentId, Dialect},
    memory::MemoryMode,
    money::{MicroCredits, Price},
    variable_spec::VariableSpec,
};

/// One version of an agent's configuration. Versions never change; an edit makes the next one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Its identity within the organization.
    pub id: AgentId,
    /// Its name, shown to people and sent to webhooks.
    pub name: String,
    /// What it is for, in its owner's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it takes new conversations. Those that run go on either way.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub enabled: bool,
    /// The owner's own data, sent along to webhooks that carry it, never interpreted.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub additional_data: Map<String, Value>,
    /// What it can do.
    #[serde(default)]
    pub kind: AgentKind,
    /// The system prompt. `{{name}}` stands for a template variable.
    #[serde(default)]
    pub prompt: String,
    /// What it says first. Absent: the person speaks first.
    #[serde(default)]
    pub greeting: Option<String>,
    /// What it says last when it finishes without words of its own.
    #[serde(default)]
    pub farewell: Option<String>,
    /// Seconds without activity after which a session ends; 0 never; absent: as the dialect says.
    #[serde(default)]
    pub idle_timeout_s: Option<u64>,
    /// Seconds a session may last; 0 or absent: no limit.
    #[serde(default)]
    pub max_duration_s: u64,
    /// Whether people are remembered: `true`, `false`, or `"read_only"`.
    #[serde(default)]
    pub memory: MemoryMode,
    /// Whose memory that is, if not its own: the agents that share one remember together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_of: Option<AgentId>,
    /// Which of the variables that came out of a conversation receivers are told. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variable_keys: Option<Vec<String>>,
    /// Whether transcripts stay after the end. `false`: purged when every step has read them.
    #[serde(default = "yes")]
    pub keep_transcript: bool,
    /// Who answers.
    pub model: ModelSpec,
    /// What a session costs.
    #[serde(default)]
    pub price: Price,
    /// Credits set aside at open and released at the end.
    #[serde(default)]
    pub hold: Decimal,
    /// What happens when the organization's credits run out in mid-conversation.
    #[serde(default)]
    pub on_credits_exhausted: OnCreditsExhausted,
    /// Who is told of the end.
    #[serde(default)]
    pub webhook: Option<WebhookSpec>,
    /// What is asked about every ended conversation.
    #[serde(default)]
    pub analysis: Vec<Form>,
    /// Whether the agent may say goodbye by itself with the built-in finish tool.
    #[serde(default = "yes")]
    pub may_finish: bool,
    /// The tools it may call.
    #[serde(default)]
    pub tools: Vec<ToolSpec>,
    /// What it fills in while it talks, kept with the session's other variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<VariableSpec>,
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
const fn is_yes(value: &bool) -> bool {
    *value
}

impl Agent {
    /// Under which agent people are remembered.
    pub fn remembers_as(&self) -> &AgentId {
        self.memory_of.as_ref().unwrap_or(&self.id)
    }

    /// What is set aside at open.
    pub fn hold(&self) -> MicroCredits {
        MicroCredits::from_credits(self.hold).unwrap_or_default()
    }
}

/// What an agent can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentKind {
    /// It writes.
    #[default]
    Text,
    /// It is seen and heard.
    Avatar,
}

/// What happens when credits run out in mid-conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnCreditsExhausted {
    /// Go on and owe.
    #[default]
    Continue,
    /// End the session after the turn, with reason `credits_exhausted`.
    End,
}

/// A secret as configured: `env:NAME`, `file:PATH`, `literal:TEXT`, or the secret itself. Never
/// printed. Operators write any of the four; what a tenant writes becomes [`SecretRef::literal`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretRef(pub String);

impl SecretRef {
    /// The mark of a text that is the secret itself, whatever it looks like.
    pub const LITERAL: &str = "literal:";

    /// A secret that is exactly `text`. It names no variable and no file, even if it reads like one:
    /// the mark is put before it unseen, and only one mark is ever taken off.
    pub fn literal(text: &str) -> Self {
        Self(format!("{}{text}", Self::LITERAL))
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretRef(…)")
    }
}

/// Which model answers, and how long it may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Which adapter speaks to it.
    pub provider: ModelProvider,
    /// Where it is. For `openai`: the endpoint that has `chat/completions` below it.
    #[serde(default)]
    pub base_url: Option<Url>,
    /// The model's name, in the endpoint's words.
    #[serde(default)]
    pub name: String,
    /// The endpoint's key.
    #[serde(default)]
    pub api_key: Option<SecretRef>,
    /// Sampling temperature; absent: the endpoint's own default.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// The longest reply, in tokens; absent: the endpoint's own limit.
    #[serde(default)]
    pub max_output_tokens: Option<u32>,
    /// Seconds until the first token must have come.
    #[serde(default = "thirty")]
    pub first_token_timeout_s: u64,
    /// Seconds between one token and the next.
    #[serde(default = "thirty")]
    pub stall_timeout_s: u64,
    /// For `scripted`: what it answers, first match first.
    #[serde(default)]
    pub script: Vec<ScriptRule>,
    /// For `listed`: under which name the operator lists the model's endpoint, in `[models.NAME]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Who chose the address: what a tenant chose is only called on the public internet.
    #[serde(default, skip_serializing_if = "ChosenBy::is_operator")]
    pub chosen_by: ChosenBy,
    /// Further members of each request, as the endpoint knows them. Epilogue's own go before them.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub options: Map<String, Value>,
    /// Of a model that the operator lists: what agents cost that tenants write with it.
    #[serde(default, skip_serializing_if = "Price::is_free")]
    pub price: Price,
}

/// Who chose an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChosenBy {
    /// Whoever runs the server: any address is right.
    #[default]
    Operator,
    /// A tenant, through an API: only the public internet is right.
    Tenant,
}

impl ChosenBy {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
    const fn is_operator(&self) -> bool {
        matches!(self, Self::Operator)
    }
}

const fn thirty() -> u64 {
    30
}

/// The adapters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelProvider {
    /// Any OpenAI-compatible `chat/completions` endpoint, streamed.
    Openai,
    /// Answers from rules, for demos and tests, and says that it is scripted.
    Scripted,
    /// Whatever the operator lists under [`ModelSpec::vendor`].
    Listed,
}

/// One rule of a scripted agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScriptRule {
    /// Applies when the person's last message contains this, case ignored. Empty: always.
    pub when: String,
    /// What it answers, word by word. `{{message}}` stands for the person's words.
    pub reply: String,
    /// A tool it calls first.
    pub tool: Option<ScriptedTool>,
    /// Milliseconds between one word and the next.
    pub word_delay_ms: u64,
}

/// A tool call in a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedTool {
    /// Which tool.
    pub name: String,
    /// Its arguments, as JSON text.
    #[serde(default)]
    pub arguments: String,
}

/// Who is told of an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSpec {
    /// Where to.
    pub url: Url,
    /// What the deliveries are signed with. Several are possible during a rotation, newest first.
    #[serde(default)]
    pub secret: Option<SecretRef>,
    /// The former secret, which also signs while receivers change over.
    #[serde(default)]
    pub previous_secret: Option<SecretRef>,
    /// Headers sent along. Values may be `env:` or `file:` references.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, SecretRef>,
    /// How it is called.
    #[serde(default, skip_serializing_if = "HookMethod::is_post")]
    pub method: HookMethod,
    /// Parameters added to the URL's query.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// What is sent instead of the event's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyTemplate>,
    /// Which events it is told, such as `session.ended`. Absent: as the session's API says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<String>>,
}

impl WebhookSpec {
    /// A webhook that is told with the defaults.
    pub const fn at(url: Url) -> Self {
        Self {
            url,
            secret: None,
            previous_secret: None,
            headers: BTreeMap::new(),
            method: HookMethod::Post,
            query: BTreeMap::new(),
            body: None,
            events: None,
        }
    }
}

/// How a webhook is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HookMethod {
    /// Without a body.
    Get,
    /// The usual way.
    #[default]
    Post,
    /// With a body.
    Put,
    /// With a body.
    Patch,
    /// Without a body.
    Delete,
}

impl HookMethod {
    /// The method's name in HTTP.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// The method of that name.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Get, Self::Post, Self::Put, Self::Patch, Self::Delete]
            .into_iter()
            .find(|method| method.as_str().eq_ignore_ascii_case(word))
    }

    /// Whether a body is sent.
    pub const fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
    const fn is_post(&self) -> bool {
        matches!(self, Self::Post)
    }
}

/// A webhook's body in its owner's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BodyTemplate {
    /// What the body is.
    #[serde(default)]
    pub format: BodyFormat,
    /// The body. `{{name}}` or `{{path.to.name}}` stands for a part of the event's own words.
    pub template: String,
}

/// What a body is, which says how parts are put into a template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyFormat {
    /// JSON: texts are escaped as within quotation marks, everything else stands as JSON.
    #[default]
    Json,
    /// Plain text: as it is.
    Text,
    /// XML: escaped.
    Xml,
    /// A form: percent-encoded.
    Form,
}

impl BodyFormat {
    /// The content type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Text => "text/plain; charset=utf-8",
            Self::Xml => "application/xml",
            Self::Form => "application/x-www-form-urlencoded",
        }
    }
}

/// The most often a tool may be tried again.
pub const TOOL_RETRIES_MAX: u32 = 5;

/// A tool that is an HTTP endpoint of the agent's owner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolSpec {
    /// The name the model calls it by.
    pub name: String,
    /// What it does, for the model.
    #[serde(default)]
    pub description: String,
    /// JSON Schema of its arguments.
    #[serde(default = "any_object")]
    pub parameters: Value,
    /// Where it is.
    pub url: Url,
    /// `POST` (default), `PUT` or `PATCH` with the arguments as JSON body, or `GET` with them as query.
    #[serde(default)]
    pub method: ToolMethod,
    /// Headers sent along. Values may be `env:` or `file:` references.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretRef>,
    /// Seconds a call may take.
    #[serde(default = "thirty")]
    pub timeout_s: u64,
    /// How often a failed call is tried again, at most [`TOOL_RETRIES_MAX`] times.
    #[serde(default)]
    pub retries: u32,
    /// What the model is told when the call fails: a text, or any JSON. Absent: that it failed.
    #[serde(default)]
    pub fallback_result: Option<Value>,
    /// Whose words a call is made in. Absent: the arguments alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worded_by: Option<Dialect>,
}

fn any_object() -> Value {
    serde_json::json!({ "type": "object" })
}

/// How a tool is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ToolMethod {
    /// Arguments in the query.
    Get,
    /// Arguments as JSON body.
    #[default]
    Post,
    /// Arguments as JSON body.
    Put,
    /// Arguments as JSON body.
    Patch,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints() {
        let shown = format!("{:?}", SecretRef("whsec_very_secret".into()));
        assert!(!shown.contains("very_secret"));
    }

    #[test]
    fn what_a_tenant_writes_is_marked_as_the_secret_itself() {
        for text in ["plain", "env:PATH", "file:/etc/passwd", "literal:env:PATH"] {
            assert_eq!(SecretRef::literal(text).0.strip_prefix(SecretRef::LITERAL), Some(text));
        }
    }

    #[test]
    fn the_least_configuration_is_a_name_and_a_model() {
        let agent: Agent = serde_json::from_value(serde_json::json!({
            "id": "a", "name": "A", "model": { "provider": "scripted" }
        }))
        .expect("the defaults suffice");
        assert!(agent.keep_transcript && agent.may_finish && agent.price.is_free());
        assert!(agent.enabled);
        assert_eq!(agent.model.first_token_timeout_s, 30);
    }
}
