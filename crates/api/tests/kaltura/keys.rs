//! 1: Kaltura Sessions of every right and wrong kind.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use epilogue_core::Span;
use proptest::{
    arbitrary::any,
    collection::vec,
    prop_assert_eq, prop_assume,
    sample::Index,
    test_runner::{Config, TestRunner},
};

use crate::{client::*, support::NOW};

/// An hour from now, as it stands in a KS.
fn expiry() -> i64 {
    in_an_hour().as_secs()
}

fn admin_v2(more: &str) -> String {
    ks_v2(PARTNER, &format!("_e={}&_t=2&_u=operator{more}", expiry()))
}

/// "KS v2 layout"; "v1: base64 of …"; "opaque static-KS mode for tests"
#[tokio::test]
async fn s1_a_ks_of_either_layout_and_a_static_one_create_a_session() {
    let house = House::start().await;
    let v1 = ks(PARTNER, 2, in_an_hour(), "operator");
    let v2 = admin_v2("&disableentitlement=");
    assert!(v2.starts_with("djJ8"), "{v2}");
    for ks in [v1.as_str(), &v2, v2.trim_end_matches('='), STATIC_KS] {
        Client::of(&house.create_by(ks).await);
    }
    assert_eq!(house.stage.count(), 4);
}

/// "`_e` = expiry (Unix s)"; "KS default life 86400 s"
#[tokio::test]
async fn s1_a_ks_works_until_its_second_and_not_in_it() {
    let house = House::start().await;
    let ends_at = NOW + Span::from_secs(86_400);
    let v2 = ks_v2(PARTNER, &format!("_e={}&_t=2", ends_at.as_secs()));
    let v1 = ks(PARTNER, 2, ends_at, "");
    house.clock.advance(Span::from_millis(86_399_999));
    for ks in [&v1, &v2] {
        Client::of(&house.create_by(ks).await);
    }
    house.clock.advance(Span::from_millis(1));
    for ks in [&v1, &v2] {
        refused(&house.create_by(ks).await, 401, "Invalid Kaltura Session");
    }
}

/// "`_t` = type (0 user, 2 admin)": whatever else it is, it is not an admin's.
#[tokio::test]
async fn s1_a_ks_of_every_lesser_type_is_403() {
    let house = House::start().await;
    for kind in ["0", "1", "3", "-2", "22"] {
        let lesser = ks_v2(PARTNER, &format!("_e={}&_t={kind}&_u=x", expiry()));
        refused(&house.create_by(&lesser).await, 403, "Kaltura Session not authorized");
    }
    let lesser = ks(PARTNER, 1, in_an_hour(), "x");
    refused(&house.create_by(&lesser).await, 403, "Kaltura Session not authorized");
    // One that has expired is none, whoever's it was.
    let old = ks_v2(PARTNER, &format!("_e={}&_t=0", NOW.as_secs()));
    refused(&house.create_by(&old).await, 401, "Invalid Kaltura Session");
    assert_eq!(house.stage.count(), 0);
}

/// "KS of every wrong kind (length, padding, partner, type, expiry)": none of them creates anything.
#[tokio::test]
async fn i5_a_ks_of_every_wrong_kind_is_401() {
    let house = House::start().await;
    let good = admin_v2("");
    let of_another = |partner| ks_v2(partner, &format!("_e={}&_t=2", expiry()));
    let fields = |fields: &str| ks_v2(PARTNER, fields);
    let e = expiry();
    let mut wrong = vec![
        // Length.
        "djJ8".to_owned(),
        good[..good.len() - 4].to_owned(),
        good[4..].to_owned(),
        format!("{good}AAAA"),
        good.repeat(2),
        "A".repeat(4 * 1024 + 1),
        "djJ8".repeat(8 * 1024),
        // Padding.
        format!("{good}="),
        format!("{good}===="),
        format!("={good}"),
        good.replace('=', "") + "=A",
        // Partner.
        of_another(999),
        of_another(0),
        ks(999, 2, in_an_hour(), ""),
        BASE64_URL_SAFE_NO_PAD.encode("v2||x"),
        BASE64_URL_SAFE_NO_PAD.encode("v2|99999999999999999999|x"),
        BASE64_URL_SAFE_NO_PAD.encode("v2|-1|x"),
        // Type.
        fields(&format!("_e={e}")),
        fields(&format!("_e={e}&_t=")),
        fields(&format!("_e={e}&_t=admin")),
        // Expiry.
        fields("_t=2"),
        fields("_e=&_t=2"),
        fields("_e=-1&_t=2"),
        fields("_e=0&_t=2"),
        fields("_e=tomorrow&_t=2"),
        fields("_e=18446744073709551615&_t=2"),
        // Of another partner, signed with this one's secret, or the other way round: the text is bound to
        // its number by the secret alone, so that it must be that partner's.
        BASE64_URL_SAFE_NO_PAD.encode(b"v2|12345|"),
    ];
    wrong.push(good.to_ascii_lowercase());
    for ks in wrong {
        let answer = house.create_by(&ks).await;
        refused(&answer, 401, "Invalid Kaltura Session");
    }
    assert_eq!(house.stage.count(), 0);
    Client::of(&house.create_by(&good).await);
}

/// "bit flips": however many bits of a KS are others, and wherever, it creates nothing.
#[test]
fn i5_a_ks_that_was_changed_anywhere_is_401() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let house = runtime.block_on(House::start());
    let good =
        [admin_v2(""), ks(PARTNER, 2, in_an_hour(), "operator"), ks(PARTNER, 0, in_an_hour(), "")];
    let config = Config { cases: 512, failure_persistence: None, ..Config::default() };
    let bends = (any::<Index>(), vec((any::<Index>(), 0..8_u8), 1..24), any::<Option<Index>>());
    let run = TestRunner::new(config).run(&bends, |(which, flips, cut)| {
        let text = which.get(&good);
        let lenient = base64::engine::GeneralPurpose::new(
            &base64::alphabet::URL_SAFE,
            base64::engine::GeneralPurposeConfig::new()
                .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
        );
        let whole = lenient.decode(text.replace('+', "-").replace('/', "_")).expect("base64");
        let mut changed = whole.clone();
        for (place, bit) in flips {
            *place.get_mut(&mut changed) ^= 1 << bit;
        }
        if let Some(cut) = cut {
            changed.truncate(cut.index(whole.len()));
        }
        prop_assume!(changed != whole);
        let answer = runtime.block_on(house.create_by(&BASE64_URL_SAFE_NO_PAD.encode(&changed)));
        prop_assert_eq!(
            answer.told(),
            (401, r#"{"success":false,"error":"Invalid Kaltura Session"}"#)
        );
        Ok(())
    });
    run.expect("none is taken");
    assert_eq!(house.stage.count(), 0);
}

/// Anything at all where a KS should be is 401.
#[test]
fn i5_any_text_for_a_ks_is_401() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let house = runtime.block_on(House::start());
    let config = Config { cases: 256, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&"[ -~]{0,300}", |text| {
        let answer = runtime.block_on(house.create_by(&text));
        prop_assert_eq!(answer.status.as_u16(), 401);
        Ok(())
    });
    run.expect("none is taken");
}
