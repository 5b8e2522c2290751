//! What a project changes about its agent. The agent itself is the operator's; what lies over it is
//! kept apart, so that a change of either shows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    agent::{Agent, SecretRef, WebhookSpec},
    analysis::{EVALUATION, Form, Label},
    id::{AgentId, ProjectId},
    memory::MemoryMode,
    variable_spec::VariableSpec,
};

/// What becomes of one part of an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change<T> {
    /// It stays as the operator has it.
    #[default]
    Kept,
    /// There is none.
    Off,
    /// It is this.
    To(T),
}

/// Everything that a project changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentOverlay {
    /// The agent's name.
    pub name: Change<String>,
    /// Its system prompt.
    pub prompt: Change<String>,
    /// Whether conversations are remembered for the same person.
    pub memory: Change<MemoryMode>,
    /// Which variables it fills in.
    pub variables: Change<Vec<VariableSpec>>,
    /// What is asked about how an ended conversation went.
    pub evaluation: Change<Label>,
    /// Who is told of the end.
    pub webhook: Change<Hook>,
    /// Which of the extracted variables receivers are told.
    pub variable_keys: Change<Vec<String>>,
}

/// A project's webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// Where to.
    pub url: Url,
    /// Headers sent along: the values themselves, as their owner wrote them.
    pub headers: BTreeMap<String, SecretRef>,
    /// Which events it is told. Absent: as the session's API says.
    pub events: Option<Vec<String>>,
}

/// The id of the agent that a project's changes make.
pub fn agent_id(project: &ProjectId) -> AgentId {
    AgentId::new(format!("project:{project}"))
}

impl AgentOverlay {
    /// The agent of a project: the operator's, with what the project changes about it.
    pub fn over(&self, agent: &Agent, project: &ProjectId) -> Agent {
        let mut own = Agent { id: agent_id(project), ..agent.clone() };
        // Whom the operator's agent knows, the project's does.
        own.memory_of = Some(agent.remembers_as().clone());
        lay(&mut own.name, &self.name);
        lay(&mut own.prompt, &self.prompt);
        lay(&mut own.memory, &self.memory);
        lay(&mut own.variables, &self.variables);
        own.analysis = self.forms(agent);
        match &self.webhook {
            Change::Kept => {}
            Change::Off => own.webhook = None,
            Change::To(hook) => {
                own.webhook = Some(WebhookSpec {
                    headers: hook.headers.clone(),
                    events: hook.events.clone(),
                    ..WebhookSpec::at(hook.url.clone())
                });
            }
        }
        match &self.variable_keys {
            Change::Kept => {}
            Change::Off => own.variable_keys = None,
            Change::To(keys) => own.variable_keys = Some(keys.clone()),
        }
        own
    }

    fn forms(&self, agent: &Agent) -> Vec<Form> {
        let others = agent.analysis.iter().filter(|form| form.name != EVALUATION).cloned();
        match &self.evaluation {
            Change::Kept => agent.analysis.clone(),
            Change::Off => others.collect(),
            Change::To(label) => {
                let labels = vec![label.clone()];
                let form = Form { name: EVALUATION.to_owned(), labels, enabled: true };
                others.chain([form]).collect()
            }
        }
    }
}

/// Lays a change over a part; one that is off is as if it had never been said.
fn lay<T: Clone + Default>(part: &mut T, change: &Change<T>) {
    match change {
        Change::Kept => {}
        Change::Off => *part = T::default(),
        Change::To(value) => *part = value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::analysis::{LabelKind, RESULT};

    fn configured() -> Agent {
        serde_json::from_value(json!({
            "id": "a", "name": "A", "model": { "provider": "scripted" }, "prompt": "Be kind.",
            "memory": true,
            "analysis": [
                { "name": "qa", "labels": [] }, { "name": "evaluation", "labels": [] },
            ],
            "webhook": { "url": "https://hooks.example.com/x", "secret": "whsec_1" },
        }))
        .expect("an agent")
    }

    fn over(overlay: &AgentOverlay) -> Agent {
        overlay.over(&configured(), &"p".into())
    }

    #[test]
    fn what_a_project_does_not_change_stays_the_operators() {
        let own = over(&AgentOverlay::default());
        let memory_of = Some("a".into());
        assert_eq!(own, Agent { id: "project:p".into(), memory_of, ..configured() });
    }

    #[test]
    fn what_it_changes_is_its_own_and_what_it_switches_off_is_gone() {
        let label = Label::new(RESULT, LabelKind::Text, "How did it go?");
        let hook = Hook {
            url: "https://own.example.com/".parse().expect("a URL"),
            headers: BTreeMap::from([("X-Key".to_owned(), SecretRef::literal("k"))]),
            events: Some(vec!["session.finalized".into()]),
        };
        let changed = over(&AgentOverlay {
            name: Change::To("B".into()),
            prompt: Change::Off,
            memory: Change::To(MemoryMode::Off),
            evaluation: Change::To(label.clone()),
            webhook: Change::To(hook.clone()),
            variable_keys: Change::To(vec!["city".into()]),
            variables: Change::Kept,
        });
        assert_eq!(
            (changed.name.as_str(), changed.prompt.as_str(), changed.memory),
            ("B", "", MemoryMode::Off)
        );
        let forms: Vec<_> = changed.analysis.iter().map(|form| form.name.as_str()).collect();
        assert_eq!(
            (forms, &changed.analysis[1].labels[..]),
            (vec!["qa", "evaluation"], &[label][..])
        );
        let webhook = changed.webhook.expect("it has one");
        assert_eq!(
            (webhook.url, webhook.headers, webhook.events),
            (hook.url, hook.headers, hook.events)
        );
        assert_eq!(webhook.secret, None, "the operator's secret signs for the operator's receiver");
        assert_eq!(changed.variable_keys, Some(vec!["city".to_owned()]));
        let off = AgentOverlay {
            evaluation: Change::Off,
            webhook: Change::Off,
            ..AgentOverlay::default()
        };
        let off = over(&off);
        assert_eq!((off.analysis.len(), off.webhook), (1, None));
    }

    #[test]
    fn an_overlay_of_an_older_release_reads_with_what_it_has() {
        let written = AgentOverlay { name: Change::To("B".into()), ..AgentOverlay::default() };
        let text = serde_json::to_string(&written).expect("it serializes");
        assert_eq!(serde_json::from_str::<AgentOverlay>(&text).expect("it reads"), written);
        let older = r#"{"name":{"to":"B"}}"#;
        assert_eq!(serde_json::from_str::<AgentOverlay>(older).expect("it reads"), written);
    }
}
