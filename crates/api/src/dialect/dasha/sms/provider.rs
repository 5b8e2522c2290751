//! P1: `POST /api/v1/providers/twilio`

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use epilogue_core::texting::CarrierAccount;
use epilogue_engine::records::{CARRIERS_MAX, PutCarrierOutcome};
use http::StatusCode;
use serde_json::{Value, json};

use super::{
    super::{access::Owns, agents::read::Part, error::Problem, query, wire::JsonBody},
    inbound_path, public, sealed_for, twilio,
};
use crate::Api;

/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 100;
/// The longest auth token, in characters.
const TOKEN_CHARS_MAX: usize = 128;
/// How many hexadecimal digits follow `AC` in an account's name.
const SID_DIGITS: usize = 32;

/// Writes an account: a new one, or, under the same `accountSid`, the one that is there.
pub(super) async fn put(
    State(api): State<Api>,
    Owns(caller): Owns,
    body: Result<JsonBody<Value>, Problem>,
) -> Result<Response, Problem> {
    let body = body?.0;
    let part = Part::root(&body);
    part.object()?;
    let account = part.member("accountSid", sid)?;
    let token = part.member("authToken", token)?;
    let name = part.member("name", |part| part.name(1, NAME_CHARS_MAX))?;
    let region = part.member("region", region)?;
    let transfers = part.member("supportsCallTransfer", |part| part.flag(false))?;
    let now = api.engine().now();
    let context = sealed_for(&caller.org, &account);
    let sealed =
        api.tokens().secrets().seal(api.engine().ids().bytes(), token.as_bytes(), &context);
    let carrier = CarrierAccount {
        id: query::drawn_id(&api),
        account,
        name,
        secret: sealed.ok_or_else(|| Problem::internal(&Unsealed))?,
        document: json!({ "region": region, "supportsCallTransfer": transfers }),
        created_at: now,
        updated_at: now,
    };
    let by = Some(caller.key.to_string());
    let (status, carrier) = match api.engine().put_carrier(&caller.org, carrier.clone(), by).await?
    {
        PutCarrierOutcome::Added => (StatusCode::CREATED, carrier),
        PutCarrierOutcome::Replaced(carrier) => (StatusCode::OK, *carrier),
        PutCarrierOutcome::TooMany => {
            let detail = format!("The organization has {CARRIERS_MAX} providers already.");
            return Err(Problem::conflict(detail));
        }
    };
    let numbers = api.engine().numbers(&caller.org).await?;
    let count = numbers.iter().filter(|number| number.carrier == carrier.id).count();
    Ok((status, Json(shown(&api, &carrier, count))).into_response())
}

/// The cipher takes texts of up to 256 GiB.
#[derive(Debug, thiserror::Error)]
#[error("an auth token could not be sealed")]
struct Unsealed;

fn sid(part: Part<'_>) -> Result<String, Problem> {
    let text = part.text()?.unwrap_or_default();
    let digits = text.strip_prefix("AC").unwrap_or_default();
    if digits.len() == SID_DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(text);
    }
    Err(part.wrong(format!("must be AC and {SID_DIGITS} hexadecimal digits")))
}

/// A token as it is: with no scheme by which one could stand for something else.
fn token(part: Part<'_>) -> Result<String, Problem> {
    let token = part.name(1, TOKEN_CHARS_MAX)?;
    if token.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(token);
    }
    Err(part.wrong("must be printable ASCII without spaces"))
}

fn region(part: Part<'_>) -> Result<String, Problem> {
    if part.is_empty() {
        return Ok(twilio::REGIONS[0].0.to_owned());
    }
    let text = part.text()?.unwrap_or_default();
    let names = twilio::REGIONS.map(|(name, _)| name);
    if names.contains(&&*text) {
        return Ok(text);
    }
    Err(part.wrong(format!("must be one of {}", names.join(", "))))
}

fn shown(api: &Api, carrier: &CarrierAccount, numbers: usize) -> Value {
    json!({
        "id": carrier.id,
        "name": carrier.name,
        "providerType": "twilio",
        "accountSid": carrier.account,
        // Nobody asks Twilio; the first signed message shows whether the token is right.
        "verificationStatus": "pending",
        "lastVerifiedAt": null,
        "phoneNumberCount": numbers,
        "verificationDetails": [],
        "trunkSid": null,
        "terminationUri": null,
        "region": carrier.document["region"],
        "supportsCallTransfer": carrier.document["supportsCallTransfer"],
        "inboundSmsUrl": public(api, &inbound_path(&carrier.id)),
    })
}
