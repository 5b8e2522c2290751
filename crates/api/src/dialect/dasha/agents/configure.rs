//! From a document of this API to the configuration that follows from it. Members that are not
//! acted on are left alone: they stay in the document.

use epilogue_core::{
    Agent, AgentId, MemoryMode, Price,
    agent::{
        AgentKind, ChosenBy, HookMethod, ModelProvider, ModelSpec, OnCreditsExhausted, SecretRef,
        TOOL_RETRIES_MAX, ToolMethod, ToolSpec,
    },
    analysis::{Form, Label, LabelKind},
    profile::FinishTool,
};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::{
    super::{NAME, error::Problem, limits},
    hook,
    read::Part,
};

/// The longest name of an agent, in characters.
pub const NAME_CHARS_MAX: usize = 100;
/// The longest description, in characters.
pub const DESCRIPTION_CHARS_MAX: usize = 4_000;
/// The longest prompt, in characters.
pub const PROMPT_CHARS_MAX: usize = 100_000;
/// How many tools an agent may have.
pub const TOOLS_MAX: usize = 128;
/// How many analysis forms an agent may have.
pub const FORMS_MAX: usize = 50;
/// How many labels a form may have.
pub const LABELS_MAX: usize = 100;
/// How many values a label of type `enum` may have.
pub const ENUM_VALUES_MAX: usize = 100;
/// The longest name of a tool, form, label or model, in characters.
pub const WORD_CHARS_MAX: usize = 200;
/// What a tool's `timeoutSeconds` may say.
pub const TIMEOUT_SECONDS: (u64, u64) = (1, 300);
/// How long a tool's call may take in fact, whatever `timeoutSeconds` says.
pub const TOOL_TIMEOUT_S: u64 = 60;

/// Options of the model by the names of this API, and by those of its endpoint.
const OPTIONS: [(&str, &str); 5] = [
    ("topP", "top_p"),
    ("frequencyPenalty", "frequency_penalty"),
    ("presencePenalty", "presence_penalty"),
    ("stop", "stop"),
    ("reasoningEffort", "reasoning_effort"),
];

/// The configuration that follows from a document.
pub(super) fn agent(id: AgentId, document: &Value) -> Result<Agent, Problem> {
    let root = Part::root(document);
    let description = root.member("description", |part| {
        let text = part.text()?;
        limits::chars(&part.path(), text.as_deref().unwrap_or_default(), DESCRIPTION_CHARS_MAX)?;
        Ok(text)
    })?;
    let additional_data = root.member("additionalData", |part| {
        let data = part.object()?;
        limits::object(&part.path(), &data, limits::BAG_BYTES_MAX)?;
        Ok(data)
    })?;
    root.member("config", |config| {
        if config.value().is_null() {
            return Err(config.wrong("is required"));
        }
        config.object()?;
        let (model, prompt) = config.member("llmConfig", llm)?;
        let analysis = config.member("features", |features| {
            features.object()?;
            features.member("postCallAnalysis", forms)
        })?;
        Ok(Agent {
            memory_of: None,
            variable_keys: None,
            id,
            name: root.member("name", |part| part.name(1, NAME_CHARS_MAX))?,
            description,
            enabled: root.member("isEnabled", |part| part.flag(true))?,
            additional_data,
            kind: AgentKind::Text,
            prompt,
            greeting: None,
            farewell: None,
            idle_timeout_s: None,
            max_duration_s: 0,
            memory: MemoryMode::Off,
            keep_transcript: true,
            model,
            price: Price::default(),
            hold: Decimal::ZERO,
            on_credits_exhausted: OnCreditsExhausted::default(),
            webhook: config.member("resultWebhook", hook::optional)?,
            analysis,
            may_finish: true,
            tools: config.member("tools", tools)?,
            variables: Vec::new(),
        })
    })
}

fn llm(part: Part<'_>) -> Result<(ModelSpec, String), Problem> {
    part.object()?;
    let endpoint = part
        .member("endpoint", |part| if part.is_empty() { Ok(None) } else { part.url().map(Some) })?;
    let vendor = part.member("vendor", |part| word(&part))?;
    let key = part.member("apiKey", |part| part.text())?.filter(|key| !key.is_empty());
    let (temperature, max_tokens, trailing) = part.member("options", |options| {
        options.object()?;
        let temperature = options.member("temperature", |part| part.number(0.0, 2.0))?;
        let most = u64::from(u32::MAX);
        let tokens = options.member("maxTokens", |part| part.whole(1, most))?;
        let trailing = options.member("trailingPrompt", |part| prompt(&part))?;
        Ok((temperature, tokens, trailing))
    })?;
    let model = ModelSpec {
        provider: if endpoint.is_some() { ModelProvider::Openai } else { ModelProvider::Listed },
        vendor: endpoint.is_none().then_some(vendor),
        base_url: endpoint,
        name: part.member("model", |part| word(&part))?,
        api_key: key.map(|key| SecretRef::literal(&key)),
        temperature,
        max_output_tokens: max_tokens.and_then(|tokens| u32::try_from(tokens).ok()),
        first_token_timeout_s: 30,
        stall_timeout_s: 30,
        script: Vec::new(),
        chosen_by: ChosenBy::Tenant,
        options: options(part)?,
        price: Price::default(),
    };
    let mut prompt = part.member("prompt", |part| prompt(&part))?;
    if !trailing.is_empty() {
        prompt = format!("{prompt}\n\n{trailing}");
    }
    Ok((model, prompt))
}

fn word(part: &Part<'_>) -> Result<String, Problem> {
    let text = part.text()?.unwrap_or_default().trim().to_owned();
    limits::chars(&part.path(), &text, WORD_CHARS_MAX)?;
    Ok(text)
}

fn prompt(part: &Part<'_>) -> Result<String, Problem> {
    let text = part.text()?.unwrap_or_default();
    limits::chars(&part.path(), &text, PROMPT_CHARS_MAX)?;
    Ok(text)
}

/// Further members of a request to the model: what this API has names for, and the vendor's own.
fn options(part: Part<'_>) -> Result<Map<String, Value>, Problem> {
    let given = part.member("options", |part| part.object())?;
    let known = OPTIONS.into_iter().filter_map(|(ours, theirs)| {
        let value = given.get(ours).filter(|value| !value.is_null())?;
        Some((theirs.to_owned(), value.clone()))
    });
    let mut options: Map<_, _> = known.collect();
    let own = part.member("vendorSpecificOptions", |part| part.object())?;
    options.extend(own.into_iter().filter(|(_, value)| !value.is_null()));
    Ok(options)
}

fn tools(part: Part<'_>) -> Result<Vec<ToolSpec>, Problem> {
    let tools = part.items(TOOLS_MAX, tool)?;
    let tools: Vec<_> = tools.into_iter().flatten().collect();
    unique(&part, tools.iter().map(|tool| tool.name.as_str()))?;
    Ok(tools)
}

/// Whether a tool may be called that.
pub(in super::super) fn is_tool_name(name: &str) -> bool {
    let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    first && rest && name.len() <= WORD_CHARS_MAX
}

/// A tool. `None`: it is run by somebody else, for it has no webhook.
fn tool(part: Part<'_>) -> Result<Option<ToolSpec>, Problem> {
    part.object()?;
    let name = part.member("name", |part| {
        let name = part.name(1, WORD_CHARS_MAX)?;
        if !is_tool_name(&name) {
            return Err(part.wrong("must be letters, digits and underscores, not a digit first"));
        }
        if FinishTool::FinishTheConversation.understood().contains(&name.as_str()) {
            return Err(part.wrong("is the name of the tool that ends the conversation"));
        }
        Ok(name)
    })?;
    let (least, most) = TIMEOUT_SECONDS;
    part.member("timeoutSeconds", |part| part.whole(least, most))?;
    let retries = part.member("retryCount", |part| part.whole(0, u64::from(TOOL_RETRIES_MAX)))?;
    let fallback = part.member("fallBackResult", |part| Ok(part.value().clone()))?;
    let parameters = part.member("schema", |part| part.object())?;
    let description = part.member("description", |part| prompt(&part))?;
    let Some(webhook) = part.member("webhook", hook::optional)? else { return Ok(None) };
    if webhook.body.is_some() {
        let template = format!("{}.webhook.customSettings.bodyFormat.template", part.path());
        return Err(Problem::field(template, "cannot be set: what a tool is sent is published"));
    }
    let method = match webhook.method {
        HookMethod::Get => ToolMethod::Get,
        HookMethod::Post => ToolMethod::Post,
        HookMethod::Put => ToolMethod::Put,
        HookMethod::Patch => ToolMethod::Patch,
        HookMethod::Delete => return Err(part.wrong("a tool cannot be called with DELETE")),
    };
    let mut url = webhook.url;
    if !webhook.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&webhook.query);
    }
    Ok(Some(ToolSpec {
        name,
        description,
        parameters: if parameters.is_empty() { any_object() } else { parameters.into() },
        url,
        method,
        headers: webhook.headers,
        timeout_s: TOOL_TIMEOUT_S,
        retries: retries.and_then(|retries| u32::try_from(retries).ok()).unwrap_or(0),
        fallback_result: Some(fallback).filter(|fallback| !fallback.is_null()),
        worded_by: Some(NAME.into()),
    }))
}

fn any_object() -> Value {
    json!({ "type": "object" })
}

fn forms(part: Part<'_>) -> Result<Vec<Form>, Problem> {
    let forms = part.items(FORMS_MAX, form)?;
    unique(&part, forms.iter().map(|form| form.name.as_str()))?;
    Ok(forms)
}

fn form(part: Part<'_>) -> Result<Form, Problem> {
    part.object()?;
    let labels = part.member("labels", |part| {
        let labels = part.items(LABELS_MAX, label)?;
        unique(&part, labels.iter().map(|label| label.name.as_str()))?;
        Ok(labels)
    })?;
    Ok(Form {
        name: part.member("name", |part| part.name(1, WORD_CHARS_MAX))?,
        enabled: part.member("isEnabled", |part| part.flag(true))? && !labels.is_empty(),
        labels,
    })
}

fn label(part: Part<'_>) -> Result<Label, Problem> {
    part.object()?;
    let name = part.member("name", |part| {
        let name = part.name(1, WORD_CHARS_MAX)?;
        if name.chars().any(|c| !(c.is_ascii_alphanumeric() || "-_".contains(c))) {
            return Err(part.wrong("must be letters, digits, hyphens and underscores"));
        }
        Ok(name)
    })?;
    let kind = part.member("type", |part| match part.text()?.as_deref() {
        None | Some("string") => Ok(LabelKind::Text),
        Some("number") => Ok(LabelKind::Number),
        Some("boolean") => Ok(LabelKind::Boolean),
        Some("enum") => Ok(LabelKind::Selector),
        Some(_) => Err(part.wrong("must be string, number, boolean or enum")),
    })?;
    let options = part.member("enumValues", |part| {
        let values = part.items(ENUM_VALUES_MAX, |value| value.name(1, WORD_CHARS_MAX))?;
        if kind == LabelKind::Selector && values.is_empty() {
            return Err(part.wrong("must name what a label of type enum may be"));
        }
        Ok(values)
    })?;
    Ok(Label {
        min: None,
        max: None,
        name,
        kind,
        description: part.member("description", |part| prompt(&part))?,
        options: if kind == LabelKind::Selector { options } else { Vec::new() },
        required: part.member("isRequired", |part| part.flag(false))?,
    })
}

fn unique<'a>(part: &Part<'_>, names: impl Iterator<Item = &'a str>) -> Result<(), Problem> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(part.wrong(format!("has `{name}` twice")));
        }
    }
    Ok(())
}
