//! The configuration: one struct per section, read from the compiled-in defaults, a file and the
//! environment. `config.default.toml` is both the reference and the lowest layer, so that a
//! default is written down once, where people read it.

mod cluster;
mod directory;
mod error;
mod health;
mod kaltura;
mod layers;
mod limits;
mod media;
mod memory;
mod organizations;
mod path;
mod pathors;
mod reach;
mod reader;
mod report;
mod security;
mod server;
mod steps;
mod storage;
mod support;
mod telemetry;
#[cfg(test)]
mod tests;
mod twilio;
mod words;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use epilogue_core::agent::ModelSpec;
use serde::Deserialize;

#[cfg(test)]
use self::path::Segment;
pub use self::{
    cluster::ClusterConfig,
    directory::{hash_key, key_id},
    error::{ConfigError, Place, Problem},
    health::HealthConfig,
    layers::{DEFAULTS, Layers, environment},
    limits::LimitsConfig,
    media::{MediaConfig, SpeechConfig},
    memory::{EmbeddingsConfig, MemoryBackend, MemoryConfig},
    organizations::{KalturaPartner, OrganizationSection, Project, WidgetKey},
    pathors::PathorsConfig,
    reach::is_local,
    security::{DEFAULT_TOKEN_SECRET, SecurityConfig},
    server::ServerConfig,
    steps::{StepConfig, StepsConfig},
    storage::{StorageConfig, StorageUrl},
    telemetry::{LogFormat, TelemetryConfig},
    twilio::TwilioConfig,
};
use self::{path::KeyPath, report::Report};

/// Everything an operator can set.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the server listens.
    pub server: ServerConfig,
    /// Where it keeps what it knows.
    pub storage: StorageConfig,
    /// Secrets and guards.
    pub security: SecurityConfig,
    /// What a client may take.
    pub limits: LimitsConfig,
    /// How steps are tried.
    pub steps: StepsConfig,
    /// Who may use the server, and for what.
    #[serde(default)]
    pub organizations: Vec<OrganizationSection>,
    /// Models that tenants may name, each by its vendor.
    #[serde(default)]
    pub models: BTreeMap<String, ModelSpec>,
    /// Avatar sessions.
    pub media: MediaConfig,
    /// Long-term memory.
    pub memory: MemoryConfig,
    /// Text messages.
    pub twilio: TwilioConfig,
    /// What the Pathors API announces to go.
    pub pathors: PathorsConfig,
    /// Several nodes.
    pub cluster: ClusterConfig,
    /// Logs.
    pub telemetry: TelemetryConfig,
    /// When the server calls itself unwell.
    pub health: HealthConfig,
}

/// What the command line sets. It wins over every layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The address to listen on.
    pub listen: Option<SocketAddr>,
    /// The database.
    pub storage: Option<StorageUrl>,
    /// The data folder.
    pub data: Option<PathBuf>,
}

impl Config {
    /// Reads and checks a configuration that this version can serve.
    pub fn load(file: Option<&Path>, overrides: Overrides) -> Result<Self, ConfigError> {
        Self::of_layers(&Layers::read(file, environment())?, overrides)
    }

    /// The same from layers already read.
    pub fn of_layers(layers: &Layers, overrides: Overrides) -> Result<Self, ConfigError> {
        let config = Self::checked(layers)?.with(overrides);
        let mut report = Report::default();
        support::check(&config, &mut report);
        layers.verdict(report)?;
        Ok(config)
    }

    /// The defaults alone.
    pub fn defaults() -> Result<Self, ConfigError> {
        Self::of_layers(&Layers::from_text(None, [])?, Overrides::default())
    }

    /// Reads a configuration and checks all that does not depend on this version's features.
    pub fn checked(layers: &Layers) -> Result<Self, ConfigError> {
        let config = layers.config()?;
        let mut report = Report::default();
        config.check(&mut report);
        layers.verdict(report)?;
        Ok(config)
    }

    fn check(&self, report: &mut Report) {
        let at = |section| KeyPath::root().key(section);
        self.server.check(&at("server"), report);
        self.limits.check(&at("limits"), report);
        self.steps.check(&at("steps"), report);
        self.media.check(&at("media"), report);
        self.memory.check(&at("memory"), report);
        self.twilio.check(&at("twilio"), report);
        self.pathors.check(&at("pathors"), report);
        self.telemetry.check(&at("telemetry"), report);
        self.health.check(&at("health"), report);
        organizations::check_models(&self.models, &at("models"), report);
        organizations::check(self, &at("organizations"), report);
    }

    /// Applies the command line. A data folder takes a SQLite database with a relative path along:
    /// everything that is kept is then in that folder.
    #[must_use]
    pub fn with(mut self, overrides: Overrides) -> Self {
        if let Some(listen) = overrides.listen {
            self.server.listen = listen;
        }
        if let Some(url) = overrides.storage {
            self.storage.url = url;
        } else if let Some(folder) = &overrides.data {
            self.storage.url = self.storage.url.moved_to(folder);
        }
        self.storage.data = overrides.data;
        self
    }
}
