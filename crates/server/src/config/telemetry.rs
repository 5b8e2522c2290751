//! `[telemetry]`: logs.

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use super::{path::KeyPath, report::Report};

/// `[telemetry]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryConfig {
    /// What is logged: a level, or directives such as `info,epilogue_engine=debug`.
    pub log: String,
    /// How it is written.
    pub log_format: LogFormat,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// As text to a terminal, as JSON to anything else.
    Auto,
    /// As text.
    Text,
    /// As JSON.
    Json,
}

impl TelemetryConfig {
    pub(super) fn check(&self, at: &KeyPath, report: &mut Report) {
        if EnvFilter::try_new(&self.log).is_err() {
            let text = "must be a level (error, warn, info, debug, trace) or directives such as \
                        \"info,epilogue_engine=debug\"";
            report.fail(at.key("log"), text);
        }
    }
}
