//! Section 8, 1: nobody but Twilio gets a word in.

use crate::{
    client::{problem, wrong},
    texting::{ANN, Texting},
};

#[tokio::test]
async fn row_1_a_message_that_is_not_signed_by_twilio_is_403_and_leaves_nothing() {
    let texting = Texting::start().await;
    let form = texting.message("SM1", ANN, "Hello");
    let sound = form.signature();
    let changed = form.clone().with("Body", "Other");
    let more = form.clone().with("Extra", "");
    let elsewhere = form.clone();
    let forged = [
        form.signed_as(None),
        form.signed_as(Some("")),
        form.signed_as(Some("not base64")),
        form.signed_as(Some(&sound[..20])),
        changed.signed_as(Some(&sound)),
        more.signed_as(Some(&sound)),
        form.clone().without("NumMedia").signed_as(Some(&sound)),
        crate::texting::Form { token: "another".into(), ..form.clone() }.signed(),
        crate::texting::Form { path: format!("{}?a=1", form.path), ..elsewhere }
            .signed_as(Some(&sound)),
        form.clone().with("AccountSid", "AC00000000000000000000000000000002").signed(),
    ];
    for (number, request) in forged.into_iter().enumerate() {
        let answer = texting.fixture.send(request).await;
        assert_eq!(answer.status, 403, "{number}: {}", answer.body);
        problem(&answer, 403);
    }
    assert_eq!(texting.inbox().await, []);
    assert_eq!(texting.work().await, 0);
    assert!(texting.twilio.sent().is_empty());
}

#[tokio::test]
async fn row_1_the_query_of_the_address_is_signed_too() {
    let texting = Texting::start().await;
    let mut form = texting.message("SM1", ANN, "Hello");
    form.path += "?shard=7&x=%20y";
    assert_eq!(texting.tells(&form).await.told(), (200, "<Response/>"));
    assert_eq!(texting.inbox().await.len(), 1);
}

#[tokio::test]
async fn row_1_the_address_may_be_signed_with_its_port_and_without() {
    let texting = Texting::start().await;
    let form = texting.message("SM1", ANN, "Hello");
    for (base, status) in [
        ("http://127.0.0.1:7400", 200),
        ("http://127.0.0.1", 200),
        ("http://127.0.0.1:80", 403),
        ("https://127.0.0.1:7400", 403),
    ] {
        let request = form.signed_as(Some(&form.signature_at(base)));
        assert_eq!(texting.fixture.send(request).await.status, status, "{base}");
    }
    let usual = Texting::with(|setup| {
        setup.settings.public_url = "https://chat.example.com/base/".parse().expect("a URL");
    })
    .await;
    let form = usual.message("SM1", ANN, "Hello");
    for (base, status) in [
        ("https://chat.example.com/base", 200),
        ("https://chat.example.com:443/base", 200),
        ("https://chat.example.com", 403),
        ("https://chat.example.com:8443/base", 403),
    ] {
        let request = form.signed_as(Some(&form.signature_at(base)));
        assert_eq!(usual.fixture.send(request).await.status, status, "{base}");
    }
}

#[tokio::test]
async fn row_1_an_account_nobody_has_is_404() {
    let texting = Texting::start().await;
    let mut form = texting.message("SM1", ANN, "Hello");
    form.path = "/api/v1/providers/twilio/nobody/sms".into();
    problem(&texting.tells(&form).await, 404);
}

#[tokio::test]
async fn row_1_a_message_that_is_replayed_is_answered_and_changes_nothing() {
    let texting = Texting::start().await;
    let form = texting.message("SM1", ANN, "Hello");
    for _ in 0..3 {
        assert_eq!(texting.tells(&form).await.told(), (200, "<Response/>"));
        texting.work().await;
        texting.fixture.clock.advance(epilogue_core::Span::from_secs(7_200));
        texting.fixture.run_until_idle().await;
    }
    assert_eq!(texting.twilio.bodies(), ["You said: Hello"]);
    assert_eq!(texting.chats().await.len(), 1);
}

#[tokio::test]
async fn row_1_a_body_at_the_limit_is_read_and_one_past_it_is_413() {
    let texting = Texting::start().await;
    let max = epilogue_api::dialect::dasha::sms::INBOUND_BYTES_MAX;
    let form = texting.message("SM1", ANN, "Hello").with("Padding", "");
    let padding = "p".repeat(max - form.body().len());
    let at_limit = form.clone().with("Padding", &padding);
    assert_eq!(at_limit.body().len(), max);
    assert_eq!(texting.tells(&at_limit).await.told(), (200, "<Response/>"));
    let past = form.with("Padding", &(padding + "p"));
    wrong(&texting.tells(&past).await, 413, "$");
}

#[tokio::test]
async fn row_1_parts_that_are_missing_or_too_long_are_400_and_413() {
    let texting = Texting::start().await;
    let form = texting.message("SM1", ANN, "Hello");
    for name in ["MessageSid", "From", "To"] {
        wrong(&texting.tells(&form.clone().without(name)).await, 400, name);
        wrong(&texting.tells(&form.clone().with(name, " ")).await, 400, name);
        wrong(&texting.tells(&form.clone().with(name, &"1".repeat(65))).await, 400, name);
        let longest = form.clone().with(name, &"1".repeat(64));
        assert_eq!(texting.tells(&longest).await.status, 200, "{name}");
    }
    let content = |bytes| texting.message("SM2", ANN, &"x".repeat(bytes));
    assert_eq!(texting.tells(&content(32 * 1024)).await.status, 200);
    wrong(&texting.tells(&content(32 * 1024 + 1)).await, 413, "Body");
}

#[tokio::test]
async fn row_1_a_key_of_the_organization_opens_nothing_here() {
    let texting = Texting::start().await;
    let form = texting.message("SM1", ANN, "Hello");
    let mut request = form.signed_as(None);
    let key = format!("Bearer {}", crate::support::KEY).parse().expect("a header");
    request.headers_mut().insert(http::header::AUTHORIZATION, key);
    problem(&texting.fixture.send(request).await, 403);
}
