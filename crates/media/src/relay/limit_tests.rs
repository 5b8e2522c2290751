//! How long and how many, on both sides of each limit.

use std::time::Duration;

use turn_types::{message::REFRESH, stun::message::BINDING};

use super::{
    fake_client::{Answer, FakeClient, LIFETIME_MAX, World, allocated, session, world},
    *,
};

const SECOND: Duration = Duration::from_secs(1);
/// What RFC 8656 says of what nobody asked otherwise.
const LIFETIME: Duration = Duration::from_mins(10);

#[test]
fn an_allocation_lasts_as_long_as_it_is_renewed_and_no_longer_than_its_credentials() {
    let (mut world, mut client) = allocated();
    world.pass(LIFETIME);
    assert_eq!(world.counts().allocations, 1, "for its whole time");
    assert_eq!(client.refresh(&mut world, 100_000), Answer::Granted);
    world.pass(LIFETIME_MAX);
    assert_eq!(world.counts().allocations, 1, "for an hour and no more");
    world.pass(SECOND);
    assert_eq!(world.counts().allocations, 0);
    assert_eq!(client.refresh(&mut world, 600), Answer::Refused(438), "it begins anew");

    assert_eq!(client.allocate(&mut world), Answer::Granted);
    assert_eq!(client.refresh(&mut world, 0), Answer::Granted);
    assert_eq!(world.counts().allocations, 0, "it is given back");

    let until = world.moment().day.as_secs() + 60;
    let mut brief = FakeClient::new(1, 5001).named(&format!("{until}:{}", session(1)));
    assert_eq!(brief.allocate(&mut world), Answer::Granted);
    world.pass(SECOND * 59);
    assert_eq!((world.counts().allocations, brief.refresh(&mut world, 600)), (1, Answer::Granted));
    world.pass(SECOND * 2);
    assert_eq!(world.counts().allocations, 0, "its credentials have run out");
    assert_eq!(brief.asks_to_allocate(&mut world), Answer::Refused(438));
    assert_eq!(brief.asks_to_allocate(&mut world), Answer::Refused(401));
}

#[test]
fn a_session_and_all_together_have_so_many_allocations() {
    let limits =
        RelayLimits { allocations: 3, allocations_per_session: 2, ..RelayLimits::default() };
    let mut world = World::new(limits);
    let mut clients: Vec<FakeClient> =
        [(1, 1), (1, 2), (1, 3), (2, 4), (2, 5)].map(|(s, port)| FakeClient::new(s, port)).into();
    let answers: Vec<Answer> = clients.iter_mut().map(|c| c.allocate(&mut world)).collect();
    let (granted, full) = (Answer::Granted, Answer::Refused(508));
    assert_eq!(answers, [granted, Answer::Granted, full, Answer::Granted, Answer::Refused(508)]);
    assert_eq!(clients[0].refresh(&mut world, 0), Answer::Granted);
    assert_eq!(clients[2].allocate(&mut world), Answer::Granted, "there is room again");
    let default = RelayLimits::default();
    assert_eq!(default.allocations, ALLOCATIONS_MAX);
    assert_eq!(default.allocations_per_session, ALLOCATIONS_PER_SESSION_MAX);
}

#[test]
fn strangers_make_room_for_those_who_come_after_them() {
    let limits = RelayLimits { strangers: 2, ..RelayLimits::default() };
    let mut world = World::new(limits);
    let mut clients: Vec<FakeClient> = (1..=3).map(|port| FakeClient::new(1, port)).collect();
    for client in &mut clients[..2] {
        assert_eq!(client.asks_to_allocate(&mut world), Answer::Refused(401));
        world.pass(SECOND);
    }
    let mut first = clients[0].clone();
    assert_eq!(first.asks_to_allocate(&mut world), Answer::Granted, "two are known");
    assert_eq!(clients[2].asks_to_allocate(&mut world), Answer::Refused(401));
    let mut fourth = FakeClient::new(1, 4);
    assert_eq!(fourth.asks_to_allocate(&mut world), Answer::Refused(401));
    assert_eq!(clients[1].asks_to_allocate(&mut world), Answer::Refused(438), "it is forgotten");
    assert_eq!(fourth.asks_to_allocate(&mut world), Answer::Granted);
    assert_eq!(first.refresh(&mut world, 600), Answer::Granted, "who has a seat keeps it");
    world.pass(PATIENCE + SECOND);
    assert_eq!(world.relay.table.entries()[4], 0, "strangers are forgotten in time");
}

#[test]
fn there_are_so_many_connections_in_all_and_from_one_address() {
    let limits =
        RelayLimits { connections: 3, connections_per_address: 2, ..RelayLimits::default() };
    let mut world = World::new(limits);
    let way = |number: u8, client: u8| Way {
        door: Door::Tcp(number.into()),
        client: ([10, 0, 0, client], number.into()).into(),
    };
    let mut connect = |number, client| world.relay.connect(world.now, way(number, client));
    assert_eq!([connect(1, 1), connect(2, 1), connect(3, 1)], [true, true, false]);
    assert_eq!([connect(4, 2), connect(5, 3)], [true, false]);
    assert_eq!(world.counts().connections_refused, 2);
    world.relay.disconnect(way(1, 1));
    assert!(world.relay.connect(world.now, way(6, 3)), "there is room again");
    let default = RelayLimits::default();
    assert_eq!(default.connections, CONNECTIONS_MAX);
    assert_eq!(default.connections_per_address, CONNECTIONS_PER_ADDRESS_MAX);
    assert_eq!(default.strangers, STRANGERS_MAX);
}

#[test]
fn a_connection_that_wants_nothing_or_says_nothing_is_closed() {
    let mut world = world();
    let idle = FakeClient::connected(&mut world, 1, 1);
    let mut silent = FakeClient::connected(&mut world, 1, 2);
    assert_eq!(silent.allocate(&mut world), Answer::Granted);
    world.pass(PATIENCE);
    assert_eq!(world.out.closed, [], "for its whole time");
    world.send(idle.way, &idle.request(BINDING, &[]));
    world.pass(SECOND);
    assert_eq!(world.out.closed, [idle.way], "to talk is not to want something");
    assert_eq!(silent.refresh(&mut world, 600), Answer::Granted);
    world.pass(SILENCE);
    assert_eq!(world.out.closed, [idle.way]);
    world.pass(SECOND);
    assert_eq!(world.out.closed, [idle.way, silent.way]);
    assert_eq!(world.relay.table.entries(), [0; 6]);
    // What was still under way of it brings nobody back.
    world.send(silent.way, &silent.request(REFRESH, &[]));
    assert_eq!(world.relay.table.entries(), [0; 6]);
}
