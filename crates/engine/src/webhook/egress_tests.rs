use super::{
    super::fake::{FLOOD_BYTES, FakeReceiver, Script, resetting},
    *,
};

/// Far above what sockets and the server buffer on their own, far below the flood.
const BUFFERED_BYTES_MAX: usize = 64 * 1024 * 1024;

fn get(url: &str) -> Outgoing {
    Outgoing {
        method: Method::GET,
        url: Url::parse(url).expect(url),
        headers: HeaderMap::new(),
        body: String::new(),
    }
}

fn egress(guard: Guard) -> Egress {
    Egress::new(guard == Guard::Open).expect("a client")
}

async fn read(script: Script, body_bytes_max: usize) -> Incoming {
    let fake = FakeReceiver::start(script).await;
    let sent = egress(Guard::Open).send(get(fake.url.as_str()), body_bytes_max).await;
    sent.expect("an answer")
}

#[tokio::test]
async fn a_body_is_read_to_the_limit_and_not_past_it() {
    let at_limit = read(Script::answer(200, "12345678"), 8).await;
    assert_eq!((&at_limit.body[..], at_limit.extent), (&b"12345678"[..], Extent::Whole));
    let past_it = read(Script::answer(200, "123456789"), 8).await;
    assert_eq!((&past_it.body[..], past_it.extent), (&b"12345678"[..], Extent::Cut));
}

#[tokio::test]
async fn of_a_gigabyte_only_the_beginning_is_pulled() {
    let fake = FakeReceiver::start(Script::Flood).await;
    let egress = egress(Guard::Open);
    let answer = egress.send(get(fake.url.as_str()), 4096).await.expect("an answer");
    assert_eq!((answer.body.len(), answer.extent), (4096, Extent::Cut));
    assert!(fake.sent() >= 4096 && fake.sent() < BUFFERED_BYTES_MAX.min(FLOOD_BYTES));
}

#[tokio::test]
async fn nothing_is_decompressed_nor_asked_to_be_compressed() {
    let body = b"\x1f\x8b\x08 not even gzip".to_vec();
    let headers = vec![("content-encoding", "gzip".to_owned())];
    let fake =
        FakeReceiver::start(Script::Answer { status: 200, headers, body: body.clone() }).await;
    let answer = egress(Guard::Open).send(get(fake.url.as_str()), 4096).await;
    assert_eq!(answer.expect("an answer").body, body);
    assert_eq!(fake.heard()[0].header("accept-encoding"), None);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_its_target_sees_nothing() {
    let target = FakeReceiver::start(Script::answer(200, "")).await;
    for status in [301, 302, 303, 307, 308] {
        let answer = read(Script::with_header(status, "location", target.url.as_str()), 4096).await;
        assert_eq!(answer.status.as_u16(), status);
    }
    assert!(target.heard().is_empty());
}

#[tokio::test]
async fn private_addresses_are_refused_before_anything_is_sent() {
    let fake = FakeReceiver::start(Script::answer(200, "")).await;
    let port = fake.url.port().expect("a port");
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "2130706433"] {
        let request = get(&format!("https://{host}:{port}/hook"));
        let refused = egress(Guard::PublicOnly).send(request, 4096).await;
        assert!(matches!(refused, Err(WebhookError::PrivateAddress { .. })), "{refused:?}");
    }
    assert!(fake.heard().is_empty());
}

#[tokio::test]
async fn the_resolver_refuses_what_the_url_does_not_show() {
    // The client below the check of the URL: only the resolver is left to refuse.
    let fake = FakeReceiver::start(Script::answer(200, "")).await;
    let url = format!("http://localhost:{}/hook", fake.url.port().expect("a port"));
    let refused = egress(Guard::PublicOnly).http.get(&url).send().await.expect_err("refused");
    let meaning = failure(refused, "localhost");
    assert!(matches!(&meaning, WebhookError::PrivateAddress { host } if host == "localhost"));
    assert!(fake.heard().is_empty());
    let answer = egress(Guard::Open).send(get(&url), 4096).await;
    assert_eq!(answer.expect("an answer").status, StatusCode::OK);
}

#[tokio::test]
async fn only_https_unless_the_guard_is_open() {
    let refused = egress(Guard::PublicOnly).send(get("http://example.com/"), 4096).await;
    assert!(matches!(refused, Err(WebhookError::Scheme(scheme)) if scheme == "http"));
    for guard in [Guard::PublicOnly, Guard::Open] {
        let refused = egress(guard).send(get("ftp://example.com/"), 4096).await;
        assert!(matches!(refused, Err(WebhookError::Scheme(scheme)) if scheme == "ftp"));
    }
}

#[tokio::test]
async fn a_broken_connection_is_no_answer_and_its_error_hides_the_url() {
    let (reset, _server) = resetting().await;
    let half = FakeReceiver::start(Script::BreakOff).await;
    for url in [reset, half.url.clone()] {
        let broken = egress(Guard::Open).send(get(&format!("{url}?token=secret")), 4096).await;
        let Err(error @ WebhookError::Unreachable(_)) = broken else { panic!("{broken:?}") };
        assert!(!format!("{error:?}").contains("secret"));
    }
}
