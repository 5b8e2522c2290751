use std::{sync::Arc, time::Duration};

use str0m::{Input, RtcConfig};

use super::{
    Gone, Host, HostError, OFFER_BYTES_MAX, OFFER_MEDIA_MAX, OfferError, Patience, Peer, PeerEvent,
    VideoCodec,
    fake_viewer::{FakeViewer, SERVER, World, some_moment},
};

const SECOND: Duration = Duration::from_secs(1);

/// A key frame of H.264 as far as its packets are concerned: parameter sets and an IDR slice.
fn key_picture(body: u8) -> Arc<[u8]> {
    let mut bytes =
        vec![0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 0xda, 0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80];
    bytes.extend([0, 0, 0, 1, 0x65]);
    bytes.extend(std::iter::repeat_n(body, 3000));
    bytes.into()
}

fn answer(sdp: &str, codecs: &[VideoCodec]) -> Result<String, OfferError> {
    let host = Arc::new(Host::new(vec![SERVER.parse().unwrap()]).unwrap());
    Peer::answer(sdp, codecs, &host, Patience::default(), some_moment()).map(|(_, answer)| answer)
}

fn offer() -> String {
    FakeViewer::new(some_moment(), |config| config).1
}

#[test]
fn the_answer_sends_only_is_lite_and_names_every_address() {
    let host = Arc::new(
        Host::new(vec!["10.0.0.1:7401".parse().unwrap(), "[2001:db8::1]:7401".parse().unwrap()])
            .unwrap(),
    );
    let (peer, answer) =
        Peer::answer(&offer(), &[VideoCodec::H264], &host, Patience::default(), some_moment())
            .unwrap();
    let lines: Vec<_> = answer.lines().collect();
    assert_eq!(lines.iter().filter(|line| **line == "a=sendonly").count(), 2, "{answer}");
    assert!(lines.contains(&"a=ice-lite") && lines.contains(&"a=setup:passive"), "{answer}");
    for address in ["10.0.0.1 7401 typ host", "2001:db8::1 7401 typ host"] {
        assert!(
            lines.iter().any(|l| l.starts_with("a=candidate") && l.contains(address)),
            "{answer}"
        );
    }
    assert!(answer.contains(&format!("a=ice-ufrag:{}", peer.ufrag())), "{answer}");
    assert!(answer.contains("H264/90000") && answer.contains("opus/48000/2"), "{answer}");
    assert!(answer.contains("profile-level-id=42e01f"), "{answer}");
    assert!(!answer.contains("VP8") && !answer.contains("profile-level-id=64"), "{answer}");
}

#[test]
fn a_viewer_that_would_send_is_only_sent_to() {
    let offer = offer().replace("a=recvonly", "a=sendrecv");
    let answer = answer(&offer, &[VideoCodec::H264]).unwrap();
    assert_eq!(answer.matches("a=sendonly").count(), 2, "{answer}");
}

#[test]
fn pictures_come_in_the_first_codec_that_the_viewer_takes() {
    let of = |configure: fn(RtcConfig) -> RtcConfig| {
        let world = World::with(configure, &[VideoCodec::H264, VideoCodec::Vp8]);
        world.peer.codec()
    };
    assert_eq!(of(|config| config), Some(VideoCodec::H264));
    assert_eq!(of(|config| config.enable_h264(false)), Some(VideoCodec::Vp8));
    let listener = |c: RtcConfig| c.clear_codecs().enable_opus(true, false).enable_vp9(true);
    assert_eq!(of(listener), None);
}

#[test]
fn offers_that_cannot_be_served_are_refused() {
    let good = offer();
    let all = [VideoCodec::H264, VideoCodec::Vp8];
    assert!(matches!(answer("", &all), Err(OfferError::Unreadable(_))));
    assert!(matches!(answer("v=0\r\nnonsense", &all), Err(OfferError::Unreadable(_))));
    let without = good.replace("a=fingerprint", "a=x-fingerprint");
    assert!(matches!(answer(&without, &all), Err(OfferError::Unreadable(_))));

    let data = format!("{good}m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n");
    assert_eq!(answer(&data, &all), Err(OfferError::UnknownMedia));

    let more = |count: usize| format!("{good}{}", "m=video 9 X 1\r\n".repeat(count));
    assert_eq!(answer(&more(OFFER_MEDIA_MAX - 1), &all), Err(OfferError::TooManyMedia));
    assert_ne!(answer(&more(OFFER_MEDIA_MAX - 2), &all), Err(OfferError::TooManyMedia));

    let padded = |bytes: usize| format!("{good}a={}\r\n", "x".repeat(bytes - good.len() - 4));
    assert_eq!(answer(&padded(OFFER_BYTES_MAX + 1), &all), Err(OfferError::TooLong));
    assert!(answer(&padded(OFFER_BYTES_MAX), &all).is_ok());

    let silent = FakeViewer::new(some_moment(), |c| c.clear_codecs().enable_vp9(true)).1;
    assert_eq!(answer(&silent, &all), Err(OfferError::NoCodec));
}

#[test]
fn a_host_has_addresses_that_can_be_reached() {
    assert_eq!(Host::new(vec![]).err(), Some(HostError::Addresses));
    let many = |count| vec!["10.0.0.1:1".parse().unwrap(); count];
    assert_eq!(Host::new(many(super::ADDRESSES_MAX + 1)).err(), Some(HostError::Addresses));
    assert!(Host::new(many(super::ADDRESSES_MAX)).is_ok());
    let nowhere = "0.0.0.0:7401".parse().unwrap();
    assert_eq!(Host::new(vec![nowhere]).err(), Some(HostError::Unreachable(nowhere)));
}

#[test]
fn a_connected_viewer_receives_pictures_and_sound() {
    let mut world = World::connected();
    assert_eq!(world.events, [PeerEvent::Connected]);
    let sound: Arc<[u8]> = vec![0xf8, 0xff, 0xfe].into();
    for (number, body) in (0..50_u64).zip(5..) {
        let picture = key_picture(body);
        world.act(|peer, now, out| peer.show(now, number * 3600, picture, out));
        for half in 0..2 {
            let sound = Arc::clone(&sound);
            world.act(|peer, now, out| peer.play(now, number * 1920 + half * 960, sound, out));
        }
        world.run(Duration::from_millis(40));
    }
    assert_eq!(world.viewer.seen.video.len(), 50);
    assert_eq!(world.viewer.seen.video[7][..], key_picture(12)[..]);
    assert_eq!(world.viewer.seen.audio.len(), 100);
    assert_eq!(world.viewer.seen.audio[99][..], sound[..]);
}

#[test]
fn frames_before_the_connection_are_dropped() {
    let mut world = World::new();
    world.act(|peer, now, out| peer.show(now, 0, key_picture(7), out));
    world.run_until(5 * SECOND, |w| w.viewer.seen.connected && w.peer.is_connected());
    world.run(SECOND);
    assert!(world.viewer.seen.video.is_empty());
}

#[test]
fn a_viewer_that_asks_for_a_key_frame_is_heard() {
    let mut world = World::connected();
    world.act(|peer, now, out| peer.show(now, 0, key_picture(7), out));
    world.run(SECOND);
    world.events.clear();
    world.viewer.want_key_frame();
    world.run_until(SECOND, |w| w.events.contains(&PeerEvent::KeyFrameWanted));
}

#[test]
fn an_end_is_told_to_the_viewer_at_once() {
    let mut world = World::connected();
    world.act(|peer, now, out| peer.show(now, 0, key_picture(7), out));
    world.run(SECOND);
    world.act(Peer::close);
    let took = world.run_until(SECOND, |w| w.viewer.seen.closed && w.peer.is_gone());
    assert!(took <= Duration::from_millis(600), "{took:?}");
    assert!(world.viewer.seen.goodbyes > 0, "no BYE was seen");
    assert_eq!(world.events.last(), Some(&PeerEvent::Gone(Gone::Released)));
    world.act(|peer, now, out| peer.show(now, 90_000, key_picture(8), out));
    world.run(SECOND);
    assert_eq!(world.viewer.seen.video.len(), 1);
}

#[test]
fn a_close_that_nobody_hears_is_over_all_the_same() {
    let mut world = World::connected();
    world.is_cut = true;
    world.act(Peer::close);
    world.run_until(SECOND, |w| w.peer.is_gone());
    assert_eq!(world.events.last(), Some(&PeerEvent::Gone(Gone::Released)));
}

#[test]
fn a_close_before_the_viewer_came_is_over_at_once() {
    let mut world = World::new();
    world.act(Peer::close);
    assert!(world.peer.is_gone());
    assert_eq!(world.events, [PeerEvent::Gone(Gone::Released)]);
}

#[test]
fn a_viewer_that_leaves_is_missed_at_once() {
    let mut world = World::connected();
    world.viewer.rtc.close().expect("closed");
    world.run_until(SECOND, |w| w.peer.is_gone());
    assert_eq!(world.events.last(), Some(&PeerEvent::Gone(Gone::Closed)));
}

#[test]
fn a_viewer_that_falls_silent_is_given_up_after_the_grace() {
    let mut world = World::connected();
    world.is_cut = true;
    let took = world.run_until(60 * SECOND, |w| w.peer.is_gone());
    assert_eq!(world.events.last(), Some(&PeerEvent::Gone(Gone::Lost)));
    let grace = Patience::default().grace;
    assert!(took > grace && took < grace + 30 * SECOND, "{took:?}");
}

#[test]
fn a_viewer_that_comes_back_within_the_grace_goes_on_with_a_key_frame() {
    let mut world = World::connected();
    world.act(|peer, now, out| peer.show(now, 0, key_picture(7), out));
    world.run(SECOND);
    world.events.clear();
    world.is_cut = true;
    world.run_until(60 * SECOND, |w| !w.peer.is_connected());
    assert!(!world.peer.is_gone());
    world.is_cut = false;
    world.run_until(9 * SECOND, |w| w.peer.is_connected());
    assert_eq!(world.events, [PeerEvent::KeyFrameWanted]);
    world.act(|peer, now, out| peer.show(now, 9_000_000, key_picture(9), out));
    world.run(SECOND);
    assert_eq!(world.viewer.seen.video.last().map(|v| v[30]), Some(9));
}

#[test]
fn a_viewer_that_never_comes_is_given_up() {
    let mut world = World::new();
    world.is_cut = true;
    let took = world.run_until(60 * SECOND, |w| w.peer.is_gone());
    assert_eq!(world.events, [PeerEvent::Gone(Gone::NeverCame)]);
    let connect = Patience::default().connect;
    assert!(took >= connect && took < connect + SECOND, "{took:?}");
}

#[test]
fn datagrams_of_others_are_not_taken_for_ours() {
    let mut world = World::new();
    let (mut other, _) = FakeViewer::new(world.now, |config| config);
    let stranger = "10.0.0.9:1".parse().unwrap();
    for bytes in [&b""[..], b"x", &[0; 20], &[22; 100], &[0x80; 100], &[0xff; 1500]] {
        assert!(!world.peer.accepts(world.now, stranger, bytes));
        world.act(|peer, now, out| peer.receive(now, stranger, bytes, out));
    }
    let _ = other.rtc.handle_input(Input::Timeout(world.now));
    world.run_until(5 * SECOND, |w| w.peer.is_connected());
}

/// A good offer of which some bytes are others.
fn spoilt(text: &str, changes: &[(usize, u8)]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for (place, byte) in changes {
        let place = place % bytes.len();
        bytes[place] = *byte & 0x7f;
    }
    String::from_utf8(bytes).unwrap()
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]

    #[test]
    fn any_offer_is_answered_or_refused(
        changes in proptest::collection::vec(proptest::arbitrary::any::<(usize, u8)>(), 1..20),
    ) {
        let _ = answer(&spoilt(&offer(), &changes), &[VideoCodec::H264, VideoCodec::Vp8]);
    }

    #[test]
    fn any_text_is_no_offer(text in ".{0,400}") {
        proptest::prop_assert!(answer(&text, &[VideoCodec::H264]).is_err());
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(16))]

    /// From the viewer's own address, where nothing else keeps them off.
    #[test]
    fn hostile_datagrams_do_a_connection_no_harm(
        first in proptest::sample::select(vec![0_u8, 1, 20, 22, 23, 63, 128, 129, 144, 191, 255]),
        second in proptest::arbitrary::any::<u8>(),
        bodies in proptest::collection::vec(
            proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..1500), 1..8),
    ) {
        let mut world = World::connected();
        for body in bodies {
            let bytes = [&[first, second][..], &body].concat();
            let from = super::fake_viewer::VIEWER.parse().unwrap();
            world.act(|peer, now, out| peer.receive(now, from, &bytes, out));
        }
        world.act(|peer, now, out| peer.show(now, 0, key_picture(7), out));
        world.run(SECOND);
        proptest::prop_assert!(world.peer.is_connected());
        proptest::prop_assert_eq!(world.viewer.seen.video.len(), 1);
    }
}
