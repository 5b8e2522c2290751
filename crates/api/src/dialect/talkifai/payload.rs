//! The `chat.ended` webhook.

use epilogue_core::{MicroCredits, StepKind, Timestamp};
use epilogue_engine::wording::{Notification, Payload};
use serde::Serialize;
use serde_json::value::RawValue;

/// The event's name.
const EVENT: &str = "chat.ended";

/// The published header for a signature over the body alone, beside the standard ones.
const SIGNATURE_HEADER: &str = "X-TalkifAI-Signature";

/// How many decimals an amount has at the most.
const DECIMALS_MAX: u32 = 4;

/// The body, its keys in the published order.
#[derive(Serialize)]
struct ChatEnded<'a> {
    event: &'static str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    conversation_id: &'a str,
    agent_id: &'a str,
    agent_name: &'a str,
    message_count: u32,
    input_tokens: u64,
    output_tokens: u64,
    total_cost: Box<RawValue>,
}

/// What `chat.ended` says. `None`: the event is another one, which this API does not have.
pub(crate) fn payload(notification: &Notification<'_>) -> Option<Payload> {
    if notification.kind != StepKind::NotifyEnded {
        return None;
    }
    let (session, ended) = (notification.session, notification.ended?);
    let body = ChatEnded {
        event: EVENT,
        timestamp: timestamp(ended.at),
        data: Data {
            conversation_id: &session.dialect_id,
            agent_id: session.agent.id.as_str(),
            agent_name: &notification.agent.name,
            message_count: session.usage.total_messages,
            input_tokens: session.usage.input_tokens,
            output_tokens: session.usage.output_tokens,
            total_cost: number(ended.cost)?,
        },
    };
    Some(Payload {
        event: EVENT.to_owned(),
        body: serde_json::to_string(&body).ok()?,
        body_signature_header: Some(SIGNATURE_HEADER),
        manners: None,
    })
}

/// An amount as a JSON number, digit by digit: it is never a float on its way.
fn number(amount: MicroCredits) -> Option<Box<RawValue>> {
    let credits = amount.to_credits().round_dp(DECIMALS_MAX).normalize();
    RawValue::from_string(credits.to_string()).ok()
}

/// `2024-01-15T10:35:00Z`
fn timestamp(at: Timestamp) -> String {
    at.to_jiff().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_numbers_with_up_to_four_decimals() {
        let shown = |micro| number(MicroCredits(micro)).map(|number| number.get().to_owned());
        for (micro, text) in [
            (4_500, "0.0045"),
            (0, "0"),
            (1_000_000, "1"),
            (1_500_000, "1.5"),
            (i64::MAX / 100 * 100, "9223372036854.7758"),
        ] {
            assert_eq!(shown(micro).as_deref(), Some(text));
        }
    }

    #[test]
    fn times_are_whole_seconds() {
        assert_eq!(timestamp(Timestamp::from_millis(1_705_314_900_999)), "2024-01-15T10:35:00Z");
    }
}
