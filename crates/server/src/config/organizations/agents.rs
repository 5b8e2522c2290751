//! `[[organizations.agents]]`: what types cannot say about an agent.

use std::collections::BTreeMap;

use epilogue_core::{
    Agent, MicroCredits, Price, StepKind,
    agent::{ModelProvider, ModelSpec, TOOL_RETRIES_MAX, ToolSpec},
    analysis::{EXTRACTION, Form, LabelKind},
    variable_spec::{SPECS_MAX, VariableSpec},
};

use epilogue_engine::webhook::may_set_header;

use crate::config::{path::KeyPath, report::Report};

/// The longest prompt, greeting or farewell, in characters.
const TEXT_CHARS_MAX: usize = 200_000;
/// The longest time one part of a model's or tool's answer may take, in seconds.
const TIMEOUT_S_MAX: u64 = 600;
/// The longest idle timeout and session, in seconds: a year.
const LIFE_S_MAX: u64 = 365 * 86_400;

/// Checks an organization's agents.
pub(super) fn check(agents: &[Agent], at: &KeyPath, allow_private: bool, report: &mut Report) {
    report.unique(agents.iter().map(|agent| &agent.id), |index| at.index(index).key("id"));
    for (index, agent) in agents.iter().enumerate() {
        check_agent(agent, &at.index(index), allow_private, report);
    }
}

fn check_agent(agent: &Agent, at: &KeyPath, allow_private: bool, report: &mut Report) {
    report.id(at.key("id"), agent.id.as_str());
    report.name(at.key("name"), &agent.name);
    let texts = [
        ("prompt", Some(&agent.prompt)),
        ("greeting", agent.greeting.as_ref()),
        ("farewell", agent.farewell.as_ref()),
    ];
    for (key, text) in texts {
        if text.is_some_and(|text| text.chars().count() > TEXT_CHARS_MAX) {
            report.fail(at.key(key), format!("must have at most {TEXT_CHARS_MAX} characters"));
        }
    }
    let life = 0..=LIFE_S_MAX;
    report.within(at.key("idle_timeout_s"), &agent.idle_timeout_s.unwrap_or_default(), &life);
    report.within(at.key("max_duration_s"), &agent.max_duration_s, &life);
    report.not_negative(at.key("hold"), agent.hold);
    if MicroCredits::from_credits(agent.hold).is_none() {
        report.fail(at.key("hold"), "is more than the ledger can hold");
    }
    check_model(&agent.model, &at.key("model"), report);
    check_price(&agent.price, &at.key("price"), report);
    if !agent.model.price.is_free() {
        report.fail(at.key("model").key("price"), "belongs to the agent, not to its model");
    }
    if let Some(webhook) = &agent.webhook {
        for name in webhook.headers.keys().filter(|name| !may_set_header(name)) {
            report.fail(at.key("webhook").key("headers").key(name), "is not a header to be set");
        }
        report.called_url(at.key("webhook").key("url"), &webhook.url, allow_private);
        check_events(webhook.events.as_deref(), &at.key("webhook").key("events"), report);
    }
    check_variables(&agent.variables, &at.key("variables"), report);
    check_forms(&agent.analysis, &at.key("analysis"), report);
    check_tools(&agent.tools, &at.key("tools"), allow_private, report);
}

/// Checks which events a webhook asks for.
fn check_events(events: Option<&[String]>, at: &KeyPath, report: &mut Report) {
    let known: Vec<_> = StepKind::ALL.into_iter().filter_map(StepKind::event).collect();
    for (index, event) in events.unwrap_or_default().iter().enumerate() {
        if !known.contains(&event.as_str()) {
            report.fail(at.index(index), format!("must be one of {}", known.join(", ")));
        }
    }
}

/// Checks which variables an agent fills in.
fn check_variables(variables: &[VariableSpec], at: &KeyPath, report: &mut Report) {
    if variables.len() > SPECS_MAX {
        report.fail(at.clone(), format!("must have at most {SPECS_MAX} entries"));
    }
    report.unique(variables.iter().map(|spec| &spec.key), |index| at.index(index).key("key"));
    for (index, spec) in variables.iter().enumerate() {
        report.name(at.index(index).key("key"), &spec.key);
    }
}

/// Checks the models that tenants may name.
pub(in crate::config) fn check_models(
    models: &BTreeMap<String, ModelSpec>,
    at: &KeyPath,
    report: &mut Report,
) {
    for (vendor, model) in models {
        let at = at.key(vendor);
        report.id(at.clone(), vendor);
        check_model(model, &at, report);
        check_price(&model.price, &at.key("price"), report);
        if model.provider == ModelProvider::Listed {
            report.fail(at.key("provider"), "must say who answers: \"openai\" or \"scripted\"");
        }
    }
}

fn check_model(model: &ModelSpec, at: &KeyPath, report: &mut Report) {
    match (model.provider, &model.base_url) {
        (_, Some(url)) => report.service_url(at.key("base_url"), url),
        (ModelProvider::Openai, None) => {
            report.fail(at.key("base_url"), "is missing; provider \"openai\" needs it");
        }
        (ModelProvider::Listed, None) if model.vendor.is_none() => {
            report.fail(at.key("vendor"), "is missing; provider \"listed\" needs it");
        }
        (ModelProvider::Scripted | ModelProvider::Listed, None) => {}
    }
    if model.provider == ModelProvider::Openai && model.name.is_empty() {
        report.fail(at.key("name"), "is missing; provider \"openai\" needs it");
    }
    let seconds = 1..=TIMEOUT_S_MAX;
    report.within(at.key("first_token_timeout_s"), &model.first_token_timeout_s, &seconds);
    report.within(at.key("stall_timeout_s"), &model.stall_timeout_s, &seconds);
    if let Some(temperature) = &model.temperature {
        report.within(at.key("temperature"), temperature, &(0.0..=2.0));
    }
}

fn check_price(price: &Price, at: &KeyPath, report: &mut Report) {
    let parts = [
        ("per_1k_tokens", price.per_1k_tokens),
        ("per_1k_input_tokens", price.per_1k_input_tokens),
        ("per_1k_output_tokens", price.per_1k_output_tokens),
        ("per_1k_prompt_tokens", price.per_1k_prompt_tokens),
        ("per_message", price.per_message),
        ("per_minute", price.per_minute),
        ("per_session", price.per_session),
    ];
    for (key, amount) in parts {
        report.not_negative(at.key(key), amount);
    }
}

fn check_forms(forms: &[Form], at: &KeyPath, report: &mut Report) {
    report.unique(forms.iter().map(|form| &form.name), |index| at.index(index).key("name"));
    for (index, form) in forms.iter().enumerate() {
        let at = at.index(index);
        report.name(at.key("name"), &form.name);
        if form.name == EXTRACTION {
            report.fail(at.key("name"), "is the name of what is extracted: choose another");
        }
        let at = at.key("labels");
        if form.labels.is_empty() {
            report.fail(at.clone(), "must ask for at least one label");
        }
        report.unique(form.labels.iter().map(|l| &l.name), |index| at.index(index).key("name"));
        for (index, label) in form.labels.iter().enumerate() {
            let at = at.index(index);
            report.name(at.key("name"), &label.name);
            match (label.kind, label.options.is_empty()) {
                (LabelKind::Selector, true) => {
                    report.fail(at.key("options"), "must name what a selector may be");
                }
                (kind, false) if kind != LabelKind::Selector => {
                    report.fail(at.key("options"), "is for labels of type \"selector\"");
                }
                _ => {}
            }
            for (key, bound) in [("min", &label.min), ("max", &label.max)] {
                if bound.is_some() && !label.kind.is_number() {
                    report.fail(at.key(key), "is for labels of type \"number\" or \"integer\"");
                }
            }
        }
    }
}

fn check_tools(tools: &[ToolSpec], at: &KeyPath, allow_private: bool, report: &mut Report) {
    report.unique(tools.iter().map(|tool| &tool.name), |index| at.index(index).key("name"));
    for (index, tool) in tools.iter().enumerate() {
        let at = at.index(index);
        report.id(at.key("name"), &tool.name);
        report.called_url(at.key("url"), &tool.url, allow_private);
        report.within(at.key("timeout_s"), &tool.timeout_s, &(1..=TIMEOUT_S_MAX));
        report.within(at.key("retries"), &tool.retries, &(0..=TOOL_RETRIES_MAX));
        if !tool.parameters.is_object() {
            report
                .fail(at.key("parameters"), "must be a JSON Schema, such as { type = \"object\" }");
        }
    }
}
