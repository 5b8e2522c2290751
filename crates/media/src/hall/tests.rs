use std::time::Duration;

use proptest::{arbitrary::any, collection::vec, proptest};

use super::{
    fake_house::{HOST, House, SECOND, address, session, voice},
    farewells::{AGAIN_AFTER, WAITING_MAX},
    *,
};
use crate::{
    avatar::Mouth,
    figures::worked,
    peer::fake_viewer::{FakeViewer, SERVER, some_moment},
    sound::silence,
};

#[test]
fn each_viewer_sees_and_hears_its_own_session() {
    let mut house = House::with_viewers(2);
    let clip = voice(100);
    let now = house.now;
    house.hall.say(session(2), clip, now).expect("said");
    house.run(2 * SECOND + Duration::from_millis(80));
    let [idle, speaking] = &house.viewers[..] else { panic!("there are two") };
    let voiced = |viewer: &FakeViewer| {
        viewer.seen.audio.iter().filter(|frame| frame[..] != silence()[..]).count()
    };
    assert!((95..=115).contains(&idle.seen.audio.len()), "{}", idle.seen.audio.len());
    assert_eq!((voiced(idle), voiced(speaking)), (0, 100));
    assert!((8..=20).contains(&idle.seen.video.len()), "{}", idle.seen.video.len());
    assert_eq!(idle.seen.video[0][4] & 0x1f, 7, "the first picture stands alone");
    assert!(idle.seen.video[1..].iter().all(|picture| picture[4] == 1));
    assert!(speaking.seen.video.iter().any(|picture| picture.len() > 500), "the mouth opens");
    let counts = house.hall.counts();
    assert_eq!((counts.sessions, counts.watched, counts.received_for_nobody), (2, 2, 0));
}

#[test]
fn an_interruption_is_heard_at_once() {
    let mut house = House::with_viewers(1);
    let clip = voice(500);
    let now = house.now;
    house.hall.say(session(1), clip, now).expect("said");
    house.run(SECOND);
    assert!(house.hall.interrupt(session(1)));
    house.run(Duration::from_millis(30));
    let before = house.viewers[0].seen.audio.len();
    house.run(SECOND);
    let after = &house.viewers[0].seen.audio[before..];
    assert!(after.len() > 40 && after.iter().all(|frame| frame[..] == silence()[..]));
    assert!(!house.hall.interrupt(session(9)));
}

#[test]
fn a_viewer_that_is_sent_away_before_it_came_leaves_its_place_at_once() {
    let mut house = House::new(Limits::default());
    house.begin(1).expect("begun");
    house.open(1).expect("let in");
    assert!(house.act(|hall, now, out| hall.dismiss(session(1), now, out)));
    house.open(1).expect("the next may come");
    house.run_until(|house| house.hall.is_watched(session(1)));
    assert_eq!(house.hall.counts().viewers, 1);
}

#[test]
fn a_session_has_one_viewer_at_a_time() {
    let mut house = House::with_viewers(1);
    assert_eq!(house.open(1), Err(OpenError::Watched));
    assert_eq!(house.open(2), Err(OpenError::NoSession));
    house.viewers[0].rtc.close().expect("closed");
    house.run_until(|house| house.hall.counts().viewers_closed == 1);
    assert_eq!(house.events.last(), Some(&(session(1), ViewerEvent::Gone(Gone::Closed))));
    house.open(1).expect("another may come");
    house.run_until(|house| house.hall.is_watched(session(1)));
    assert_eq!(house.hall.entries(), [1, 1, 1, 1]);
}

#[test]
fn a_viewer_that_is_sent_away_may_come_back() {
    let mut house = House::with_viewers(1);
    assert!(house.act(|hall, now, out| hall.dismiss(session(1), now, out)));
    assert!(!house.act(|hall, now, out| hall.dismiss(session(1), now, out)));
    house.open(1).expect("another may come");
    house.run_until(|house| house.viewers[0].seen.closed && house.hall.is_watched(session(1)));
}

#[test]
fn a_release_tells_the_viewer_and_frees_everything() {
    let mut house = House::with_viewers(2);
    assert!(house.act(|hall, now, out| hall.release(session(1), now, out)));
    assert!(!house.act(|hall, now, out| hall.release(session(1), now, out)));
    assert_eq!(house.hall.entries(), [1, 1, 1, 1]);
    house.run_until(|house| house.viewers[0].seen.closed);
    let seen = house.viewers[0].seen.video.len();
    house.run(SECOND);
    assert_eq!(house.viewers[0].seen.video.len(), seen);
    assert!(house.hall.is_watched(session(2)));
    assert_eq!(house.open(1), Err(OpenError::NoSession));
    house.act(Hall::release_all);
    assert_eq!(house.hall.entries(), [0; 4]);
    assert_eq!(house.hall.counts().viewers_released, 2);
}

/// The datagram that says it has no answer, so that nobody would notice its loss.
#[test]
fn a_goodbye_that_is_lost_is_said_again_and_not_for_ever() {
    for lost in 0..=AGAIN_AFTER.len() {
        let mut house = House::with_viewers(1);
        let mut outs = vec![HallOutputs::default()];
        house.hall.release(session(1), house.now, &mut outs[0]);
        for after in AGAIN_AFTER {
            let wake = house.hall.wake();
            assert_eq!(wake, Some(house.now + after), "nothing else is due");
            outs.push(HallOutputs::default());
            house.hall.tick(house.now + after, outs.last_mut().expect("one"));
        }
        assert_eq!(house.hall.wake(), None);
        house.now += AGAIN_AFTER[1];
        for datagram in outs.iter().skip(lost).flat_map(HallOutputs::datagrams) {
            house.viewers[0].take(house.now, address(SERVER), &datagram.bytes);
        }
        house.run(SECOND);
        assert!(house.viewers[0].seen.closed, "when {lost} were lost");
    }
}

#[test]
fn so_many_goodbyes_wait_to_be_said_again_and_no_more() {
    let mut house = House::with_viewers(1);
    let mut out = HallOutputs::default();
    house.hall.release(session(1), house.now, &mut out);
    let goodbye = out.datagrams()[..1].to_vec();
    let mut farewells = Farewells::default();
    for _ in 0..=WAITING_MAX {
        farewells.repeat(&goodbye, house.now);
    }
    let mut said = Vec::new();
    farewells.tick(house.now + AGAIN_AFTER[0], &mut said);
    assert_eq!(said.len(), WAITING_MAX);
    farewells.tick(house.now + AGAIN_AFTER[1], &mut said);
    assert_eq!(said.len(), 2 * WAITING_MAX);
    assert_eq!(farewells.wake(), None);
}

#[test]
fn so_many_sessions_are_shown_and_no_more() {
    let mut house = House::new(Limits { sessions_max: 2, ..Limits::default() });
    assert_eq!(house.begin(1), Ok(()));
    assert_eq!(house.begin(1), Err(BeginError::Begun));
    assert_eq!(house.begin(2), Ok(()));
    assert_eq!(house.begin(3), Err(BeginError::Full));
    house.act(|hall, now, out| hall.release(session(1), now, out));
    assert_eq!(house.begin(3), Ok(()));
}

#[test]
fn viewers_that_never_come_leave_nothing_behind() {
    let mut house = House::new(Limits::default());
    house.begin(1).expect("begun");
    house.open(1).expect("opened");
    house.viewers.clear();
    house.run(Patience::default().connect + SECOND);
    assert_eq!(house.events, [(session(1), ViewerEvent::Gone(Gone::NeverCame))]);
    assert_eq!(house.hall.entries(), [1, 0, 0, 0]);
    house.open(1).expect("another may come");
}

#[test]
fn a_flood_for_nobody_is_dropped_and_counted() {
    let mut house = House::with_viewers(1);
    let entries = house.hall.entries();
    let mut sought = vec![0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42];
    sought.resize(28, 7);
    let mut out = HallOutputs::default();
    for number in 0..20_000_u32 {
        let [_, a, b, c] = number.to_be_bytes();
        let from = SocketAddr::from(([172, a, b, c], 1000));
        let bytes: &[u8] = if number % 2 == 0 { &sought } else { &[0x80; 200] };
        house.hall.receive(house.now, from, bytes, &mut out);
    }
    assert!(out.datagrams().is_empty());
    assert_eq!(house.hall.entries(), entries);
    assert_eq!(house.hall.counts().received_for_nobody, 20_000);
    let before = house.viewers[0].seen.audio.len();
    house.run(SECOND);
    assert!(house.viewers[0].seen.audio.len() > before + 40);
}

#[test]
fn who_does_not_know_the_password_gets_no_place() {
    let mut house = House::new(Limits::default());
    house.begin(1).expect("begun");
    house.open(1).expect("opened");
    let mut sent = Vec::new();
    while !sent.iter().any(|(_, bytes): &(_, Vec<u8>)| bytes.first() == Some(&0)) {
        house.now += Duration::from_millis(10);
        house.viewers[0].drain(house.now, &mut sent);
    }
    let (_, request) = sent.iter().find(|(_, bytes)| bytes[0] == 0).expect("a request");
    assert!(name_in(request).is_some());
    let place = request.windows(4).position(|w| w == [0, 8, 0, 20]).expect("its proof") + 4;
    let mut forged = request.clone();
    forged[place] ^= 1;
    let stranger = address("10.0.0.9:1");
    house.act(|hall, now, out| hall.receive(now, stranger, &forged, out));
    assert_eq!(house.hall.entries(), [1, 0, 1, 1]);
    house.act(|hall, now, out| hall.receive(now, stranger, request, out));
    assert_eq!(house.hall.entries(), [1, 1, 1, 1]);
}

#[test]
fn a_viewer_has_so_many_addresses_and_no_more() {
    let mut house = House::with_viewers(1);
    let mut sent: Vec<(SocketAddr, Vec<u8>)> = Vec::new();
    while !sent.iter().any(|(_, bytes)| bytes[0] == 0 && bytes[1] == 1) {
        house.now += Duration::from_millis(50);
        house.viewers[0].drain(house.now, &mut sent);
    }
    let (_, request) = sent.iter().find(|(_, bytes)| bytes[0] == 0).expect("a request");
    for port in 1..=20 {
        let from = SocketAddr::from(([10, 0, 0, 3], port));
        house.act(|hall, now, out| hall.receive(now, from, request, out));
        let expected = usize::from(port + 1).min(ADDRESSES_PER_VIEWER_MAX);
        assert_eq!(house.hall.entries()[1], expected);
    }
    house.act(|hall, now, out| hall.release(session(1), now, out));
    assert_eq!(house.hall.entries(), [0; 4]);
}

#[test]
fn a_viewer_that_asks_for_key_frames_gets_them_in_measure() {
    let mut house = House::with_viewers(1);
    house.run(SECOND);
    let standing = |house: &House| {
        house.viewers[0].seen.video.iter().filter(|picture| picture[4] & 0x1f == 7).count()
    };
    let before = standing(&house);
    for _ in 0..100 {
        house.viewers[0].want_key_frame();
        house.run(Duration::from_millis(10));
    }
    let given = standing(&house) - before;
    assert!((1..=3).contains(&given), "{given}");
}

#[test]
fn a_node_that_was_late_leaves_out_what_nobody_can_use() {
    let mut house = House::with_viewers(1);
    house.run(SECOND);
    let before = house.viewers[0].seen.audio.len();
    house.now += 2 * SECOND;
    house.run(Duration::from_millis(100));
    let made_up = house.viewers[0].seen.audio.len() - before;
    assert!((5..=20).contains(&made_up), "{made_up}");
    assert!((80..=95).contains(&house.hall.counts().ticks_missed), "{:?}", house.hall.counts());
}

/// What viewers cost, for `docs/media.md`: the work of making and of sending what they get.
#[test]
#[ignore = "it prints figures"]
fn figures_of_viewers() {
    const VIEWERS: u32 = 50;
    const SECONDS: u32 = 10;
    let mut house = House::with_viewers(u128::from(VIEWERS));
    let from = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
    let to = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound").local_addr().expect("there");
    for speaks in [false, true] {
        let (mut making, mut sending) = (Duration::ZERO, Duration::ZERO);
        let (mut datagrams, mut bytes) = (0, 0);
        for number in (1..=u128::from(VIEWERS)).filter(|_| speaks) {
            // Syllables: the mouth opens and closes.
            let mouths =
                (0..50 * SECONDS / 2).map(|turn| Mouth::new([0, 2, 4, 3, 1][turn as usize % 5]));
            let sound = std::iter::repeat_n(Arc::from([0xf8; 80]), 50 * SECONDS as usize).collect();
            let clip = Arc::new(Clip::of(sound, mouths.collect()));
            let now = house.now;
            house.hall.say(session(number), clip, now).expect("said");
        }
        let end = house.now + SECOND * SECONDS;
        while house.now < end {
            house.now += Duration::from_millis(5);
            let (begun, mut out) = (worked(), HallOutputs::default());
            house.hall.tick(house.now, &mut out);
            let made = worked();
            for datagram in out.datagrams() {
                from.send_to(&datagram.bytes, to).expect("sent");
                bytes += datagram.bytes.len();
            }
            datagrams += out.datagrams().len();
            making += made.saturating_sub(begun);
            sending += worked().saturating_sub(made);
            for datagram in out.datagrams() {
                let viewer = house.viewers.iter_mut().find(|viewer| viewer.address == datagram.to);
                viewer.expect("known").take(house.now, address(SERVER), &datagram.bytes);
            }
            house.let_viewers_speak();
        }
        let per = f64::from(VIEWERS * SECONDS);
        println!(
            "speaking {speaks}: per viewer and second {:.0} us made, {:.0} us sent, {:.1} datagrams, {:.1} kB",
            making.as_secs_f64() * 1e6 / per,
            sending.as_secs_f64() * 1e6 / per,
            f64::from(u32::try_from(datagrams).expect("few")) / per,
            f64::from(u32::try_from(bytes).expect("few")) / per / 1000.0,
        );
    }
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]

    #[test]
    fn any_datagram_is_taken_or_dropped(
        head in proptest::sample::select(vec![
            vec![], vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42], vec![22, 254, 253], vec![128, 200],
        ]),
        body in vec(any::<u8>(), 0..200),
    ) {
        let mut hall = Hall::new(Arc::clone(&HOST), Limits::default());
        let mut out = HallOutputs::default();
        let mut bytes = [head, body].concat();
        if bytes.len() >= 20 && bytes[0] == 0 {
            let length = u16::try_from(bytes.len() - 20).unwrap().to_be_bytes();
            bytes[2..4].copy_from_slice(&length);
        }
        hall.receive(some_moment(), address("10.0.0.9:1"), &bytes, &mut out);
        proptest::prop_assert!(out.datagrams().is_empty());
    }
}
