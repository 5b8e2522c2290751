//! The Kaltura API's settings: partners of every organization, and what `[media]` says to clients.

use std::collections::HashMap;

use epilogue_api::dialect::kaltura::{KalturaSettings, Partner, relay_secret};
use epilogue_core::{
    AgentId,
    agent::{AgentKind, SecretRef},
};
use epilogue_engine::{records::KeyHash, secret};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Config, ConfigError, KalturaPartner, OrganizationSection, Place, Problem, hash_key,
    path::KeyPath,
};

impl Config {
    /// Whether anybody may open sessions that are seen and heard.
    pub fn shows_avatars(&self) -> bool {
        self.organizations.iter().any(|organization| !organization.kaltura_partners.is_empty())
    }

    /// Avatars that no partner names, so that nobody can open a session with them.
    pub fn idle_avatars(&self) -> impl Iterator<Item = &AgentId> {
        self.organizations.iter().flat_map(|organization| {
            let named = |id: &AgentId| organization.kaltura_partners.iter().any(|p| p.agent == *id);
            let avatars = organization.agents.iter().filter(|a| a.kind == AgentKind::Avatar);
            avatars.map(|agent| &agent.id).filter(move |id| !named(id))
        })
    }

    /// The settings of the API. Fails if a secret cannot be had, or a string would stand for two
    /// partners.
    pub fn kaltura(&self, token_secret: &SecretString) -> Result<KalturaSettings, ConfigError> {
        let (media, root) = (&self.media, KeyPath::root());
        let relay_secret = match &media.turn_secret {
            Some(secret) => resolve(&root.key("media").key("turn_secret"), secret)?,
            None => relay_secret(token_secret),
        };
        let (mut partners, mut seen) = (Vec::new(), HashMap::new());
        for (index, organization) in self.organizations.iter().enumerate() {
            let at = root.key("organizations").index(index).key("kaltura_partners");
            for (index, partner) in organization.kaltura_partners.iter().enumerate() {
                partners.push(read(organization, partner, &at.index(index), &mut seen)?);
            }
        }
        Ok(KalturaSettings {
            partners,
            media_host: self.media_host().to_owned(),
            relay_host: self.relay_host().to_owned(),
            relay_secret,
            strict_avatars: media.strict_avatars,
            voices: media.voices.clone(),
        })
    }
}

fn read(
    organization: &OrganizationSection,
    partner: &KalturaPartner,
    at: &KeyPath,
    seen: &mut HashMap<KeyHash, KeyPath>,
) -> Result<Partner, ConfigError> {
    let mut static_ks = Vec::new();
    for (index, text) in partner.static_ks.iter().enumerate() {
        let path = at.key("static_ks").index(index);
        let hash = hash_key(resolve(&path, text)?.expose_secret());
        if let Some(first) = seen.get(&hash) {
            return Err(invalid(format!("{path} is the same as {first}; each must be its own")));
        }
        seen.insert(hash, path);
        static_ks.push(hash);
    }
    Ok(Partner {
        id: partner.partner_id,
        org: organization.id.clone(),
        agent: partner.agent.clone(),
        admin_secret: resolve(&at.key("admin_secret"), &partner.admin_secret)?,
        static_ks,
        opens_per_minute: partner.opens_per_minute,
    })
}

fn resolve(path: &KeyPath, given: &SecretRef) -> Result<SecretString, ConfigError> {
    let failed = |source| ConfigError::Secret { key: path.to_string(), source };
    let resolved = secret::resolve(given).map_err(failed)?;
    if resolved.expose_secret().is_empty() {
        return Err(invalid(format!("{path} must not be empty")));
    }
    Ok(resolved)
}

fn invalid(text: String) -> ConfigError {
    ConfigError::Invalid(vec![Problem { place: Place::Defaults, text }])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Layers, Overrides};

    fn settings(partners: &str) -> Result<KalturaSettings, ConfigError> {
        let text = format!(
            "[[organizations]]\nid = 'o'\nname = 'O'\n\
             [[organizations.agents]]\nid = 'a'\nname = 'A'\nkind = 'avatar'\n\
             model = {{ provider = 'scripted' }}\n{partners}"
        );
        let config =
            Config::checked(&Layers::from_text(Some((Path::new("epilogue.toml"), text)), [])?)?;
        config.kaltura(&"a token secret".into())
    }

    fn partner(id: u64, more: &str) -> String {
        format!(
            "[[organizations.kaltura_partners]]\npartner_id = {id}\nagent = 'a'\n\
             admin_secret = 'literal:s'\n{more}\n"
        )
    }

    #[test]
    fn a_partner_is_read_with_its_secrets() {
        let settings = settings(&partner(7, "static_ks = ['one', 'two']")).expect("sound");
        let partner = &settings.partners[0];
        assert_eq!((partner.id, partner.org.as_str(), partner.agent.as_str()), (7, "o", "a"));
        assert_eq!(partner.admin_secret.expose_secret(), "s");
        assert_eq!(partner.static_ks, ["one", "two"].map(hash_key));
        assert_eq!(partner.opens_per_minute, 0, "the published API has no limit");
        assert!(!settings.relay_secret.expose_secret().is_empty());
        let shown = format!("{settings:?}");
        assert!(
            !shown.contains("literal") && !shown.contains(settings.relay_secret.expose_secret())
        );
    }

    #[test]
    fn a_partner_may_be_held_to_so_many_sessions_a_minute() {
        let settings = settings(&partner(7, "opens_per_minute = 20")).expect("sound");
        assert_eq!(settings.partners[0].opens_per_minute, 20);
    }

    #[test]
    fn a_string_stands_for_one_partner() {
        let two = partner(7, "static_ks = ['one']") + &partner(8, "static_ks = ['two', 'one']");
        let error = settings(&two).expect_err("the same").to_string();
        assert!(
            error.contains("[1].static_ks[1]") && error.contains("[0].static_ks[0]"),
            "{error}"
        );
        assert!(!error.contains("'one'"));
    }

    #[test]
    fn secrets_that_cannot_be_had_are_named() {
        let missing = partner(7, "").replace("literal:s", "env:EPILOGUE_TEST_NO_SUCH_VARIABLE");
        let error = settings(&missing).expect_err("missing").to_string();
        assert!(error.contains("kaltura_partners[0].admin_secret"), "{error}");
        let empty = partner(7, "static_ks = ['literal:']");
        let error = settings(&empty).expect_err("empty").to_string();
        assert!(error.contains("static_ks[0] must not be empty"), "{error}");
    }

    #[test]
    fn a_partners_agent_is_an_avatar_that_waits_long_enough() {
        let wrong = |change: &str| {
            let text = format!(
                "[[organizations]]\nid = 'o'\nname = 'O'\n\
                 [[organizations.agents]]\nid = 'a'\nname = 'A'\n{change}\n\
                 model = {{ provider = 'scripted' }}\n{}",
                partner(7, "")
            );
            let layers =
                Layers::from_text(Some((Path::new("epilogue.toml"), text)), []).expect("TOML");
            Config::checked(&layers).err().map(|error| error.to_string())
        };
        let text = wrong("kind = 'text'").expect("refused");
        assert!(text.contains("kaltura_partners[0].agent must be an agent of the kind"), "{text}");
        let short = wrong("kind = 'avatar'\nidle_timeout_s = 29").expect("refused");
        assert!(short.contains("idle_timeout_s below the 30 s"), "{short}");
        for fine in ["", "\nidle_timeout_s = 0", "\nidle_timeout_s = 30"] {
            assert_eq!(wrong(&format!("kind = 'avatar'{fine}")), None);
        }
    }

    fn loaded(text: &str) -> Result<Config, ConfigError> {
        let text = format!("[[organizations]]\nid = 'o'\nname = 'O'\n{text}");
        let file = Some((Path::new("epilogue.toml"), text));
        Config::of_layers(&Layers::from_text(file, [])?, Overrides::default())
    }

    fn agent(id: &str, kind: &str) -> String {
        format!(
            "[[organizations.agents]]\nid = '{id}'\nname = 'A'\nkind = '{kind}'\n\
             model = {{ provider = 'scripted' }}\n"
        )
    }

    #[test]
    fn avatars_are_shown_where_a_partner_names_one() {
        let avatars = agent("a", "avatar") + &agent("b", "avatar");
        let alone = loaded(&avatars).expect("sound");
        assert!(!alone.shows_avatars());
        let idle = |config: &Config| config.idle_avatars().map(ToString::to_string).collect();
        let (both, one): (Vec<_>, Vec<_>) = (idle(&alone), vec!["b".to_owned()]);
        assert_eq!(both, ["a", "b"]);
        let named = loaded(&(avatars + &partner(7, ""))).expect("sound");
        assert!(named.shows_avatars());
        assert_eq!(idle(&named), one);
    }

    #[test]
    fn nobody_writes_to_an_avatar() {
        let project = "[[organizations.projects]]\nid = 'p'\nagent = 'a'\n";
        let error = loaded(&(agent("a", "avatar") + project)).expect_err("refused").to_string();
        let wanted = "projects[0].agent must be an agent of the kind \"text\"";
        assert!(error.contains(wanted), "{error}");
        assert!(loaded(&(agent("a", "text") + project)).is_ok());
    }
}
