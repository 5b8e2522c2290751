//! Sockets and the process that serves them: killed, told to stop, full.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message},
};

use super::{KEY, chat, home, token};
use crate::support::{client::Http, eventually, in_time, native::Native, pause};

/// A socket with a conversation.
struct Page {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    record: String,
}

impl Page {
    /// Begins a conversation, or goes on with one.
    async fn open(url: &str, token: &str, record: Option<&str>) -> Self {
        let address = url.replace("http://", "ws://");
        let address = format!("{address}/api/v1/ws/webCall?token={token}");
        let (socket, _) = connect_async(address).await.expect("connected");
        let mut page = Self { socket, record: String::new() };
        let request = json!({ "callType": "chat" });
        let first = json!({ "type": "initialize", "request": request, "recordId": record });
        page.say(first).await;
        let connection = page.hear().await.expect("a message");
        assert_eq!(connection["name"], "connection", "{connection}");
        page.record = connection["data"]["recordId"].as_str().map(str::to_owned).expect("an id");
        page
    }

    async fn say(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.expect("sent");
    }

    /// The next message. An error of a code: the socket is closed with it.
    async fn hear(&mut self) -> Result<Value, u16> {
        loop {
            let next = in_time("a message", self.socket.next()).await;
            match next.expect("not gone").expect("whole") {
                Message::Text(text) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Message::Close(frame) => return Err(frame.expect("a code").code.into()),
                _ => {}
            }
        }
    }

    /// Hears finished text until this comes.
    async fn hears(&mut self, text: &str) {
        loop {
            let message = self.hear().await.expect("a message");
            if message["content"]["potential"] == false && message["content"]["text"] == text {
                return;
            }
        }
    }
}

#[tokio::test]
async fn a_session_whose_server_is_killed_ends_after_the_next_start_unless_its_client_comes_back() {
    let home = home(&json!({ "disconnect_grace_s": 2 }));
    let mut server = home.start().await;
    let http = Http::new();
    let token = token(&http, &server.url(), &Value::Null).await;
    let gone = Page::open(&server.url(), &token, None).await;
    let mut back = Page::open(&server.url(), &token, None).await;
    back.say(json!({ "type": "incomingChatMessage", "content": "before" })).await;
    back.hears("You said: before").await;
    server.strike();
    server.gone().await;
    // However long the server is away, the grace is the client's.
    pause(Duration::from_millis(2_500)).await;
    let server = home.start().await;
    let url = server.url();
    let mut again = Page::open(&url, &token, Some(&back.record)).await;
    let over = eventually("the end of the session nobody came back to", async || {
        let shown = chat(&http, &url, &gone.record).await;
        (shown["status"] == "final").then_some(shown)
    })
    .await;
    assert_eq!(over["final_reason"], "user_end");
    let native = Native::new(&http, KEY);
    let session = native.session(&url, &gone.record).await;
    assert_eq!(session["ended"]["reason"], "disconnected", "{session}");
    again.say(json!({ "type": "incomingChatMessage", "content": "after" })).await;
    again.hears("You said: after").await;
    let shown = chat(&http, &url, &back.record).await;
    assert_eq!(
        (shown["status"].as_str(), shown["messages"].as_array().map(Vec::len)),
        (Some("active"), Some(4))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_closes_its_sockets_when_their_turns_are_through() {
    let home = home(&json!({ "disconnect_grace_s": 60 }));
    let mut server = home.start().await;
    let http = Http::new();
    let token = token(&http, &server.url(), &Value::Null).await;
    let mut idle = Page::open(&server.url(), &token, None).await;
    let mut busy = Page::open(&server.url(), &token, None).await;
    busy.say(json!({ "type": "incomingChatMessage", "content": "slowly" })).await;
    while busy.hear().await.expect("a message")["type"] != "text" {}
    server.terminate();
    assert_eq!(idle.hear().await.expect("opened")["name"], "opened");
    assert_eq!(idle.hear().await, Err(1012));
    busy.hears("One two three four five").await;
    assert_eq!(busy.hear().await, Err(1012));
    drop(idle);
    let status = server.gone().await;
    assert_eq!(status.code(), Some(0), "{}", server.logs());
    let server = home.start().await;
    let mut again = Page::open(&server.url(), &token, Some(&busy.record)).await;
    again.say(json!({ "type": "incomingChatMessage", "content": "after" })).await;
    again.hears("You said: after").await;
    server.stop().await;
}

#[tokio::test]
async fn sockets_count_among_the_connections_there_may_be() {
    let home = home(&json!({ "connections_max": 2 }));
    let server = home.start().await;
    let url = server.url();
    let token = {
        let http = Http::new();
        token(&http, &url, &Value::Null).await
    };
    let mut pages = Vec::new();
    for _ in 0..2 {
        // The client above has hung up; the server may need a moment to see it.
        pages.push(
            eventually("a free seat", async || {
                let address = url.replace("http://", "ws://");
                let address = format!("{address}/api/v1/ws/webCall?token={token}");
                connect_async(address).await.ok()
            })
            .await,
        );
    }
    let address = url.replace("http://", "ws://");
    let refused = connect_async(format!("{address}/api/v1/ws/webCall?token={token}")).await;
    match refused {
        Err(Error::Http(answer)) => assert_eq!(answer.status(), 503),
        other => panic!("not refused: {other:?}"),
    }
    drop(pages.pop());
    eventually("the seat of a socket that is gone", async || {
        connect_async(format!("{address}/api/v1/ws/webCall?token={token}")).await.ok()
    })
    .await;
    server.stop().await;
}
