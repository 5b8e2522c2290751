//! `[memory]`: long-term memory.

use std::ops::RangeInclusive;

use epilogue_core::{Span, agent::SecretRef};
use epilogue_engine::memory::graphiti::GraphitiSettings;
use serde::Deserialize;
use url::Url;

use super::{path::KeyPath, report::Report};

/// How long an open may wait for memory, in milliseconds.
const RECALL_TIMEOUT_MS: RangeInclusive<u64> = 1..=60_000;

/// How long a message may stay away from Graphiti, in seconds.
const GRAPHITI_PATIENCE_S: RangeInclusive<u64> = 10..=86_400;

/// Of how many people Graphiti is given messages at once.
const GRAPHITI_PEOPLE_AT_ONCE: RangeInclusive<u32> = 1..=64;

/// How long one request to Graphiti may take.
const GRAPHITI_TIMEOUT: Span = Span::from_secs(10);

/// `[memory]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryConfig {
    /// Who remembers.
    pub backend: MemoryBackend,
    /// Where Graphiti is, if it remembers.
    pub graphiti_url: Url,
    /// Seconds after which a message that Graphiti has taken and does not show is sent again.
    pub graphiti_patience_s: u64,
    /// Of how many people Graphiti is given messages at once, one of each.
    pub graphiti_people_at_once: u32,
    /// Milliseconds an open waits for memory before it goes on without.
    pub recall_timeout_ms: u64,
    /// An endpoint that helps to find what is like something else.
    #[serde(default)]
    pub embeddings: Option<EmbeddingsConfig>,
}

/// Who remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryBackend {
    /// The server's own store.
    Embedded,
    /// A Graphiti server.
    Graphiti,
}

/// Any OpenAI-compatible `embeddings` endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingsConfig {
    /// The endpoint that has `embeddings` below it.
    pub base_url: Url,
    /// The model's name.
    pub name: String,
    /// The endpoint's key.
    #[serde(default)]
    pub api_key: Option<SecretRef>,
}

impl MemoryConfig {
    /// How Graphiti is used.
    pub fn graphiti(&self) -> GraphitiSettings {
        GraphitiSettings {
            url: self.graphiti_url.clone(),
            timeout: GRAPHITI_TIMEOUT,
            patience: Span::from_secs(self.graphiti_patience_s),
            at_once: self.graphiti_people_at_once as usize,
        }
    }

    pub(super) fn check(&self, at: &KeyPath, report: &mut Report) {
        report.service_url(at.key("graphiti_url"), &self.graphiti_url);
        let patience = at.key("graphiti_patience_s");
        report.within(patience, &self.graphiti_patience_s, &GRAPHITI_PATIENCE_S);
        let at_once = at.key("graphiti_people_at_once");
        report.within(at_once, &self.graphiti_people_at_once, &GRAPHITI_PEOPLE_AT_ONCE);
        report.within(at.key("recall_timeout_ms"), &self.recall_timeout_ms, &RECALL_TIMEOUT_MS);
        if let Some(embeddings) = &self.embeddings {
            report.service_url(at.key("embeddings").key("base_url"), &embeddings.base_url);
        }
    }
}
