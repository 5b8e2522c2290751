//! Who exists: Acme with its agents and keys, another organization, and one without credits.

use epilogue_api::auth;
use epilogue_core::{Agent, MicroCredits, OrgId};
use epilogue_engine::records::{Credential, CredentialKind, Organization, Project, Role};
use epilogue_engine::testing::OrganizationConfig;
use serde_json::{Value, json};

use super::START;

pub const OPERATOR: &str = "the-key-in-the-data-folder";
pub const OWN: &str = "tk_live_acme_own";
pub const OPERATE: &str = "tk_live_acme_operate";
pub const READ: &str = "tk_live_acme_read";
pub const WIDGET: &str = "tk_widget_acme";
pub const OTHER: &str = "tk_live_other";
pub const POOR: &str = "tk_live_poor";

/// Acme's text agent: scripted, priced, with a form and a webhook.
pub const SUPPORT: &str = "support";
/// Acme's avatar.
pub const AVATAR: &str = "avatar";
/// The agent of the other organizations.
pub const FREE: &str = "free";

fn agent(value: Value) -> Agent {
    serde_json::from_value(value).expect("an agent")
}

fn support() -> Agent {
    agent(json!({
        "id": SUPPORT, "name": "Support Bot", "greeting": "Hello! How can I help you?",
        "price": { "per_1k_tokens": "0.01", "per_session": "0.5" },
        "hold": "2",
        "webhook": { "url": "https://hooks.example.com/epilogue", "secret": "whsec_aGlkZGVu" },
        "analysis": [
            { "name": "qa", "labels": [{ "name": "resolved", "type": "boolean" }] },
        ],
        "model": { "provider": "scripted", "script": [
            { "when": "slowly", "reply": "One word at a time.", "word_delay_ms": 1000 },
            { "when": "weather", "reply": "I do not know.", "tool": { "name": "weather" } },
            { "when": "bye", "reply": "", "tool": { "name": "end_chat" } },
            { "when": "resolved", "reply": "{\"resolved\":true}" },
            { "reply": "You said: {{message}}" },
        ] },
        "farewell": "Goodbye!",
    }))
}

fn credential(org: &str, key: &str, kind: CredentialKind, role: Role) -> Credential {
    Credential {
        id: format!("key_{}", key.trim_start_matches("tk_")).into(),
        hash: auth::hash(key),
        org: org.into(),
        kind,
        role,
        name: key.to_owned(),
        created_at: START,
        expires_at: None,
        revoked_at: None,
        configured: true,
    }
}

fn organization(id: &str, credits: Option<MicroCredits>) -> OrganizationConfig {
    let organization = Organization {
        id: OrgId::from(id),
        name: format!("The {id} company"),
        metered: credits.is_some(),
        grace: MicroCredits::ZERO,
        open_max: 0,
        keep_transcripts: false,
    };
    let free = agent(json!({ "id": FREE, "name": "Free", "model": { "provider": "scripted" } }));
    OrganizationConfig {
        organization,
        opening_credits: credits,
        agents: vec![free],
        projects: vec![],
        keys: vec![],
    }
}

/// Everyone.
pub fn organizations() -> Vec<OrganizationConfig> {
    let secret = |org, key, role| credential(org, key, CredentialKind::Secret, role);
    let widget = CredentialKind::Widget { domains: vec!["example.com".into()] };
    let mut acme = organization("org_acme", Some(MicroCredits(100_000_000)));
    let avatar = json!({
        "id": AVATAR, "name": "Ava", "kind": "avatar", "model": { "provider": "scripted" }
    });
    acme.agents.extend([support(), agent(avatar)]);
    acme.projects = vec![Project {
        org: "org_acme".into(),
        id: "proj_1".into(),
        name: "Support".into(),
        agent: SUPPORT.into(),
        created_at: START,
    }];
    acme.keys = vec![
        secret("org_acme", OWN, Role::Own),
        secret("org_acme", OPERATE, Role::Operate),
        secret("org_acme", READ, Role::Read),
        credential("org_acme", WIDGET, widget, Role::Operate),
    ];
    let mut other = organization("org_other", None);
    other.keys = vec![secret("org_other", OTHER, Role::Own)];
    let mut poor = organization("org_poor", Some(MicroCredits::ZERO));
    poor.keys = vec![secret("org_poor", POOR, Role::Own)];
    vec![acme, other, poor]
}
