//! Text messages that people send while the server is killed around them.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use http::Request;
use reqwest::Method;
use serde_json::{Value, json};
use sha1::Sha1;
use url::form_urlencoded;

use super::{KEY, config};
use crate::support::{
    binary::{Binary, Home},
    client::{Answer, Http, Lost, ask},
    eventually,
    native::Native,
    pause,
    peer::{Peer, answer},
};

/// How long after the message the server is killed, in milliseconds: before it is taken in, about
/// then, in the middle of the turn, while Twilio has the reply, and when all is done.
const KILLED_AFTER_MS: [u64; 10] = [0, 1, 3, 8, 20, 45, 70, 100, 130, 400];

/// How long the stand-in takes to accept a reply, in milliseconds.
const TWILIO_MS: u64 = 40;

const SID: &str = "AC00000000000000000000000000000001";
const TOKEN: &str = "auth-token";
const OURS: &str = "+18005551212";

/// What a message costs, in millionths of a credit.
const MESSAGE_MICRO: i64 = 1_000;

/// A stand-in for Twilio's API: a fake, which accepts everything, slowly.
struct FakeTwilio {
    peer: Peer,
    /// To whom it was asked to send something.
    heard: Arc<Mutex<Vec<String>>>,
}

impl FakeTwilio {
    async fn start() -> Self {
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let kept = heard.clone();
        let peer = Peer::start(move |request: Request<Bytes>| {
            let to = form_urlencoded::parse(request.body()).find(|(name, _)| name == "To");
            let to = to.map(|(_, to)| to.into_owned()).unwrap_or_default();
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(to);
            async move {
                pause(Duration::from_millis(TWILIO_MS)).await;
                Ok(answer(201, json!({ "sid": "SMout" }).to_string()))
            }
        });
        Self { peer: peer.await, heard }
    }

    /// How often it was asked to send this person something.
    fn sent_to(&self, person: &str) -> usize {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.iter().filter(|to| *to == person).count()
    }
}

fn patient(twilio: &str) -> Value {
    let rule =
        json!({ "when": "", "reply": "One two three four. {{message}}", "word_delay_ms": 10 });
    let agent = json!({
        "id": "agent", "name": "Agent", "price": { "per_message": "0.001" },
        "model": { "provider": "scripted", "script": [rule] },
    });
    let organization = json!({
        "id": "org_faults", "name": "Faults", "credits": "100", "api_keys": [KEY], "agents": [agent],
    });
    let twilio = json!({ "api_url": twilio, "answer": { "retry_s": [0, 1, 1, 1, 1] } });
    config(&json!({ "organizations": [organization], "twilio": twilio }))
}

/// Asks the chats API something.
async fn call(http: &Http, method: Method, url: &str, path: &str, body: &Value) -> Answer {
    let request = http.request(method, format!("{url}/api/v1{path}"));
    ask(request.bearer_auth(KEY).json(body)).await.expect("an answer")
}

/// Makes an account and a number that the agent answers. Returns the path at which messages arrive.
async fn linked(http: &Http, server: &Binary) -> String {
    let url = server.url();
    let account = json!({ "accountSid": SID, "authToken": TOKEN, "name": "Main" });
    let account = call(http, Method::POST, &url, "/providers/twilio", &account).await;
    let provider = account.body["id"].as_str().expect("an id").to_owned();
    let number = json!({ "phoneNumber": OURS, "providerId": provider });
    let number = call(http, Method::POST, &url, "/sip-phone-numbers", &number).await;
    let path =
        format!("/sip-phone-numbers/{}/agent-link", number.body["id"].as_str().expect("an id"));
    let link = call(http, Method::PUT, &url, &path, &json!({ "agentId": "agent" })).await;
    assert_eq!(link.status, 200, "{link:?}");
    format!("/api/v1/providers/twilio/{provider}/sms")
}

/// Twilio tells of a message, signed for the server's public address.
async fn tell(http: &Http, url: &str, path: &str, person: &str) -> Result<u16, Lost> {
    let text = format!("I am {person}");
    let sid = format!("SM{}", person.trim_start_matches('+'));
    // In the order of their names, in which they are signed.
    let form =
        [("Body", &*text), ("From", person), ("MessageSid", &sid), ("NumMedia", "0"), ("To", OURS)];
    let mut mac = Hmac::<Sha1>::new_from_slice(TOKEN.as_bytes()).expect("a key of any length");
    mac.update(format!("http://127.0.0.1:7400{path}").as_bytes());
    for (name, value) in form {
        mac.update(format!("{name}{value}").as_bytes());
    }
    let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = http
        .post(format!("{url}{path}"))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("X-Twilio-Signature", signature)
        .body(body);
    Ok(ask(request).await?.status)
}

/// The chats in which this person said something.
async fn chats_of(http: &Http, url: &str, person: &str) -> Vec<Value> {
    let path = "/chats?channel=twilio_sms&state=all&take=200";
    let list = call(http, Method::GET, url, path, &json!({})).await;
    let items = list.body["items"].as_array().expect("a list").clone();
    let said = format!("I am {person}");
    items.into_iter().filter(|chat| chat["messages"][0]["content"] == *said).collect()
}

#[tokio::test]
async fn a_message_is_neither_lost_nor_answered_by_two_turns_wherever_the_server_is_killed() {
    let twilio = FakeTwilio::start().await;
    let home = Home::new(&patient(&twilio.peer.url("")));
    let http = Http::new();
    let server = home.start().await;
    let path = linked(&http, &server).await;
    server.stop().await;
    let (mut answered, mut cut) = (0, 0);
    for (round, wait) in KILLED_AFTER_MS.into_iter().enumerate() {
        let person = format!("+1415555{round:04}");
        let server = home.start().await;
        let telling = {
            let (http, url) = (http.clone(), server.url());
            let (path, person) = (path.clone(), person.clone());
            tokio::spawn(async move { tell(&http, &url, &path, &person).await })
        };
        pause(Duration::from_millis(wait)).await;
        server.kill().await;
        let first = telling.await.expect("no panic");
        let server = home.start().await;
        let url = server.url();
        if let Ok(status) = first {
            assert_eq!(status, 200, "killed after {wait} ms");
            answered += 1;
        } else {
            // Twilio has no answer, and tells of it again at the fallback address.
            cut += 1;
            assert_eq!(tell(&http, &url, &path, &person).await.expect("an answer"), 200);
        }
        eventually("a reply", async || (twilio.sent_to(&person) > 0).then_some(())).await;
        let chats = chats_of(&http, &url, &person).await;
        let [chat] = chats.as_slice() else { panic!("killed after {wait} ms: {chats:?}") };
        assert_eq!(chat["messages"].as_array().map(Vec::len), Some(2), "{chat}");
        let id = chat["id"].as_str().expect("an id");
        let end = call(&http, Method::POST, &url, &format!("/chats/{id}/end"), &json!({})).await;
        assert_eq!(end.status, 200, "{end:?}");
        let session = Native::new(&http, KEY).session(&url, id).await;
        let cost = session["cost_micro_credits"].as_i64();
        assert_eq!(cost, Some(2 * MESSAGE_MICRO), "killed after {wait} ms: {session}");
        server.stop().await;
        let sent = twilio.sent_to(&person);
        assert!((1..=2).contains(&sent), "killed after {wait} ms: sent {sent} times");
    }
    assert!(answered > 0 && cut > 0, "{answered} answered before the kill, {cut} cut by it");
    let logs = home.start().await.stop().await;
    assert!(!logs.contains(TOKEN) && !logs.contains("I am "), "{logs}");
}
