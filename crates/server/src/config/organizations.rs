//! `[[organizations]]`: who may use the server, and with which agents.

mod agents;

pub(super) use agents::check_models;

use std::fmt;

use epilogue_api::dialect::kaltura;
use epilogue_core::{
    Agent, AgentId, MicroCredits, OrgId,
    agent::{AgentKind, SecretRef},
};
use rust_decimal::Decimal;
use serde::Deserialize;

use super::{Config, path::KeyPath, report::Report};

/// The longest domain name, in characters.
const DOMAIN_CHARS_MAX: usize = 253;
/// The longest part of a domain name, in characters.
const DOMAIN_LABEL_CHARS_MAX: usize = 63;

/// One of `[[organizations]]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrganizationSection {
    /// Its identity.
    pub id: OrgId,
    /// Its name.
    pub name: String,
    /// Its opening balance, granted once. Absent: it is not metered.
    #[serde(default)]
    pub credits: Option<Decimal>,
    /// How far below zero a metered balance may go before opens are refused.
    #[serde(default = "five")]
    pub grace_credits: Decimal,
    /// How many sessions may be open at a time, in every API together; 0 for any number.
    #[serde(default)]
    pub open_sessions_max: u32,
    /// Whether transcripts stay where an API would remove them after the end.
    #[serde(default)]
    pub keep_transcripts: bool,
    /// For how many days what is remembered of people is kept; 0 for ever.
    #[serde(default)]
    pub memory_days: u32,
    /// Keys for servers, which may do everything.
    #[serde(default)]
    pub api_keys: Vec<SecretRef>,
    /// Keys that are safe in a page.
    #[serde(default)]
    pub widget_keys: Vec<WidgetKey>,
    /// Its agents.
    #[serde(default)]
    pub agents: Vec<Agent>,
    /// Projects of the Pathors API.
    #[serde(default)]
    pub projects: Vec<Project>,
    /// Partners of the Kaltura API.
    #[serde(default)]
    pub kaltura_partners: Vec<KalturaPartner>,
}

const fn five() -> Decimal {
    Decimal::from_parts(500, 0, 0, false, 2)
}

/// A key that may stand in a page: it opens sessions from these domains and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WidgetKey {
    /// The key.
    pub key: SecretRef,
    /// The domains, each with its subdomains.
    pub domains: Vec<String>,
}

/// A project of the Pathors API.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// Its identity, as it stands in paths.
    pub id: String,
    /// Its name. Absent: its identity.
    #[serde(default)]
    pub name: Option<String>,
    /// Who answers.
    pub agent: AgentId,
    /// Keys that open this project and nothing else.
    #[serde(default)]
    pub api_keys: Vec<SecretRef>,
}

/// A partner of the Kaltura API.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KalturaPartner {
    /// Its number.
    pub partner_id: u64,
    /// What its session strings are checked with.
    pub admin_secret: SecretRef,
    /// Strings accepted as they are, for development.
    #[serde(default)]
    pub static_ks: Vec<SecretRef>,
    /// Who answers.
    pub agent: AgentId,
    /// Sessions created per minute; 0 is no limit.
    #[serde(default)]
    pub opens_per_minute: u32,
}

impl fmt::Debug for KalturaPartner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KalturaPartner")
            .field("partner_id", &self.partner_id)
            .finish_non_exhaustive()
    }
}

/// Checks every organization.
pub(super) fn check(config: &Config, at: &KeyPath, report: &mut Report) {
    let organizations = &config.organizations;
    report.unique(organizations.iter().map(|org| &org.id), |index| at.index(index).key("id"));
    let projects: Vec<_> = places(organizations, |org| org.projects.len()).collect();
    report.unique(
        organizations.iter().flat_map(|org| org.projects.iter().map(|project| &project.id)),
        |index| nested(at, "projects", "id", projects[index]),
    );
    let partners: Vec<_> = places(organizations, |org| org.kaltura_partners.len()).collect();
    report.unique(
        organizations.iter().flat_map(|org| org.kaltura_partners.iter().map(|p| p.partner_id)),
        |index| nested(at, "kaltura_partners", "partner_id", partners[index]),
    );
    for (index, organization) in organizations.iter().enumerate() {
        organization.check(&at.index(index), config.security.allow_private_webhooks, report);
    }
}

/// The position of every element of a list each organization has.
fn places(
    organizations: &[OrganizationSection],
    count: impl Fn(&OrganizationSection) -> usize,
) -> impl Iterator<Item = (usize, usize)> {
    organizations
        .iter()
        .enumerate()
        .flat_map(move |(outer, org)| (0..count(org)).map(move |inner| (outer, inner)))
}

fn nested(at: &KeyPath, list: &str, key: &str, (outer, inner): (usize, usize)) -> KeyPath {
    at.index(outer).key(list).index(inner).key(key)
}

impl OrganizationSection {
    fn check(&self, at: &KeyPath, allow_private: bool, report: &mut Report) {
        report.id(at.key("id"), self.id.as_str());
        report.name(at.key("name"), &self.name);
        if let Some(credits) = self.credits {
            check_amount(at.key("credits"), credits, report);
        }
        check_amount(at.key("grace_credits"), self.grace_credits, report);
        check_keys(&at.key("api_keys"), &self.api_keys, report);
        for (index, widget) in self.widget_keys.iter().enumerate() {
            widget.check(&at.key("widget_keys").index(index), report);
        }
        agents::check(&self.agents, &at.key("agents"), allow_private, report);
        for (index, project) in self.projects.iter().enumerate() {
            let at = at.key("projects").index(index);
            report.id(at.key("id"), &project.id);
            if let Some(name) = &project.name {
                report.name(at.key("name"), name);
            }
            check_keys(&at.key("api_keys"), &project.api_keys, report);
            self.check_agent(at.key("agent"), &project.agent, report);
            self.check_text(at.key("agent"), &project.agent, report);
        }
        for (index, partner) in self.kaltura_partners.iter().enumerate() {
            let at = at.key("kaltura_partners").index(index);
            check_key(at.key("admin_secret"), &partner.admin_secret, report);
            check_keys(&at.key("static_ks"), &partner.static_ks, report);
            self.check_agent(at.key("agent"), &partner.agent, report);
            self.check_avatar(at.key("agent"), &partner.agent, report);
        }
    }

    /// Who is written to must not be an avatar: it answers nobody.
    fn check_text(&self, path: KeyPath, id: &AgentId, report: &mut Report) {
        if self.agent(id).is_some_and(|agent| agent.kind != AgentKind::Text) {
            report.fail(path, "must be an agent of the kind \"text\"");
        }
    }

    /// What is seen and heard must be an avatar, and must not be given up between two keep-alives.
    fn check_avatar(&self, path: KeyPath, id: &AgentId, report: &mut Report) {
        let Some(agent) = self.agent(id) else { return };
        let shortest = kaltura::IDLE_MIN.as_millis() / 1_000;
        if agent.kind != AgentKind::Avatar {
            report.fail(path, "must be an agent of the kind \"avatar\"");
        } else if agent.idle_timeout_s.is_some_and(|seconds| (1..shortest).contains(&seconds)) {
            let text = format!("has an idle_timeout_s below the {shortest} s that this API needs");
            report.fail(path, text);
        }
    }

    fn agent(&self, id: &AgentId) -> Option<&Agent> {
        self.agents.iter().find(|agent| agent.id == *id)
    }

    fn check_agent(&self, path: KeyPath, id: &AgentId, report: &mut Report) {
        if self.agent(id).is_none() {
            let known: Vec<_> = self.agents.iter().map(|agent| agent.id.as_str()).collect();
            let known = if known.is_empty() { "it has none".into() } else { known.join(", ") };
            report.fail(path, format!("must be an agent of {}: {known}", self.id));
        }
    }
}

impl WidgetKey {
    fn check(&self, at: &KeyPath, report: &mut Report) {
        check_key(at.key("key"), &self.key, report);
        if self.domains.is_empty() {
            report
                .fail(at.key("domains"), "must name at least one domain, or the key opens nothing");
        }
        for (index, domain) in self.domains.iter().enumerate() {
            if !is_domain(domain) {
                let text = "must be a bare domain, such as \"example.com\": no scheme, port, path \
                            or `*` (subdomains are included)";
                report.fail(at.key("domains").index(index), text);
            }
        }
    }
}

fn check_amount(path: KeyPath, amount: Decimal, report: &mut Report) {
    report.not_negative(path.clone(), amount);
    if MicroCredits::from_credits(amount).is_none() {
        report.fail(path, "is more than the ledger can hold");
    }
}

fn check_keys(at: &KeyPath, keys: &[SecretRef], report: &mut Report) {
    for (index, key) in keys.iter().enumerate() {
        check_key(at.index(index), key, report);
    }
}

fn check_key(path: KeyPath, key: &SecretRef, report: &mut Report) {
    if key.0.trim().is_empty() {
        report.fail(path, "must not be empty");
    }
}

fn is_domain(domain: &str) -> bool {
    let fits = |label: &str| {
        (1..=DOMAIN_LABEL_CHARS_MAX).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.len() <= DOMAIN_CHARS_MAX && domain.split('.').all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_bare() {
        for good in ["example.com", "localhost", "a-b.example.co.uk", "127.0.0.1"] {
            assert!(is_domain(good), "{good}");
        }
        for bad in ["", "https://a.com", "a.com/", "a.com:80", "*.a.com", ".a", "a..b", "-a.b"] {
            assert!(!is_domain(bad), "{bad}");
        }
        assert!(is_domain(&"a".repeat(63)));
        assert!(!is_domain(&"a".repeat(64)));
    }

    #[test]
    fn the_default_grace_is_five_credits() {
        assert_eq!(five().to_string(), "5.00");
    }
}
