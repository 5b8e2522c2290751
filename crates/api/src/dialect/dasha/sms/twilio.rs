//! Twilio as a carrier: how a conversation by text message is opened, and how a reply leaves.

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use epilogue_core::{
    AgentId, OrgId, SessionId, Span,
    texting::{CarrierAccount, InboundMessage, split},
};
use epilogue_engine::{
    clock::within,
    inbox::{Carrier, Outbound, SendError},
    session::OpenSession,
    webhook::{
        deliver::retry_after,
        egress::{Egress, Incoming, Outgoing},
    },
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

use super::{
    super::open::{self, Draft, TWILIO_SMS},
    PART_UNITS_MAX, PARTS_MAX, sealed_for,
};
use crate::Api;

/// Twilio's regions, the default first, and the host of the API in each.
pub(super) const REGIONS: [(&str, Option<&str>); 4] = [
    ("us1", None),
    ("ie1", Some("api.dublin.ie1.twilio.com")),
    ("au1", Some("api.sydney.au1.twilio.com")),
    ("jp1", Some("api.tokyo.jp1.twilio.com")),
];

/// The host whose place a region's takes.
const HOST: &str = "api.twilio.com";

/// How much of an answer is read, in bytes.
const RESPONSE_BYTES_MAX: usize = 16 * 1024;

/// Twilio's API.
#[derive(Clone)]
pub struct Twilio {
    api: Api,
    egress: Egress,
}

impl Twilio {
    /// Through `egress`, which must let the operator's address through, wherever that is.
    pub fn new(api: &Api, egress: Egress) -> Self {
        Self { api: api.clone(), egress }
    }

    fn request(
        &self,
        org: &OrgId,
        account: &CarrierAccount,
        part: Outbound<'_>,
    ) -> Result<Outgoing, SendError> {
        let context = sealed_for(org, &account.account);
        let token = self.api.tokens().secrets().open(&account.secret, &context);
        let token = token.and_then(|token| String::from_utf8(token).ok());
        let token = token.ok_or_else(|| fatal("the auth token does not open"))?;
        let basic = BASE64_STANDARD.encode(format!("{}:{token}", account.account));
        let basic = HeaderValue::from_str(&format!("Basic {basic}"));
        let mut basic = basic.map_err(|_| fatal("the auth token cannot be sent"))?;
        basic.set_sensitive(true);
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let headers = [(header::AUTHORIZATION, basic), (header::CONTENT_TYPE, form)];
        Ok(Outgoing {
            method: Method::POST,
            url: messages_url(&self.api.settings().twilio.api_url, account),
            headers: HeaderMap::from_iter(headers),
            body: form_urlencoded::Serializer::new(String::new())
                .append_pair("From", part.from)
                .append_pair("To", part.to)
                .append_pair("Body", part.text)
                .finish(),
        })
    }

    /// What Twilio's answer means.
    fn heard(&self, answer: &Incoming) -> Result<String, SendError> {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let status = answer.status;
        if status.is_success() {
            return Ok(body["sid"].as_str().unwrap_or_default().to_owned());
        }
        // Of its words the number alone: the rest may repeat what was said.
        let code = body["code"].as_u64().map_or_else(String::new, |code| format!(", code {code}"));
        let wait = answer.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let now = self.api.engine().now();
        Err(SendError {
            fatal: !passes(status),
            retry_after: wait.and_then(|text| retry_after(text.trim(), now)),
            detail: format!("Twilio answered {}{code}", status.as_u16()),
        })
    }
}

/// Whether the same may be accepted later.
fn passes(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

fn fatal(detail: &str) -> SendError {
    SendError { fatal: true, retry_after: None, detail: detail.to_owned() }
}

/// Where messages of an account are sent. Only at Twilio itself does the account's region choose the
/// host, and only from [`REGIONS`].
fn messages_url(base: &Url, account: &CarrierAccount) -> Url {
    let mut url = base.clone();
    let region = account.document["region"].as_str().unwrap_or_default();
    let host = REGIONS.iter().find(|(name, _)| *name == region).and_then(|(_, host)| *host);
    if let Some(host) = host.filter(|_| base.host_str() == Some(HOST)) {
        // A name of ours in place of a name: it always fits.
        let _ = url.set_host(Some(host));
    }
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty();
        path.extend(["2010-04-01", "Accounts", &account.account, "Messages.json"]);
    }
    url
}

#[async_trait]
impl Carrier for Twilio {
    fn opening(&self, message: &InboundMessage, agent: AgentId, id: SessionId) -> OpenSession {
        let inbound = &message.inbound;
        let address =
            [("from", &inbound.from), ("to", &inbound.to), ("provider_id", &inbound.id.carrier)];
        let address = address.map(|(name, value)| (name.to_owned(), value.clone().into()));
        let draft = Draft {
            agent: agent.to_string(),
            channel: Some(TWILIO_SMS.to_owned()),
            external_id: Map::from_iter(address),
            ttl: Some(self.api.settings().twilio.session_ttl),
            ..Draft::default()
        };
        open::request(&message.org, id, draft)
    }

    fn parts(&self, answer: &str) -> Vec<String> {
        let mut parts = split(answer, PART_UNITS_MAX);
        if parts.len() > PARTS_MAX {
            tracing::warn!(parts = parts.len(), "a reply is too long to be sent whole");
            parts.truncate(PARTS_MAX);
        }
        parts
    }

    async fn send(
        &self,
        org: &OrgId,
        account: &CarrierAccount,
        part: Outbound<'_>,
        timeout: Span,
    ) -> Result<String, SendError> {
        let request = self.request(org, account, part)?;
        let exchange = self.egress.send(request, RESPONSE_BYTES_MAX);
        let passing = |detail| SendError { fatal: false, retry_after: None, detail };
        match within(&**self.api.engine().clock(), timeout, exchange).await {
            Some(Ok(answer)) => self.heard(&answer),
            Some(Err(error)) => Err(passing(format!("Twilio was not reached: {error}"))),
            None => {
                let seconds = timeout.as_millis().div_ceil(1000);
                Err(passing(format!("Twilio did not answer within {seconds} s")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use epilogue_core::Timestamp;
    use serde_json::json;

    use super::*;

    fn account(region: &str) -> CarrierAccount {
        CarrierAccount {
            id: "p".into(),
            account: "AC1".into(),
            name: "Main".into(),
            secret: String::new(),
            document: json!({ "region": region }),
            created_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn the_region_chooses_the_host_at_twilio_alone() {
        let at = |base: &str, region| {
            messages_url(&base.parse().expect("a URL"), &account(region)).to_string()
        };
        let path = "/2010-04-01/Accounts/AC1/Messages.json";
        let twilio = "https://api.twilio.com";
        assert_eq!(at(twilio, "us1"), format!("{twilio}{path}"));
        assert_eq!(at(twilio, "ie1"), format!("https://api.dublin.ie1.twilio.com{path}"));
        assert_eq!(at(twilio, "evil.example"), format!("{twilio}{path}"));
        let own = "http://127.0.0.1:9/stand-in/";
        assert_eq!(at(own, "ie1"), format!("http://127.0.0.1:9/stand-in{path}"));
    }

    #[test]
    fn only_passing_faults_are_tried_again() {
        let passing = [408, 429, 500, 502, 503, 599];
        let lasting = [301, 400, 401, 403, 404, 409, 410, 422, 451];
        let judge = |status: u16| passes(StatusCode::from_u16(status).expect("a status"));
        assert!(passing.into_iter().all(judge));
        assert!(!lasting.into_iter().any(judge));
    }
}
