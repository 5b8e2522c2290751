//! Offers of every kind against what answers them.

use std::sync::{Arc, LazyLock};

use proptest::{prop_assert, proptest};

use super::{
    Host, OfferError, Patience, Peer, VideoCodec, fake_viewer::SERVER, fake_viewer::some_moment,
};
use crate::hostile::{
    cases,
    offers::{BROWSERS, spoilt},
};

static HOST: LazyLock<Arc<Host>> = LazyLock::new(|| {
    Arc::new(Host::new(vec![SERVER.parse().expect("an address")]).expect("a host"))
});

/// The longest answer: what is taken of the longest offer, and our own addresses.
const ANSWER_BYTES_MAX: usize = 2 * super::OFFER_BYTES_MAX;

fn answer(offer: &str, codecs: &[VideoCodec]) -> Result<(Peer, String), OfferError> {
    Peer::answer(offer, codecs, &HOST, Patience::default(), some_moment())
}

/// What an answer says of the directions of its media.
fn directions(answer: &str) -> Vec<&str> {
    let all = ["a=sendonly", "a=recvonly", "a=sendrecv", "a=inactive"];
    answer.lines().filter(|line| all.contains(line)).collect()
}

#[test]
fn every_browser_is_sent_pictures_and_sound_in_a_codec_of_its_own() {
    for (name, offer) in BROWSERS {
        for codec in [VideoCodec::H264, VideoCodec::Vp8] {
            let (peer, answer) = answer(offer, &[codec]).expect(name);
            assert_eq!(peer.codec(), Some(codec), "{name}");
            assert_eq!(directions(&answer), ["a=sendonly"; 2], "{name}: {answer}");
            assert!(answer.contains("opus/48000/2"), "{name}: {answer}");
        }
    }
}

#[test]
fn whoever_only_sends_is_taken_nothing_from() {
    for (name, offer) in BROWSERS {
        let (head, tail) = offer.rsplit_once("a=recvonly").expect("sound is wanted");
        let half = format!("{head}a=sendonly{tail}");
        let (peer, answer) = answer(&half, &[VideoCodec::Vp8]).expect(name);
        assert_eq!(directions(&answer), ["a=sendonly", "a=inactive"], "{name}: {answer}");
        assert_eq!(peer.codec(), Some(VideoCodec::Vp8));
        let none = offer.replace("a=recvonly", "a=sendonly");
        let refused = self::answer(&none, &[VideoCodec::Vp8]).err();
        assert_eq!(refused, Some(OfferError::NoCodec), "{name}");
    }
}

proptest! {
    #![proptest_config(cases(256))]

    /// Answered or refused, and never by failing: what is answered only sends.
    #[test]
    fn a_spoilt_offer_is_answered_or_refused(offer in spoilt()) {
        match answer(&offer, &[VideoCodec::H264, VideoCodec::Vp8]) {
            Ok((peer, answer)) => {
                let directions = directions(&answer);
                prop_assert!(directions.contains(&"a=sendonly"), "{}", answer);
                for direction in directions {
                    prop_assert!(["a=sendonly", "a=inactive"].contains(&direction), "{}", answer);
                }
                prop_assert!(answer.len() <= ANSWER_BYTES_MAX, "{} bytes", answer.len());
                prop_assert!(peer.codec().is_some() || peer.audio.is_some());
            }
            Err(error) => prop_assert!(error != OfferError::Harmful, "{}", offer),
        }
    }

    #[test]
    fn a_text_that_begins_like_an_offer_is_refused(text in "v=0\r\n.{0,400}") {
        let refused = answer(&text, &[VideoCodec::H264]).err();
        prop_assert!(refused.is_some_and(|error| error != OfferError::Harmful));
    }
}
