//! What a server needs before it shows avatars, and what it says when it does not have it.

use std::{net::UdpSocket, path::Path, process::Output};

use serde_json::{Value, json};

use super::{House, KS, address, config};
use crate::support::{
    binary::{BINARY, Home},
    in_time,
};

/// A server without anybody who may show avatars.
fn without_partners() -> Value {
    let mut config = config(&address(), &json!({}), &json!({}));
    config["organizations"][0].as_object_mut().expect("one").remove("kaltura_partners");
    config
}

fn text(output: &Output, code: i32) -> String {
    let text = [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

#[tokio::test]
async fn the_media_port_is_open_where_a_partner_may_show_avatars_and_nowhere_else() {
    let house = House::start().await;
    assert_eq!(house.server.datagram_sockets(), 1);
    house.server.stop().await;

    let server = Home::new(&without_partners()).start().await;
    assert_eq!(server.datagram_sockets(), 0);
    let url = format!("{}/v1/avatar-session", server.url());
    let create = crate::support::client::Http::new().post(url);
    let create = create.header("authorization", format!("KS {KS}")).json(&json!({}));
    assert_eq!(create.send().await.expect("an answer").status(), 401, "nobody is known");
    let logs = server.stop().await;
    assert!(logs.contains("nobody can meet it") && logs.contains(r#""agent":"avatar""#), "{logs}");
}

#[tokio::test]
async fn a_media_port_in_use_is_named_and_the_server_does_not_start() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let listen = taken.local_addr().expect("an address").to_string();
    let address = address();
    let home = Home::new(&config(&address, &json!({}), &json!({ "udp_listen": listen })));
    let running = home.command_at(Path::new(BINARY), &address).output();
    let told = text(&in_time("the server to give up", running).await.expect("it runs"), 1);
    for part in [&*listen, "[media] udp_listen", "in use"] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
    drop(taken);
    home.start_at(&address).await.stop().await;
}

#[tokio::test]
async fn the_doctor_looks_at_what_avatars_need() {
    let well = Home::new(&config(&address(), &json!({}), &json!({ "public_host": "a.example" })));
    let told = text(&well.ask(&["doctor"]).await, 0);
    for part in
        ["every avatar can be drawn", "viewers of avatars can be reached", "espeak-ng speaks"]
    {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
    assert!(!told.contains("refuse"), "{told}");

    let taken = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let speech = json!({ "provider": "command", "command": ["no-such-program", "{text}"] });
    let ill = json!({
        "udp_listen": taken.local_addr().expect("an address").to_string(),
        "avatars": "no-such-folder", "speech": speech, "public_host": "localhost",
        "voices": { "a": "b" },
    });
    let ill = Home::new(&config(&address(), &json!({}), &ill));
    let told = text(&ill.ask(&["doctor"]).await, 1);
    for part in [
        "WRONG    the folder of avatars no-such-folder",
        "WRONG    viewers of avatars cannot be reached",
        "WRONG    [media] speech: no-such-program",
        "note     existing clients refuse an avatar whose address is at localhost",
        "note     a speech program has one voice: [media] voices change nothing",
    ] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }

    let none = Home::new(&without_partners());
    let told = text(&none.ask(&["doctor"]).await, 0);
    assert!(told.contains("no kaltura_partners name this avatar"), "{told}");
    assert!(!told.contains("viewers"), "nothing is needed for nobody: {told}");
}
