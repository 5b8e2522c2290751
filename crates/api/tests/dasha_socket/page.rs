//! A page that chats, by way of an ordinary WebSocket client.

use std::{net::SocketAddr, time::Duration};

use epilogue_core::Span;
use futures::{SinkExt as _, StreamExt as _};
use http::Method;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use crate::{
    client::{keyed, post, settle},
    support::{Answer, CHAT_AGENT, Fixture, KEY, Setup},
};

/// How long, in real time, a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that listens, with a web integration and a token for it.
pub struct Server {
    pub fixture: Fixture,
    pub address: SocketAddr,
    pub integration: String,
    pub token: String,
}

/// The integration most tests use.
pub fn integration() -> Value {
    json!({
        "agentId": CHAT_AGENT,
        "name": "Shop page",
        "features": [{ "name": "AllowWebChat", "enabled": true }],
        "tools": [
            {
                "name": "web_search", "description": "Searches the page.",
                "schema": { "type": "object", "properties": { "q": { "type": "number" } } },
                "timeoutSeconds": 20, "fallBackResult": { "found": "nothing" },
            },
            { "name": "no-such-name" },
        ],
    })
}

impl Server {
    pub async fn start() -> Self {
        Self::with(|_| ()).await
    }

    pub async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        Self::over(Fixture::with(change).await, integration()).await
    }

    pub async fn of(integration: Value) -> Self {
        Self::over(Fixture::start().await, integration).await
    }

    async fn over(fixture: Fixture, integration: Value) -> Self {
        let made = fixture.send(post("/web-integrations", &integration)).await;
        assert_eq!(made.status, 201, "{}", made.body);
        let integration = made.json()["integrationId"].as_str().expect("an id").to_owned();
        let address = listen(&fixture).await;
        let mut server = Self { fixture, address, integration, token: String::new() };
        server.token = server.token(json!({ "name": "page" })).await.1;
        server
    }

    /// Makes a token: its id and itself.
    pub async fn token(&self, body: Value) -> (String, String) {
        let path = format!("/web-integrations/{}/tokens", self.integration);
        let made = self.fixture.send(post(&path, &body)).await;
        assert_eq!(made.status, 201, "{}", made.body);
        let text = |name: &str| made.json()[name].as_str().expect("a text").to_owned();
        (text("tokenId"), text("token"))
    }

    /// Changes the integration.
    pub async fn change(&self, body: Value) -> Answer {
        let path = format!("/web-integrations?integrationId={}", self.integration);
        self.fixture.send(keyed(KEY, Method::PUT, &path, body.to_string())).await
    }

    /// A socket that has said nothing yet.
    pub async fn connect(&self) -> Page {
        self.connect_with(&self.token, None).await
    }

    /// The same with another token, or from a page.
    pub async fn connect_with(&self, token: &str, origin: Option<&str>) -> Page {
        connect(self.address, token, origin).await
    }

    /// A socket with a conversation.
    pub async fn open(&self) -> Page {
        let mut page = self.connect().await;
        page.initialize(json!({})).await;
        page
    }

    /// A conversation that is gone on with.
    pub async fn come_back(&self, record: &str) -> Page {
        let mut page = self.connect().await;
        page.initialize(json!({ "recordId": record })).await;
        assert_eq!(page.record, record);
        page
    }

    /// Moves the time on when everything that waits for it does.
    pub async fn later(&self, span: Span) {
        settle().await;
        self.fixture.clock.advance(span);
        settle().await;
    }

    /// Sweeps when what was let go is on disk.
    pub async fn sweep(&self) {
        settle().await;
        self.fixture.engine.sweep().await.expect("swept");
        settle().await;
    }

    /// The session's final reason, as the chats' own client sees it.
    pub async fn final_reason(&self, record: &str) -> Value {
        self.fixture.show(record).await["final_reason"].clone()
    }
}

/// Serves a fixture on loopback. The system keeps little for readers that do not read.
pub async fn listen(fixture: &Fixture) -> SocketAddr {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_send_buffer_size(16 * 1024).expect("small");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
    let listener = socket.listen(1_024).expect("listening");
    let address = listener.local_addr().expect("an address");
    let router = fixture.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A socket to a server.
pub async fn connect(address: SocketAddr, token: &str, origin: Option<&str>) -> Page {
    let stream = TcpStream::connect(address).await.expect("connected");
    handshake(stream, address, token, origin).await
}

/// A socket over a stream.
pub async fn handshake(
    stream: TcpStream,
    address: SocketAddr,
    token: &str,
    origin: Option<&str>,
) -> Page {
    let url = format!("ws://{address}/api/v1/ws/webCall?token={token}");
    let mut request = url.into_client_request().expect("a request");
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse().expect("a value"));
    }
    let (socket, _) = client_async(request, stream).await.expect("upgraded");
    Page { socket, record: String::new() }
}

/// One socket.
pub struct Page {
    pub socket: WebSocketStream<TcpStream>,
    /// The conversation, once it has begun.
    pub record: String,
}

impl Page {
    /// Sends a message.
    pub async fn say(&mut self, message: Value) {
        self.send(Message::text(message.to_string())).await;
    }

    /// Sends anything.
    pub async fn send(&mut self, message: Message) {
        self.socket.send(message).await.expect("sent");
    }

    /// Says what the person said.
    pub async fn chat(&mut self, text: &str) {
        self.say(json!({ "type": "incomingChatMessage", "content": text })).await;
    }

    /// Begins a conversation, with more in the first message.
    pub async fn initialize(&mut self, more: Value) {
        let mut first = json!({ "type": "initialize", "request": { "callType": "chat" } });
        first
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        self.say(first).await;
        let connection = self.hear().await;
        assert_eq!(connection["name"], "connection", "{connection}");
        self.record = connection["data"]["recordId"].as_str().map(str::to_owned).expect("an id");
        assert_eq!(self.hear().await["name"], "opened");
    }

    /// The next message.
    pub async fn hear(&mut self) -> Value {
        match self.next().await {
            Message::Text(text) => serde_json::from_str(&text).expect("JSON"),
            other => panic!("not a message: {other:?}"),
        }
    }

    /// The next message of a type, passing over unfinished text.
    pub async fn hear_type(&mut self, kind: &str) -> Value {
        loop {
            let message = self.hear().await;
            if message["content"]["potential"] != true {
                assert_eq!(message["type"], kind, "{message}");
                return message;
            }
        }
    }

    /// The next finished text: who said it, and what.
    pub async fn hear_text(&mut self) -> (String, String) {
        let text = self.hear_type("text").await;
        let part = |name: &str| text["content"][name].as_str().expect("a text").to_owned();
        (part("source"), part("text"))
    }

    /// Says something and hears it echoed and answered.
    pub async fn talk(&mut self, text: &str) -> String {
        self.chat(text).await;
        assert_eq!(self.hear_text().await, ("user".into(), text.into()));
        self.hear_text().await.1
    }

    /// What the server complains of.
    pub async fn complaint(&mut self) -> String {
        let error = self.hear_type("error").await;
        error["data"]["message"].as_str().expect("a text").to_owned()
    }

    /// The code that the socket is closed with.
    pub async fn closed(&mut self) -> u16 {
        loop {
            match self.next().await {
                Message::Close(Some(frame)) => return frame.code.into(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("not closed: {other:?}"),
            }
        }
    }

    /// The socket is refused with these words and this code.
    pub async fn is_refused(&mut self, words: &str, code: u16) {
        assert_eq!(self.complaint().await, words);
        assert_eq!(self.closed().await, code, "{words}");
    }

    /// Hears the end: its result, and that the socket is closed.
    pub async fn hear_end(&mut self) -> Value {
        let result = self.hear_type("conversationResult").await;
        let closed = self.hear().await;
        assert_eq!((&closed["type"], &closed["name"]), (&json!("event"), &json!("closed")));
        assert_eq!(self.closed().await, 1000);
        result
    }

    /// Nothing comes for a moment, pings aside.
    pub async fn hears_nothing(&mut self) {
        let silence = Duration::from_millis(100);
        let next = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Ping(_))) => {}
                    other => return other,
                }
            }
        };
        if let Ok(heard) = tokio::time::timeout(silence, next).await {
            panic!("heard {heard:?}");
        }
    }

    async fn next(&mut self) -> Message {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            match next.expect("something came").expect("not gone").expect("whole") {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }
}
