//! `POST /api/v1/providers/twilio/{id}/sms`: a message has arrived at Twilio.
//!
//! It is answered with an empty document, at once, but not before it is on disk.

use axum::{
    extract::{OriginalUri, Path, Request, State},
    response::{IntoResponse, Response},
};
use epilogue_core::{
    OrgId,
    texting::{CarrierAccount, Inbound, InboundId, Wish},
};
use epilogue_engine::{inbox::Needless, records::ReceiveOutcome};
use http::{HeaderMap, StatusCode, header};

use super::{
    super::{error::Problem, limits},
    as_signed, sealed_for,
    signature::{self, Form},
};
use crate::{
    Api,
    body::{self, BodyError},
};

/// The longest body that is read, in bytes: Twilio's have a few thousand.
pub const INBOUND_BYTES_MAX: usize = 64 * 1024;
/// The longest name of a message or number, in characters.
const NAME_CHARS_MAX: usize = 64;

/// The header that carries the signature.
const SIGNATURE: &str = "x-twilio-signature";

/// Words by which people leave, as Twilio knows them.
const LEAVING: [&str; 8] =
    ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"];
/// Words that Twilio answers itself. `YES` is not among them: Twilio takes it for a return only from
/// people who have left, and from all others it is an answer like any.
const TWILIOS: [&str; 4] = ["START", "UNSTOP", "HELP", "INFO"];

/// Takes a message in.
pub(super) async fn receive(
    State(api): State<Api>,
    Path(id): Path<String>,
    OriginalUri(uri): OriginalUri,
    request: Request,
) -> Result<Response, Problem> {
    let holder = api.engine().carrier_holder(&id).await?;
    let (org, account) = holder.ok_or_else(|| Problem::not_found("provider"))?;
    let (parts, body) = request.into_parts();
    let bytes = body::read_at_most(&api, body, INBOUND_BYTES_MAX).await;
    let form = signature::form(&bytes.map_err(|error| unread(&error))?);
    let path = uri.path_and_query().map_or(uri.path(), http::uri::PathAndQuery::as_str);
    check_signature(&api, (&org, &account), (&as_signed(&api, path), &form), &parts.headers)?;
    let inbound = read(account.id, &form)?;
    if let Some(why) = needless(&api, &org, &inbound, &form).await? {
        api.engine().pass_over(&org, &inbound.id, why);
        return Ok(nothing_to_say());
    }
    match api.engine().receive(&org, inbound).await? {
        ReceiveOutcome::Received | ReceiveOutcome::Known => Ok(nothing_to_say()),
        ReceiveOutcome::TooMany => {
            let detail = "Too many messages wait to be answered.";
            Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail)
                .retry_after(epilogue_core::Span::from_secs(60)))
        }
    }
}

fn unread(error: &BodyError) -> Problem {
    match error {
        BodyError::TooLarge { max } => Problem::too_large("$", *max),
        BodyError::TooSlow { .. } => {
            Problem::new(StatusCode::REQUEST_TIMEOUT, "The body did not come in time.")
        }
        BodyError::Broken(_) => Problem::field("$", "The body broke off."),
    }
}

/// The empty document: the reply leaves by Twilio's API.
fn nothing_to_say() -> Response {
    ([(header::CONTENT_TYPE, "text/xml")], "<Response/>").into_response()
}

/// Nobody but Twilio, for this account, gets past this.
fn check_signature(
    api: &Api,
    (org, account): (&OrgId, &CarrierAccount),
    (urls, form): (&[String], &Form),
    headers: &HeaderMap,
) -> Result<(), Problem> {
    let refused = || Problem::new(StatusCode::FORBIDDEN, "The signature is not Twilio's.");
    let given = headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
    let token = api.tokens().secrets().open(&account.secret, &sealed_for(org, &account.account));
    let token = token.ok_or_else(|| Problem::internal(&Unopened))?;
    let sound = |given| urls.iter().any(|url| signature::is_sound(given, &token, url, form));
    if !given.is_some_and(sound) {
        tracing::warn!(%org, carrier = account.id, "a message was not signed by Twilio");
        return Err(refused());
    }
    let other = one(form, "AccountSid").is_some_and(|sid| sid != account.account);
    if other { Err(refused()) } else { Ok(()) }
}

/// The secret was sealed under another token secret.
#[derive(Debug, thiserror::Error)]
#[error("an auth token does not open: the token secret has changed since it was written")]
struct Unopened;

/// A parameter's value.
fn one<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    form.get(name)?.first().map(String::as_str)
}

fn read(carrier: String, form: &Form) -> Result<Inbound, Problem> {
    let name = |name: &str| -> Result<String, Problem> {
        let value = one(form, name).filter(|value| !value.trim().is_empty());
        let value = value.ok_or_else(|| Problem::field(name, "is required"))?;
        limits::chars(name, value, NAME_CHARS_MAX)?;
        Ok(value.to_owned())
    };
    let text = one(form, "Body").unwrap_or_default();
    limits::content("Body", text)?;
    Ok(Inbound {
        id: InboundId { carrier, message: name("MessageSid")? },
        from: name("From")?,
        to: name("To")?,
        text: text.to_owned(),
        wish: if keyword(form, "STOP", &LEAVING) { Wish::Leave } else { Wish::Talk },
    })
}

/// Whether the message is one of these words, or Twilio says that it took it for one.
fn keyword(form: &Form, kind: &str, words: &[&str]) -> bool {
    if let Some(taken) = one(form, "OptOutType") {
        return taken.eq_ignore_ascii_case(kind);
    }
    let text = one(form, "Body").unwrap_or_default().trim();
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Why there is nothing to do, if there is not.
async fn needless(
    api: &Api,
    org: &OrgId,
    inbound: &Inbound,
    form: &Form,
) -> Result<Option<Needless>, Problem> {
    if inbound.wish == Wish::Leave {
        return Ok(None);
    }
    if ["START", "HELP"].iter().any(|kind| keyword(form, kind, &TWILIOS)) {
        return Ok(Some(Needless::Carriers));
    }
    if inbound.text.trim().is_empty() {
        return Ok(Some(Needless::Wordless));
    }
    let number = api.engine().number_of(org, &inbound.id.carrier, &inbound.to).await?;
    let linked = number.is_some_and(|number| number.agent.is_some());
    Ok((!linked).then_some(Needless::Unlinked))
}
