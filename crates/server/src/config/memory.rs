//! `[memory]`: long-term memory.

use std::ops::RangeInclusive;

use epilogue_core::agent::SecretRef;
use serde::Deserialize;
use url::Url;

use super::{path::KeyPath, report::Report};

/// How long an open may wait for memory, in milliseconds.
const RECALL_TIMEOUT_MS: RangeInclusive<u64> = 1..=60_000;

/// `[memory]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryConfig {
    /// Who remembers.
    pub backend: MemoryBackend,
    /// Where Graphiti is, if it remembers.
    pub graphiti_url: Url,
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
    pub(super) fn check(&self, at: &KeyPath, report: &mut Report) {
        report.service_url(at.key("graphiti_url"), &self.graphiti_url);
        report.within(at.key("recall_timeout_ms"), &self.recall_timeout_ms, &RECALL_TIMEOUT_MS);
        if let Some(embeddings) = &self.embeddings {
            report.service_url(at.key("embeddings").key("base_url"), &embeddings.base_url);
        }
    }
}
