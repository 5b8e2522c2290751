//! `[twilio]`: text messages.

use std::ops::RangeInclusive;

use epilogue_core::retry::RetryPolicy;
use serde::Deserialize;
use url::Url;

use super::{path::KeyPath, report::Report, steps::StepConfig};

/// How long a conversation by text message may be quiet, in seconds.
const SESSION_TTL_S: RangeInclusive<u64> = 60..=86_400;
/// How long Twilio may take to accept a part of a reply, in seconds.
const TIMEOUT_S_MAX: u64 = 300;

/// `[twilio]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwilioConfig {
    /// Where Twilio's API is.
    pub api_url: Url,
    /// Seconds without activity after which a conversation by text message ends.
    pub session_ttl_s: u64,
    /// How answering a message is tried.
    pub answer: StepConfig,
}

impl TwilioConfig {
    /// How answering a message is tried.
    pub fn policy(&self) -> RetryPolicy {
        self.answer.policy()
    }

    pub(super) fn check(&self, at: &KeyPath, report: &mut Report) {
        report.service_url(at.key("api_url"), &self.api_url);
        report.within(at.key("session_ttl_s"), &self.session_ttl_s, &SESSION_TTL_S);
        self.answer.check(&at.key("answer"), TIMEOUT_S_MAX + 1, report);
    }
}
