//! Integrations: places on the web where people talk to an agent, and the tokens that let them in.

use serde_json::Value;

use crate::{
    id::AgentId,
    origin::{self, OriginRule},
    time::Timestamp,
};

/// A place on the web where people talk to an agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Integration {
    /// Its identity within the organization.
    pub id: String,
    /// The agent.
    pub agent: AgentId,
    /// What its owner calls it.
    pub name: String,
    /// Whether it lets anybody in.
    pub enabled: bool,
    /// The pages it may stand on. None: any.
    pub origins: Vec<OriginRule>,
    /// Everything else about it, in its owner's words.
    pub document: Value,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// A token as it is known here: everything but the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntegrationToken {
    /// Its public name.
    pub id: String,
    /// What its owner calls it. Unique within the integration.
    pub name: String,
    /// How it begins, so that people recognise it.
    pub hint: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working by itself. `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

/// Why nobody is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The token has expired.
    #[error("the token has expired")]
    Expired,
    /// The integration is switched off.
    #[error("the integration is not enabled")]
    Disabled,
    /// The page is not one it may stand on.
    #[error("the origin is not allowed")]
    Origin,
}

impl IntegrationToken {
    /// Whether it opens anything.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }
}

impl Integration {
    /// Whether somebody with `token` on a page of this `Origin` is let in.
    pub fn admits(
        &self,
        token: &IntegrationToken,
        origin: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if !token.is_valid(now) {
            return Err(Refusal::Expired);
        }
        if !self.enabled {
            return Err(Refusal::Disabled);
        }
        if !origin::admits(&self.origins, origin) {
            return Err(Refusal::Origin);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    #[test]
    fn expiry_comes_before_the_switch_and_the_switch_before_the_page() {
        let mut integration = Integration {
            id: "i".into(),
            agent: "a".into(),
            name: "Shop".into(),
            enabled: false,
            origins: vec!["example.com".parse().expect("a rule")],
            document: Value::Null,
            created_at: NOW,
            updated_at: NOW,
        };
        let mut token = IntegrationToken {
            id: "t".into(),
            name: "Page".into(),
            hint: "wi_".into(),
            created_at: NOW,
            expires_at: Some(NOW),
            last_used_at: None,
        };
        let here = Some("https://example.com");
        assert_eq!(integration.admits(&token, here, NOW), Err(Refusal::Expired));
        token.expires_at = Some(Timestamp::from_millis(1_001));
        assert_eq!(integration.admits(&token, here, NOW), Err(Refusal::Disabled));
        integration.enabled = true;
        let elsewhere = Some("https://elsewhere.test");
        assert_eq!(integration.admits(&token, elsewhere, NOW), Err(Refusal::Origin));
        assert_eq!(integration.admits(&token, here, NOW), Ok(()));
    }
}
