//! Pages that insist on a relay, as clients of the published API make them, through the server's own.

use std::net::TcpListener;

use epilogue_browser::{Browser, Path};
use serde_json::{Value, json};

use super::{Client, House, address, config};
use crate::support::{binary::Home, eventually, in_time};

/// Looks for ways through a relay, and tells what came of it.
const SEEK: &str = "const [configuration, done] = arguments;
    const pc = new RTCPeerConnection(configuration);
    const found = [], errors = [];
    pc.onicecandidate = ({ candidate }) => {
        if (candidate) return found.push(candidate.type);
        pc.close();
        done({ found, errors });
    };
    pc.onicecandidateerror = ({ errorCode }) => errors.push(errorCode);
    pc.addTransceiver('video', { direction: 'recvonly' });
    pc.createOffer().then(offer => pc.setLocalDescription(offer)).catch(e => done({ error: String(e) }));";

/// A server with a relay, and where that is.
async fn house() -> (House, String) {
    let relay = address();
    let (host, _) = relay.split_once(':').expect("with its port");
    let media = json!({ "turn_listen": [relay], "turn_host": host });
    (House::with(&json!({}), &media).await, relay.clone())
}

/// A connection by nothing but the relay, as the answer to `init-client` has a client make it; only the
/// port is not the usual one.
fn by_relay(client: &Client, relay: &str, protocol: &str) -> Value {
    let turn = &client.turn;
    let (host, port) = relay.split_once(':').expect("with its port");
    assert_eq!(turn["url"], host);
    let url = format!("turn:{host}:{port}?transport={protocol}");
    let (username, credential) = (&turn["username"], &turn["credential"]);
    json!({
        "iceTransportPolicy": "relay",
        "iceServers": [{ "urls": url, "username": username, "credential": credential }],
    })
}

#[tokio::test]
async fn a_page_that_insists_on_a_relay_watches_through_ours_until_its_session_ends() {
    let (house, relay) = house().await;
    let before = house.server.sockets();
    let browser = Browser::start().await;
    browser.show(&house.site.url("/")).await;
    for protocol in ["udp", "tcp"] {
        let client = house.shown().await;
        let way = by_relay(&client, &relay, protocol);
        let answered = browser.play(&client.whep, way.clone()).await;
        assert_eq!(answered.status, 201, "{answered:?}");
        let first = browser.look_until("pictures", |glance| glance.frames > 5.0).await;
        browser.look_until("more pictures", |g| g.frames > first.frames + 5.0).await;
        let expected = Path { kind: "relay".into(), protocol: Some(protocol.into()) };
        assert_eq!(browser.path().await, Some(expected));
        let figures = house.figures().await;
        assert!(figures["relay_allocations"] >= 1.0, "{figures:?}");
        assert!(figures["relay_datagrams"] > 20.0, "{figures:?}");
        assert_eq!(figures["relay_connections"] > 0.0, protocol == "tcp", "{figures:?}");

        assert_eq!(client.post("end").await.status, 200);
        browser.look_until("the end", |glance| glance.transport == "closed").await;
        house.holds_nothing().await;
        client.is_over().await;
        // The credentials would be good for a day yet, if their session were.
        let sought = browser.run(SEEK, vec![way]).await;
        assert_eq!(sought["found"], json!([]), "{sought}");
        assert!(
            sought["errors"].as_array().is_some_and(|errors| errors.contains(&json!(401))),
            "{sought}"
        );
        assert!(house.figures().await["relay_forbidden"] < 1.0);
    }
    in_time("the browser to be gone", browser.stop()).await;
    house.is_left_as(&before).await;
    let logs = house.server.stop().await;
    assert!(logs.contains("viewers that need a relay are waited for"), "{logs}");
}

#[tokio::test]
async fn a_relay_that_finds_its_port_taken_says_so_and_the_server_starts_without() {
    let taken = TcpListener::bind(address()).expect("a port");
    let listen = taken.local_addr().expect("an address").to_string();
    let media = json!({ "turn_listen": [listen] });
    let asked = Home::new(&config(&address(), &json!({}), &media)).ask(&["doctor"]).await;
    let told = String::from_utf8_lossy(&asked.stdout).into_owned();
    assert!(told.contains(&format!("the relay can listen on {listen} (UDP)")), "{told}");
    assert!(told.contains(&format!("the relay cannot listen on {listen} (TCP)")), "{told}");

    let house = House::with(&json!({}), &media).await;
    assert_eq!(house.shown().await.post("keep-alive").await.status, 200);
    // Datagrams find it all the same: one socket for viewers, one for the relay.
    eventually("the sockets", async || (house.server.datagram_sockets() == 2).then_some(())).await;
    let logs = house.server.stop().await;
    for part in ["the relay does not listen there", &listen, "in use", "[media] turn_listen"] {
        assert!(logs.contains(part), "{part} is not in: {logs}");
    }
}
