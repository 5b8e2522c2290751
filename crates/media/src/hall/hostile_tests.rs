//! What strangers and bad networks send to a hall: it costs nobody else anything, and whatever became of
//! a viewer, its session can be released and leaves nothing behind.

use std::cell::RefCell;

use proptest::{
    arbitrary::any, collection::vec, prelude::*, prop_assert, prop_assert_eq, sample::Index,
    test_runner::TestRunner,
};

use super::{
    fake_house::{House, Overheard, SECOND, address, session},
    *,
};
use crate::{
    hostile::{
        cases,
        datagrams::{Fate, changes, fates, garbage},
        offers::spoilt,
    },
    peer::{FAILURES, fake_viewer::FakeViewer},
};

type Outcome = Result<(), TestCaseError>;

/// Whether a viewer gets its stream: of the ten frames of 200 ms, most.
fn is_served(house: &mut House, viewer: usize) -> bool {
    let before = house.viewers[viewer].seen.audio.len();
    house.run(Duration::from_millis(200));
    house.viewers[viewer].seen.audio.len() >= before + 8
}

/// Whether everything is there that so many sessions with a viewer each hold, and no more.
fn holds(house: &House, sessions: usize) -> Outcome {
    let [stages, addresses, names, due] = house.hall.entries();
    prop_assert_eq!((stages, names), (sessions, sessions));
    prop_assert!((sessions..=sessions * ADDRESSES_PER_VIEWER_MAX).contains(&addresses));
    prop_assert!(due <= sessions, "{} are due", due);
    prop_assert_eq!(FAILURES.get(), 0, "the engine below failed");
    Ok(())
}

/// Releases all, and looks whether anything is left.
fn is_left_empty(house: &mut House) {
    house.act(Hall::release_all);
    assert_eq!(house.hall.entries(), [0; 4]);
    let counts = house.hall.counts();
    assert_eq!((counts.sessions, counts.watched), (0, 0));
    assert_eq!(FAILURES.get(), 0, "the engine below failed");
}

/// A house with so many viewers, and what was said between them and the hall from the first on.
fn overheard(viewers: u128) -> (House, Vec<Overheard>) {
    let mut house = House::new(Limits::default());
    house.overheard = Some(Vec::new());
    for number in 1..=viewers {
        house.begin(number).expect("begun");
        house.open(number).expect("opened");
    }
    house.run_until(|house| (1..=viewers).all(|n| house.hall.is_watched(session(n))));
    house.run(SECOND);
    // Something is missed, and a picture asked for: that is said as well.
    for viewer in &mut house.viewers {
        viewer.want_key_frame();
    }
    house.run(SECOND);
    let overheard = house.overheard.take().expect("kept");
    assert!(overheard.len() > 100, "{}", overheard.len());
    (house, overheard)
}

/// Where a hostile datagram says that it comes from.
#[derive(Clone, Debug)]
enum Whence {
    /// The viewer's own address.
    There,
    /// The other viewer's.
    Crossed,
    /// Nobody's.
    Elsewhere(u16),
}

fn whence() -> impl Strategy<Value = Whence> {
    prop_oneof![
        3 => Just(Whence::There),
        1 => Just(Whence::Crossed),
        2 => (1..u16::MAX).prop_map(Whence::Elsewhere),
    ]
}

impl Whence {
    fn address(&self, viewer: usize) -> SocketAddr {
        match self {
            Self::There => address(&format!("10.0.0.2:{}", 5000 + viewer)),
            Self::Crossed => address(&format!("10.0.0.2:{}", 5000 + (1 - viewer))),
            Self::Elsewhere(port) => SocketAddr::from(([172, 16, 0, 9], *port)),
        }
    }
}

/// Real datagrams of both ways, changed, and put among those of a stream: who does not hold the keys of a
/// connection does it no harm, and no other.
#[test]
fn changed_datagrams_in_a_stream_harm_nobody() {
    let (house, overheard) = overheard(2);
    let house = RefCell::new(house);
    let attacks = vec((any::<Index>(), changes(), whence()), 1..40);
    let run = TestRunner::new(cases(64)).run(&attacks, |attacks| {
        let mut house = house.borrow_mut();
        for (which, change, whence) in attacks {
            let real = which.get(&overheard);
            for bytes in change.of(&real.bytes) {
                let from = whence.address(real.viewer);
                house.act(|hall, now, out| hall.receive(now, from, &bytes, out));
            }
        }
        for viewer in 0..2 {
            prop_assert!(is_served(&mut house, viewer), "viewer {viewer}");
        }
        holds(&house, 2)
    });
    run.expect("no harm is done");
    is_left_empty(&mut house.borrow_mut());
}

/// The same, whole: sent again, in any order, by somebody between a viewer and us.
#[test]
fn repeated_datagrams_in_a_stream_harm_nobody() {
    let (house, overheard) = overheard(2);
    let house = RefCell::new(house);
    let again = vec((any::<Index>(), 1..4_usize), 1..60);
    let run = TestRunner::new(cases(48)).run(&again, |again| {
        let mut house = house.borrow_mut();
        for (which, times) in again {
            let real = which.get(&overheard);
            let from = Whence::There.address(real.viewer);
            for _ in 0..times {
                house.act(|hall, now, out| hall.receive(now, from, &real.bytes, out));
            }
        }
        for viewer in 0..2 {
            prop_assert!(is_served(&mut house, viewer), "viewer {viewer}");
        }
        holds(&house, 2)
    });
    run.expect("no harm is done");
    is_left_empty(&mut house.borrow_mut());
}

/// A viewer who comes over a network that changes, loses, repeats and reorders what it sends may fail to
/// come. Nobody else notices.
#[test]
fn a_viewer_on_a_bad_network_harms_nobody_else() {
    let house = RefCell::new(House::with_viewers(1));
    let run = TestRunner::new(cases(24)).run(&vec(fates(), 1..60), |fates| {
        let mut house = house.borrow_mut();
        house.begin(2).expect("begun");
        house.open(2).expect("opened");
        house.viewers[1].may_break = true;
        let mut fates = fates.into_iter();
        let mut late = Vec::new();
        house.network = Some(Box::new(move |viewer, bytes| {
            if viewer == 0 {
                return vec![bytes];
            }
            let fate = fates.next().unwrap_or(Fate::Whole(1));
            let mut arriving = fate.of(&bytes);
            arriving.append(&mut late);
            if matches!(fate, Fate::Late) {
                late.push(bytes);
            }
            arriving
        }));
        house.run(SECOND);
        let served = is_served(&mut house, 0);
        house.network = None;
        prop_assert!(served, "the other viewer");
        prop_assert!(house.act(|hall, now, out| hall.release(session(2), now, out)));
        house.viewers.truncate(1);
        holds(&house, 1)
    });
    run.expect("nobody else notices");
    is_left_empty(&mut house.borrow_mut());
}

/// Requests of viewers who were told a wrong password, or another connection's name.
fn forged(house: &mut House, name: &str, password: Option<&str>) -> Vec<Vec<u8>> {
    let (mut viewer, offer) = FakeViewer::at(address("10.0.0.9:999"), house.now, |config| config);
    house.begin(99).expect("begun");
    let answer = house.hall.open(session(99), &offer, house.now).expect("answered");
    let said = |what: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix(what));
        line.expect("it is told").to_owned()
    };
    let (own, own_password) = (said("a=ice-ufrag:"), said("a=ice-pwd:"));
    let told = answer.replace(&own, name);
    let told = told.replace(&own_password, password.unwrap_or(&own_password));
    viewer.accept(&told);
    house.act(|hall, now, out| hall.release(session(99), now, out));
    let mut sent = Vec::new();
    for _ in 0..200 {
        house.now += Duration::from_millis(50);
        viewer.drain(house.now, &mut sent);
    }
    let requests: Vec<_> =
        sent.into_iter().map(|(_, bytes)| bytes).filter(|b| name_in(b).is_some()).collect();
    assert!(requests.len() > 3, "{}", requests.len());
    requests
}

/// Who does not know a connection's password gets no place in a table and no answer, whatever it says
/// its name is, from wherever and however often it asks.
#[test]
fn forged_requests_get_no_place_and_no_answer() {
    let mut house = House::with_viewers(1);
    let name = house.viewers[0].peer_name.clone();
    let mut requests = forged(&mut house, &name, None);
    requests.extend(forged(&mut house, &name, Some("0123456789abcdefghijklmn")));
    requests.extend(forged(&mut house, "nobody", None));
    house.run(SECOND);
    assert!(house.hall.is_watched(session(1)));
    let house = RefCell::new(house);
    let attacks = vec((any::<Index>(), fates(), changes(), whence()), 1..40);
    let run = TestRunner::new(cases(64)).run(&attacks, |attacks| {
        let mut house = house.borrow_mut();
        let strays = house.strays;
        for (which, fate, change, whence) in attacks {
            let forged = which.get(&requests);
            for bytes in fate.of(forged).into_iter().chain(change.of(forged)) {
                let from = whence.address(0);
                house.act(|hall, now, out| hall.receive(now, from, &bytes, out));
            }
        }
        prop_assert_eq!(house.hall.entries(), [1; 4]);
        prop_assert_eq!(house.strays, strays, "nobody is answered");
        prop_assert!(is_served(&mut house, 0));
        holds(&house, 1)
    });
    run.expect("nothing is had");
    is_left_empty(&mut house.borrow_mut());
}

/// Whoever holds a connection's password may say that it is where another viewer is. What that viewer says
/// goes astray until its next check, and then no more.
#[test]
fn an_address_that_another_session_claims_comes_back() {
    let (mut house, overheard) = overheard(2);
    let mut claims = overheard.iter().filter(|o| o.viewer == 1 && name_in(&o.bytes).is_some());
    let claim = claims.next().expect("a request of the second viewer's").bytes.clone();
    let of_first = house.viewers[0].address;
    house.act(|hall, now, out| hall.receive(now, of_first, &claim, out));
    assert_eq!(house.hall.by_address.get(&of_first), Some(&session(2)));
    assert!(is_served(&mut house, 0) && is_served(&mut house, 1));
    house.run_until(|house| house.hall.by_address.get(&of_first) == Some(&session(1)));
    assert!(is_served(&mut house, 0) && is_served(&mut house, 1));
    is_left_empty(&mut house);
}

/// Anything from anywhere is dropped and counted, and nothing is kept or answered.
#[test]
fn garbage_from_many_addresses_is_dropped_and_counted() {
    let house = RefCell::new(House::with_viewers(1));
    let flood = vec((garbage(), any::<[u8; 4]>(), 1..u16::MAX), 1..200);
    let run = TestRunner::new(cases(64)).run(&flood, |flood| {
        let mut house = house.borrow_mut();
        let (before, strays) = (house.hall.counts(), house.strays);
        let count = flood.len() as u64;
        for (bytes, ip, port) in flood {
            let from = SocketAddr::from((ip, port));
            prop_assume!(from != house.viewers[0].address);
            house.act(|hall, now, out| hall.receive(now, from, &bytes, out));
        }
        let for_nobody = house.hall.counts().received_for_nobody - before.received_for_nobody;
        prop_assert_eq!(for_nobody, count);
        prop_assert_eq!(house.hall.entries(), [1; 4]);
        prop_assert_eq!(house.strays, strays, "nobody is answered");
        prop_assert!(is_served(&mut house, 0));
        Ok(())
    });
    run.expect("nothing is kept");
    is_left_empty(&mut house.borrow_mut());
}

/// The same from a viewer's own address, where nothing else keeps it off.
#[test]
fn garbage_from_a_viewers_address_harms_nobody() {
    let house = RefCell::new(House::with_viewers(2));
    let run = TestRunner::new(cases(64)).run(&vec(garbage(), 1..60), |flood| {
        let mut house = house.borrow_mut();
        let from = Whence::There.address(0);
        for bytes in flood {
            house.act(|hall, now, out| hall.receive(now, from, &bytes, out));
        }
        for viewer in 0..2 {
            prop_assert!(is_served(&mut house, viewer), "viewer {viewer}");
        }
        holds(&house, 2)
    });
    run.expect("no harm is done");
    is_left_empty(&mut house.borrow_mut());
}

/// Whatever an offer says, it costs nobody else anything, and its session can be released.
#[test]
fn a_spoilt_offer_costs_nobody_else_anything() {
    let house = RefCell::new(House::with_viewers(1));
    let run = TestRunner::new(cases(96)).run(&spoilt(), |offer| {
        let mut house = house.borrow_mut();
        house.begin(2).expect("begun");
        let now = house.now;
        let answered = house.hall.open(session(2), &offer, now);
        prop_assert_ne!(&answered, &Err(OpenError::Offer(OfferError::Harmful)));
        prop_assert!(is_served(&mut house, 0));
        let viewers = 1 + usize::from(answered.is_ok());
        prop_assert_eq!(house.hall.entries(), [2, 1, viewers, viewers]);
        prop_assert!(house.act(|hall, now, out| hall.release(session(2), now, out)));
        holds(&house, 1)
    });
    run.expect("nobody else notices");
    is_left_empty(&mut house.borrow_mut());
}

/// A connection that fails in a way that nobody foresaw ends alone, whatever it was doing.
#[test]
fn a_connection_that_fails_takes_no_other_along() {
    let mut house = House::with_viewers(2);
    house.hall.stages.get_mut(&session(1)).expect("there").break_down();
    house.run_until(|house| house.hall.counts().viewers_broken == 1);
    assert_eq!(house.events.last(), Some(&(session(1), ViewerEvent::Gone(Gone::Broken))));
    assert_eq!(house.hall.entries(), [2, 1, 1, 1]);
    assert!(is_served(&mut house, 1));
    house.viewers[0].may_break = true;
    house.open(1).expect("another may come");
    house.run_until(|house| house.hall.is_watched(session(1)));
    assert!(is_served(&mut house, 2) && is_served(&mut house, 1));
    house.hall.stages.get_mut(&session(2)).expect("there").break_down();
    assert!(house.act(|hall, now, out| hall.release(session(2), now, out)), "it fails at its end");
    house.act(Hall::release_all);
    assert_eq!(house.hall.entries(), [0; 4]);
}
