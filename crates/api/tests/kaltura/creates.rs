//! 2.1: creating sessions, and who may.

use epilogue_core::{Span, session::Context};
use http::Method;
use serde_json::{Value, json};

use crate::{
    client::*,
    support::{NOW, Setup},
};

fn wanting(avatar: &str) -> Value {
    json!({ "visualConfig": { "avatarId": avatar } })
}

/// "`POST` the base itself and `/create`": "Both create forms are live".
#[tokio::test]
async fn s2_both_create_forms_open_a_session() {
    let house = House::start().await;
    for (number, path) in [BASE.to_owned(), format!("{BASE}/create")].into_iter().enumerate() {
        let key = format!("KS {STATIC_KS}");
        let answer =
            house.send(post(&path).header("authorization", key).with(&wanting("ann"))).await;
        let client = Client::of(&answer);
        assert_eq!(answer.json().as_object().map(serde_json::Map::len), Some(3));
        uuid::Uuid::parse_str(&client.id).expect("a UUID");
        assert_eq!(house.stage.count(), number + 1, "its place is kept");
        succeeded(&house.ask(&client, "keep-alive").await);
    }
}

/// "Scheme word: docs and seed write `KS`, live clients send `ks`. Compare schemes case-insensitively."
#[tokio::test]
async fn s1_the_scheme_is_read_in_any_case() {
    let house = House::start().await;
    for scheme in ["KS", "ks", "Ks"] {
        let key = format!("{scheme} {}", ks(PARTNER, 2, in_an_hour(), "operator"));
        let answer =
            house.send(post(BASE).header("authorization", key).with(&wanting("ann"))).await;
        Client::of(&answer);
    }
}

/// "bad/expired/missing KS 401 `Invalid Kaltura Session`"
#[tokio::test]
async fn s1_a_ks_that_is_none_is_401() {
    let house = House::start().await;
    let mut bent = ks(PARTNER, 2, in_an_hour(), "");
    bent.replace_range(10..11, if &bent[10..11] == "A" { "B" } else { "A" });
    for credential in [
        None,
        Some(String::new()),
        Some("KS".to_owned()),
        Some(STATIC_KS.to_owned()),
        Some(format!("Bearer {STATIC_KS}")),
        Some("KS another string".to_owned()),
        Some(format!("KS {}", ks(PARTNER, 2, NOW, ""))),
        Some(format!("KS {}", ks(999, 2, in_an_hour(), ""))),
        Some(format!("KS {bent}")),
    ] {
        let request = post(BASE);
        let request = match &credential {
            Some(credential) => request.header("authorization", credential),
            None => request,
        };
        // Whatever is wrong with the body is nobody's business.
        refused(&house.send(request.text("text/plain", "{")).await, 401, "Invalid Kaltura Session");
    }
    assert_eq!(house.stage.count(), 0);
}

/// "KS must be an admin session; a lesser one gives 403."
#[tokio::test]
async fn s1_a_ks_of_a_user_is_403() {
    let house = House::start().await;
    let key = format!("KS {}", ks(PARTNER, 0, in_an_hour(), "visitor"));
    let answer = house.send(post(BASE).header("authorization", key).with(&wanting("ann"))).await;
    refused(&answer, 403, "Kaltura Session not authorized");
}

/// "a Bearer on create → 401"
#[tokio::test]
async fn s1_a_session_token_creates_nothing() {
    let house = House::start().await;
    let client = house.created().await;
    let key = format!("Bearer {}", client.token);
    let answer = house.send(post(BASE).header("authorization", key).with(&wanting("ann"))).await;
    refused(&answer, 401, "Invalid Kaltura Session");
}

/// "400 when neither id is a non-empty string: `visualConfig.avatarId is required`"
#[tokio::test]
async fn s2_1_without_an_avatar_it_is_400() {
    let house = House::start().await;
    for body in [
        json!({}),
        json!({ "visualConfig": {} }),
        json!({ "visualConfig": null }),
        json!({ "visualConfig": { "avatarId": "" } }),
        json!({ "visualConfig": { "avatarId": 7, "id": null } }),
    ] {
        refused(&house.create(body).await, 400, "visualConfig.avatarId is required");
    }
    for body in ["", "{", "[]", "null", "7"] {
        let key = format!("KS {STATIC_KS}");
        let answer =
            house.send(post(BASE).header("authorization", key).text("application/json", body));
        refused(&answer.await, 400, "Request body must be a JSON object");
    }
}

/// "`avatarId` and `id` both present and different: `avatarId` wins"; an id alone will do.
#[tokio::test]
async fn s2_1_either_id_names_the_avatar_and_avatar_id_wins() {
    for visual in [
        json!({ "avatarId": "ann" }),
        json!({ "id": "ann" }),
        json!({ "avatarId": "ann", "id": "default" }),
        json!({ "avatarId": "", "id": "ann" }),
    ] {
        let house = House::start().await;
        Client::of(&house.create(json!({ "visualConfig": visual, "unknown": 1 })).await);
        assert_eq!(house.stage.show().avatar, "ann");
    }
}

/// Ids of elsewhere are the default here; "Unknown avatar: 400 `Avatar not found`" where that is strict.
#[tokio::test]
async fn s2_1_an_avatar_of_elsewhere_is_the_default_unless_that_is_strict() {
    let house = House::start().await;
    Client::of(&house.create(wanting("65d3f1a2b4c5d6e7f8091a2b")).await);
    assert_eq!(house.stage.show().avatar, "default");
    let strict = |setup: &mut Setup| setup.settings.kaltura.strict_avatars = true;
    let house = House::with(strict).await;
    refused(&house.create(wanting("65d3f1a2b4c5d6e7f8091a2b")).await, 400, "Avatar not found");
    Client::of(&house.create(wanting("ann")).await);
}

/// "`speed` non-number or ≤ 0 → 400; clamp to 0.5–2.0."
#[tokio::test]
async fn s2_1_a_pace_is_a_number_and_kept_within_bounds() {
    let house = House::start().await;
    let pace = |speed: Value| json!({ "visualConfig": { "id": "ann" }, "voiceConfig": { "speed": speed } });
    for wrong in [json!(0), json!(-1), json!("1.5"), json!([])] {
        let answer = house.create(pace(wrong)).await;
        refused(&answer, 400, "voiceConfig.speed must be a number above 0");
    }
    for (given, kept) in [(1.5, 150), (0.1, 50), (0.5, 50), (2.0, 200), (99.0, 200)] {
        let client = Client::of(&house.create(pace(json!(given))).await);
        let Context { staging, .. } = house.session(&client).await.context;
        assert_eq!(staging.and_then(|staging| staging.pace_percent), Some(kept), "{given}");
    }
    let client = Client::of(&house.create(pace(Value::Null)).await);
    let staging = house.session(&client).await.context.staging.expect("an avatar's");
    assert_eq!((staging.pace_percent, staging.voice), (None, None));
}

/// `voiceConfig.id`: a voice that is known here is taken, one of elsewhere is the configured one.
#[tokio::test]
async fn s2_1_a_known_voice_speaks_and_an_unknown_one_is_as_configured() {
    let house = House::start().await;
    for (given, voice) in [(VOICE, Some("nova")), ("eself-123", None)] {
        let body = json!({
            "visualConfig": { "id": "ann" },
            "voiceConfig": { "id": given, "modelId": "eleven_flash_v2_5", "language": "en" },
            "clientId": "kaltura-avatar-sdk",
        });
        let client = Client::of(&house.create(body).await);
        let context = house.session(&client).await.context;
        assert_eq!(context.staging.and_then(|staging| staging.voice).as_deref(), voice);
        assert_eq!(context.metadata["voice"], given, "what was asked for is kept");
        assert_eq!(context.metadata["client"], "kaltura-avatar-sdk");
    }
    let wrong = json!({ "visualConfig": { "id": "ann" }, "voiceConfig": { "id": 7 } });
    refused(&house.create(wrong).await, 400, "voiceConfig.id must be a string");
}

/// "Capacity exhausted on create: 503 `Service temporarily unavailable` with `Retry-After`"
#[tokio::test]
async fn s8_without_a_place_it_is_503_and_an_end_frees_one() {
    let house = House::start().await;
    house.stage.room_for(1);
    let client = house.created().await;
    let answer = house.create(wanting("ann")).await;
    refused(&answer, 503, "Service temporarily unavailable");
    assert_eq!(answer.header("retry-after"), Some("2"));
    succeeded(&house.ask(&client, "end").await);
    until(|| house.stage.count() == 0).await;
    house.created().await;
}

/// An organization that cannot pay is told so, and its place is given back.
#[tokio::test]
async fn s2_1_without_credits_nothing_is_opened() {
    let house = House::with(|setup| {
        setup.organizations[0].opening_credits = Some(epilogue_core::MicroCredits::ZERO);
    })
    .await;
    refused(&house.create(wanting("ann")).await, 402, "Insufficient credits");
    assert_eq!(house.stage.count(), 0);
}

/// "GET etc. on these paths: 405"; "HEAD/GET on `/{S}`: 404"; "Routes that do not exist (404): `say`,
/// `set-emotion`, `queue-status`, `status`, `session-status`."
#[tokio::test]
async fn s2_other_methods_are_405_and_other_paths_404() {
    let house = House::start().await;
    let client = house.created().await;
    let mut paths = vec![BASE.to_owned(), format!("{BASE}/create")];
    let names = ["init-client", "say-text", "say-audio", "interrupt", "keep-alive", "end"];
    paths.extend(names.map(|name| client.path(name)));
    for path in paths {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH] {
            refused(
                &house.send(post(&path).method(method).empty()).await,
                405,
                "Method not allowed",
            );
        }
    }
    for name in ["say", "set-emotion", "queue-status", "status", "session-status", "end/now"] {
        refused(&house.ask(&client, name).await, 404, "Not found");
    }
    for path in [format!("{BASE}/{}", client.id), format!("{BASE}/")] {
        refused(&house.send(post(&path).method(Method::GET).empty()).await, 404, "Not found");
    }
}

/// "lifetime about 24 h, read from its `exp`"; "use `sub`/`sid` = sessionId, `iat`, `exp`, `jti`".
#[tokio::test]
async fn s1_a_token_says_whose_it_is_and_until_when() {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    let house = House::start().await;
    let client = house.created().await;
    let parts: Vec<Value> = client
        .token
        .split('.')
        .take(2)
        .map(|part| {
            let part = BASE64_URL_SAFE_NO_PAD.decode(part).expect("base64");
            serde_json::from_slice(&part).expect("JSON")
        })
        .collect();
    assert_eq!(parts[0], json!({ "alg": "HS256", "typ": "JWT" }));
    let claims = &parts[1];
    assert_eq!((&claims["sub"], &claims["sid"]), (&json!(client.id), &json!(client.id)));
    assert_eq!(claims["iat"], NOW.as_secs());
    assert_eq!(claims["exp"], (NOW + Span::from_secs(86_400)).as_secs());
    assert!(claims["jti"].as_str().is_some_and(|jti| !jti.is_empty()));
}
