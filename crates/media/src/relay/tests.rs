//! The relay in virtual time: who gets what, and who does not.

use std::time::Duration;

use proptest::prelude::*;
use turn_types::{
    attribute::{Data, Lifetime, RequestedTransport, XorPeerAddress},
    channel::ChannelData,
    message::{ALLOCATE, DATA},
    stun::{
        attribute::Realm,
        message::{BINDING, Message},
    },
};

use crate::peer::FAILURES;

use super::{
    fake_client::{
        Answer, DAY, EXPIRY, FakeClient, LIFETIME_MAX, OURS, World, address, allocated, session,
        world,
    },
    *,
};

const SECOND: Duration = Duration::from_secs(1);
/// As RFC 8656 has it.
const PERMISSION_LASTS: Duration = Duration::from_mins(5);

#[test]
fn a_client_talks_to_us_by_indications_and_is_answered_from_where_it_wrote_to() {
    let (mut world, mut client) = allocated();
    assert_eq!(client.permit(&mut world, &OURS), Answer::Granted);
    for (target, ours) in [(0, OURS[0]), (1, OURS[1])] {
        let came = world.inward(client.way, &FakeClient::indication(ours, b"hello"));
        let seat = client.seat(target);
        let from = seat.address();
        assert_eq!(came, [Inward { session: session(1), from, bytes: b"hello".to_vec() }]);
        let (way, heard) = world.hears(seat, b"good day").expect("heard");
        let heard = Message::from_bytes(&heard).expect("a message");
        assert_eq!((way, heard.method()), (client.way, DATA));
        let peer = heard.attribute::<XorPeerAddress>().expect("from somewhere");
        assert_eq!(peer.addr(heard.transaction_id()), address(ours));
        assert_eq!(heard.attribute::<Data<'_>>().expect("something").data(), b"good day");
    }
    let counts = world.counts();
    assert_eq!((counts.inward, counts.inward_bytes, counts.outward), (2, 10, 2));
}

#[test]
fn a_client_talks_to_us_through_a_channel() {
    let (mut world, mut client) = allocated();
    assert_eq!(client.bind(&mut world, 0x4001, OURS[1]), Answer::Granted);
    let came = world.inward(client.way, &FakeClient::channel(0x4001, b"hello"));
    assert_eq!(came.len(), 1);
    assert_eq!(came[0].from, client.seat(1).address());
    let (_, heard) = world.hears(client.seat(1), b"good day!").expect("heard");
    let heard = ChannelData::parse(&heard).expect("a frame");
    assert_eq!((heard.id(), heard.data()), (0x4001, &b"good day!"[..]));
    assert_eq!(world.inward(client.way, &FakeClient::channel(0x4002, b"hello")), []);
    assert_eq!(world.counts().meaningless, 1);
}

#[test]
fn frames_of_a_connection_are_filled_up_to_a_multiple_of_four() {
    let mut world = world();
    let mut client = FakeClient::connected(&mut world, 1, 7);
    assert_eq!(client.allocate(&mut world), Answer::Granted);
    assert_eq!(client.bind(&mut world, 0x4001, OURS[0]), Answer::Granted);
    let (_, heard) = world.hears(client.seat(0), b"12345").expect("heard");
    assert_eq!(heard, [&[0x40, 1, 0, 5][..], b"12345", &[0; 3]].concat());
}

#[test]
fn anybody_may_ask_where_they_write_from_and_nothing_is_kept_of_it() {
    let (mut world, client) = (world(), FakeClient::new(1, 5000));
    let request = client.request(BINDING, &[]);
    let answer = world.send(client.way, &request).expect("an answer");
    let answer = Message::from_bytes(&answer).expect("a message");
    let mapped = answer.attribute::<turn_types::stun::attribute::XorMappedAddress>();
    let mapped = mapped.expect("an address").addr(answer.transaction_id());
    assert_eq!(mapped, client.way.client);
    assert_eq!(world.relay.table.entries(), [0; 6]);
}

#[test]
fn only_who_knows_the_password_gets_anything() {
    let fresh = || FakeClient::new(1, 5000);
    let mut strangers = vec![
        FakeClient { password: "guessed".into(), ..fresh() },
        FakeClient { realm: "elsewhere".into(), ..fresh() },
        // Its time is over: at this very moment, and long ago.
        fresh().named(&format!("{DAY}:{}", session(1))),
        fresh().named(&format!("1:{}", session(1))),
        // Nobody is shown by that name.
        fresh().named(&format!("{EXPIRY}:{}", session(9))),
        fresh().named("somebody"),
        fresh().named(""),
    ];
    for client in &mut strangers {
        let mut world = world();
        assert_eq!(client.allocate(&mut world), Answer::Refused(401), "{}", client.username);
        let counts = world.counts();
        assert_eq!((counts.allocations, counts.bad_credentials), (0, 1), "{}", client.username);
        assert_eq!(client.permit(&mut world, &OURS), Answer::Refused(401));
    }
    let mut world = world();
    let mut last_moment = fresh().named(&format!("{}:{}", DAY + 1, session(1)));
    assert_eq!(last_moment.allocate(&mut world), Answer::Granted);
}

#[test]
fn a_request_that_is_signed_and_not_complete_is_told_so() {
    let (mut world, mut client) = (world(), FakeClient::new(1, 5000));
    assert_eq!(client.asks_to_allocate(&mut world), Answer::Refused(401));
    let whole = client.request(ALLOCATE, &[]);
    assert_eq!(client.say(&mut world, &whole), Answer::Refused(400), "what for?");
    let tcp = client.request(ALLOCATE, &[&RequestedTransport::new(RequestedTransport::TCP)]);
    assert_eq!(client.say(&mut world, &tcp), Answer::Refused(400), "only UDP is relayed");
    assert_eq!(world.counts().refused, 2);
}

#[test]
fn a_nonce_runs_out_and_is_anothers_nowhere() {
    let (mut world, mut client) = allocated();
    let mut other = FakeClient { nonce: client.nonce.clone(), ..FakeClient::new(1, 5001) };
    assert_eq!(other.asks_to_allocate(&mut world), Answer::Refused(438));
    assert_eq!(other.asks_to_allocate(&mut world), Answer::Granted, "with its own");
    let nonce = client.nonce.clone();
    assert_eq!(client.refresh(&mut world, 3600), Answer::Granted);
    world.pass(NONCE_LASTS);
    client.nonce.clone_from(&nonce);
    assert_eq!(client.refresh(&mut world, 3600), Answer::Granted, "for its whole time");
    world.pass(SECOND);
    client.nonce = nonce;
    assert_eq!(client.refresh(&mut world, 3600), Answer::Refused(438));
    assert_eq!(client.refresh(&mut world, 3600), Answer::Granted, "with a new one");
}

#[test]
fn nothing_but_us_can_be_reached() {
    let (mut world, mut client) = allocated();
    let foreign = [
        "127.0.0.2:7401",
        "10.0.0.1:80",
        "192.168.1.1:443",
        "169.254.169.254:80",
        "8.8.8.8:53",
        "0.0.0.0:7401",
        "192.0.2.1:50000",
        "[::1]:7401",
        "[::ffff:127.0.0.1]:7401",
    ];
    for (number, peer) in (1..).zip(foreign) {
        assert_eq!(client.permit(&mut world, &[peer]), Answer::Refused(403), "{peer}");
        assert_eq!(client.bind(&mut world, 0x4001, peer), Answer::Refused(403), "{peer}");
        assert_eq!(world.counts().forbidden, number * 2);
        assert_eq!(world.inward(client.way, &FakeClient::indication(peer, b"x")), [], "{peer}");
    }
    // Another port of ours is another service.
    assert_eq!(client.bind(&mut world, 0x4001, "127.0.0.1:22"), Answer::Refused(403));
    // One among them spoils all.
    let mixed = client.permit(&mut world, &[OURS[0], "8.8.8.8:53"]);
    assert_eq!(mixed, Answer::Refused(403));
    assert_eq!(world.inward(client.way, &FakeClient::indication(OURS[0], b"x")), []);
    // A permission is for an address, whatever the port; what is passed on is for ours alone.
    assert_eq!(client.permit(&mut world, &["127.0.0.1:1"]), Answer::Granted);
    assert_eq!(world.inward(client.way, &FakeClient::indication("127.0.0.1:22", b"x")), []);
    assert_eq!(world.inward(client.way, &FakeClient::indication(OURS[1], b"x")).len(), 1);
}

#[test]
fn without_proof_a_foreign_address_is_no_news_to_anybody() {
    let (mut world, mut client) = allocated();
    client.password = "guessed".into();
    assert_eq!(client.permit(&mut world, &["8.8.8.8:53"]), Answer::Refused(401));
    client.nonce = None;
    assert_eq!(client.permit(&mut world, &["8.8.8.8:53"]), Answer::Refused(401));
}

#[test]
fn a_client_hears_only_what_it_permits_and_only_at_its_seat() {
    let (mut world, mut client) = allocated();
    assert_eq!(world.hears(client.seat(0), b"x"), None, "nothing is permitted");
    assert_eq!(client.permit(&mut world, &[OURS[0]]), Answer::Granted);
    assert!(world.hears(client.seat(0), b"x").is_some());
    assert_eq!(world.hears(client.seat(1), b"x"), None, "it does not write there");
    assert_eq!(world.hears(client.seat(2), b"x"), None, "there is no such address");
    let seat = client.seat(0);
    assert_eq!(world.hears(Seat { port: seat.port + 1, ..seat }, b"x"), None);
    assert_eq!(world.hears(Seat { is_v6: true, ..seat }, b"x"), None);
    world.pass(PERMISSION_LASTS);
    assert!(world.hears(seat, b"x").is_some(), "for its whole time");
    world.pass(SECOND);
    assert_eq!(world.hears(seat, b"x"), None, "it has run out");
    assert_eq!(world.inward(client.way, &FakeClient::indication(OURS[0], b"x")), []);
}

#[test]
fn a_sessions_end_takes_its_allocations_and_its_credentials_at_once() {
    let (mut world, mut client) = allocated();
    assert_eq!(client.permit(&mut world, &[OURS[0]]), Answer::Granted);
    let mut other = FakeClient::new(2, 6000);
    assert_eq!(other.allocate(&mut world), Answer::Granted);
    let mut connected = FakeClient::connected(&mut world, 1, 7);
    assert_eq!(connected.allocate(&mut world), Answer::Granted);
    let mut known = FakeClient::new(1, 5002);
    assert_eq!(known.asks_to_allocate(&mut world), Answer::Refused(401));

    let just_before = world.now + SECOND;
    let until = just_before + BREATH;
    world.guests.leave(session(1), until);
    // Before anything is swept up.
    assert_eq!(client.refresh(&mut world, 600), Answer::Silence, "it hears its goodbye alone");
    assert!(matches!(known.asks_to_allocate(&mut world), Answer::Refused(401 | 438)));
    assert_eq!(known.asks_to_allocate(&mut world), Answer::Refused(401));
    world.guests.part(just_before);
    assert_eq!(world.relay.parted(), []);
    assert!(world.hears(client.seat(0), b"goodbye").is_some(), "for its whole time");
    world.guests.part(until);
    let parted = world.relay.parted();
    assert_eq!(parted.len(), 2);
    world.relay.see_off(parted, &mut world.out);
    assert_eq!(world.out.closed, [connected.way]);
    let counts = world.counts();
    assert_eq!((counts.allocations, counts.connections), (1, 0));
    assert_eq!(world.hears(client.seat(0), b"x"), None);
    assert_eq!(other.refresh(&mut world, 600), Answer::Granted);
    assert!(matches!(client.asks_to_allocate(&mut world), Answer::Refused(401 | 438)));
    assert_eq!(client.asks_to_allocate(&mut world), Answer::Refused(401));
    world.pass(PATIENCE + SECOND);
    assert_eq!(world.relay.table.entries(), [1, 1, 1, 0, 0, 1], "only the other is there");
}

#[test]
fn a_desk_that_knew_somebody_of_a_session_that_is_over_knows_them_no_more() {
    let mut world = world();
    let mut client = FakeClient::new(1, 5000);
    assert_eq!(client.asks_to_allocate(&mut world), Answer::Refused(401));
    client.password = "guessed".into();
    assert_eq!(client.asks_to_allocate(&mut world), Answer::Refused(401), "it is known by name");
    client = client.named(&format!("{EXPIRY}:{}", session(1)));
    world.guests.leave(session(1), world.now);
    for _ in 0..3 {
        assert!(matches!(client.asks_to_allocate(&mut world), Answer::Refused(401 | 438)));
    }
    assert_eq!(world.counts().allocated, 0);
}

#[test]
fn what_somebody_says_in_anothers_name_ends_nothing() {
    let (mut world, mut client) = allocated();
    assert_eq!(client.permit(&mut world, &[OURS[0]]), Answer::Granted);
    let names = ["x", "", "1:x", &format!("1:{}", session(1)), &format!("{EXPIRY}:{}", session(9))];
    for name in names.into_iter().chain([&*format!("{EXPIRY}:{}", session(2))]) {
        let username = Username::new(name).expect("short");
        let realm = Realm::new(REALM).expect("short");
        for method in REQUESTS {
            // Nothing of it is signed: the way it comes by can be forged.
            let mut stranger = FakeClient { nonce: None, ..client.clone() };
            let forged = stranger.request(method, &[&username, &realm, &Lifetime::new(0)]);
            let answer = stranger.say(&mut world, &forged);
            assert!(matches!(answer, Answer::Refused(400 | 401)), "{name}: {answer:?}");
        }
        // Signed, by somebody who does not know the password.
        let mut guesser = client.clone().named(name);
        guesser.password = "guessed".into();
        assert_eq!(guesser.refresh(&mut world, 0), Answer::Refused(401), "{name}");
    }
    assert_eq!(world.counts().allocations, 1);
    assert!(world.hears(client.seat(0), b"x").is_some());
    assert_eq!(client.refresh(&mut world, 600), Answer::Granted);
}

#[test]
fn a_client_has_one_allocation_and_keeps_to_its_credentials() {
    let (mut world, mut client) = allocated();
    assert_eq!(client.asks_to_allocate(&mut world), Answer::Refused(437), "it has one");
    let mut other = client.clone().named(&format!("{EXPIRY}:{}", session(2)));
    assert_eq!(other.refresh(&mut world, 600), Answer::Refused(441), "it is another's");
    assert_eq!(other.asks_to_allocate(&mut world), Answer::Refused(441));
    other.password = "guessed".into();
    assert_eq!(other.refresh(&mut world, 600), Answer::Refused(401));
    let mut nobody = FakeClient::new(1, 5001);
    assert_eq!(nobody.refresh(&mut world, 600), Answer::Refused(401));
    assert_eq!(nobody.refresh(&mut world, 600), Answer::Refused(437), "it has none");
    assert_eq!(world.counts().allocations, 1);
}

#[test]
fn who_has_no_allocation_makes_room_for_another_by_the_same_way() {
    let (mut world, mut client) = (world(), FakeClient::new(1, 5000));
    assert_eq!(client.asks_to_allocate(&mut world), Answer::Refused(401));
    client.password = "guessed".into();
    assert_eq!(client.asks_to_allocate(&mut world), Answer::Refused(401), "it is known by name");
    let mut other = client.named(&format!("{EXPIRY}:{}", session(2)));
    assert_eq!(other.asks_to_allocate(&mut world), Answer::Refused(438), "it begins anew");
    assert_eq!(other.asks_to_allocate(&mut world), Answer::Granted);
}

proptest! {
    /// Whatever is sent, by whomever, in whatever order: nothing comes out but answers, and what an
    /// allocation of that session may say to us; and the tables stay within bounds.
    #[test]
    fn hostile_clients_get_nowhere(
        acts in prop::collection::vec((0_u8..9, 0_u16..6, any::<u16>(), prop::collection::vec(any::<u8>(), 0..80)), 1..60),
    ) {
        let limits = RelayLimits { allocations: 3, strangers: 2, ..RelayLimits::default() };
        let mut world = World::new(limits);
        let mut clients: Vec<FakeClient> =
            (0..6).map(|n| FakeClient::new(u128::from(n % 3), 5000 + n)).collect();
        for (act, who, number, bytes) in acts {
            let client = &mut clients[usize::from(who)];
            match act {
                0 => drop(client.asks_to_allocate(&mut world)),
                1 => drop(client.permit(&mut world, &[OURS[0]])),
                2 => drop(client.permit(&mut world, &["8.8.8.8:53"])),
                3 => drop(client.bind(&mut world, number, OURS[1])),
                4 => drop(client.refresh(&mut world, number.into())),
                5 => drop(world.send(client.way, &bytes)),
                6 => {
                    // A good request with something wrong in it.
                    let mut request = client.request(ALLOCATE, &[&RequestedTransport::new(17)]);
                    for (at, byte) in bytes.iter().enumerate() {
                        let at = (usize::from(number) + at * 7) % request.len();
                        request[at] ^= byte;
                    }
                    world.send(client.way, &request);
                }
                7 => drop(world.send(client.way, &FakeClient::channel(0x4000 | number, &bytes))),
                _ => world.pass(Duration::from_secs(number.into())),
            }
            for came in world.out.inward.drain(..) {
                prop_assert!(Seat::of(came.from).is_some());
                prop_assert!([session(1), session(2)].contains(&came.session));
            }
            let [_, seats, _, _, strangers, _] = world.relay.table.entries();
            prop_assert!(seats <= 3 && strangers <= 2, "{:?}", world.relay.table.entries());
        }
        world.pass(LIFETIME_MAX * 2);
        prop_assert_eq!(world.relay.table.entries(), [0; 6]);
        prop_assert_eq!(FAILURES.get(), 0, "the protocol has failed");
    }

    #[test]
    fn garbage_means_nothing(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut world = world();
        let client = FakeClient::new(1, 5000);
        prop_assert_eq!(world.send(client.way, &bytes), None);
        prop_assert_eq!(world.relay.table.entries(), [0; 6]);
    }
}
