//! The configured organizations in the store's words, their keys as hashes.

use std::collections::HashMap;

use epilogue_core::{KeyId, MicroCredits, Timestamp, agent::SecretRef};
use epilogue_engine::secret;
use epilogue_storage::{
    Credential, CredentialKind, KeyHash, Organization, OrganizationConfig,
    Project as StoredProject, Role,
};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::{Config, ConfigError, OrganizationSection, Place, Problem, Project, path::KeyPath};

/// What keys of the configuration are called in lists of keys.
const KEY_NAME: &str = "from the configuration";
/// How much of a key's hash its public name shows, in bytes.
const KEY_ID_BYTES: usize = 6;

/// A key's hash. Every place that stores or looks up a key uses this one.
pub fn hash_key(key: &str) -> KeyHash {
    KeyHash(Sha256::digest(key).into())
}

/// A key's public name: `key_` and the beginning of its hash.
pub fn key_id(hash: &KeyHash) -> KeyId {
    KeyId::new(format!("key_{}", hex::encode(&hash.0[..KEY_ID_BYTES])))
}

impl Config {
    /// What the store is to know. Fails if a secret cannot be had, or a key would open two doors.
    pub fn to_directory(&self, now: Timestamp) -> Result<Vec<OrganizationConfig>, ConfigError> {
        let mut seen = HashMap::new();
        let at = KeyPath::root().key("organizations");
        self.organizations
            .iter()
            .enumerate()
            .map(|(index, section)| section.to_directory(&at.index(index), now, &mut seen))
            .collect()
    }
}

impl OrganizationSection {
    fn to_directory(
        &self,
        at: &KeyPath,
        now: Timestamp,
        seen: &mut HashMap<KeyHash, KeyPath>,
    ) -> Result<OrganizationConfig, ConfigError> {
        let secret_keys = self.api_keys.iter().enumerate().map(|(index, key)| {
            (at.key("api_keys").index(index), key, CredentialKind::Secret, Role::Own)
        });
        let widget_keys = self.widget_keys.iter().enumerate().map(|(index, widget)| {
            let domains = widget.domains.iter().map(|domain| domain.to_ascii_lowercase()).collect();
            let path = at.key("widget_keys").index(index).key("key");
            (path, &widget.key, CredentialKind::Widget { domains }, Role::Operate)
        });
        let project_keys = self.projects.iter().enumerate().flat_map(|(index, project)| {
            let at = at.key("projects").index(index).key("api_keys");
            let keys = project.api_keys.iter().enumerate();
            keys.map(move |(index, key)| {
                let kind = CredentialKind::Project { project: project.id.as_str().into() };
                (at.index(index), key, kind, Role::Own)
            })
        });
        let keys = secret_keys
            .chain(widget_keys)
            .chain(project_keys)
            .map(|(path, key, kind, role)| {
                let hash = resolve(&path, key)?;
                claim(seen, hash, path)?;
                Ok(self.credential(hash, kind, role, now))
            })
            .collect::<Result<_, ConfigError>>()?;
        Ok(OrganizationConfig {
            organization: Organization {
                id: self.id.clone(),
                name: self.name.clone(),
                metered: self.credits.is_some(),
                grace: MicroCredits::from_credits(self.grace_credits).unwrap_or_default(),
                open_max: self.open_sessions_max,
                keep_transcripts: self.keep_transcripts,
            },
            opening_credits: self.credits.and_then(MicroCredits::from_credits),
            agents: self.agents.clone(),
            projects: self.projects.iter().map(|project| self.project(project, now)).collect(),
            keys,
        })
    }

    fn project(&self, section: &Project, now: Timestamp) -> StoredProject {
        StoredProject {
            org: self.id.clone(),
            id: section.id.as_str().into(),
            name: section.name.clone().unwrap_or_else(|| section.id.clone()),
            agent: section.agent.clone(),
            created_at: now,
        }
    }

    fn credential(
        &self,
        hash: KeyHash,
        kind: CredentialKind,
        role: Role,
        now: Timestamp,
    ) -> Credential {
        Credential {
            id: key_id(&hash),
            hash,
            org: self.id.clone(),
            kind,
            role,
            name: KEY_NAME.to_owned(),
            created_at: now,
            expires_at: None,
            revoked_at: None,
            configured: true,
        }
    }
}

fn resolve(path: &KeyPath, key: &SecretRef) -> Result<KeyHash, ConfigError> {
    let failed = |source| ConfigError::Secret { key: path.to_string(), source };
    let key = secret::resolve(key).map_err(failed)?;
    if key.expose_secret().is_empty() {
        return Err(invalid(format!("{path} must not be empty")));
    }
    Ok(hash_key(key.expose_secret()))
}

fn claim(
    seen: &mut HashMap<KeyHash, KeyPath>,
    hash: KeyHash,
    path: KeyPath,
) -> Result<(), ConfigError> {
    if let Some(first) = seen.get(&hash) {
        return Err(invalid(format!("{path} is the same key as {first}; each must be its own")));
    }
    seen.insert(hash, path);
    Ok(())
}

fn invalid(text: String) -> ConfigError {
    ConfigError::Invalid(vec![Problem { place: Place::Defaults, text }])
}
