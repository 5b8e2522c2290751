//! One request and its answer.

use axum::body::Body;
use http::{HeaderMap, Request, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use super::World;

/// A request to be sent. Paths are below `/epilogue/v1`, unless they begin with `//`.
pub struct Call<'a> {
    world: &'a World,
    method: String,
    path: String,
    headers: HeaderMap,
    body: String,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    /// The text as JSON; null if it is none.
    pub body: Value,
}

impl<'a> Call<'a> {
    pub fn new(world: &'a World, method: &str, path: &str) -> Self {
        let path = match path.strip_prefix("//") {
            Some(rest) => format!("/{rest}"),
            None => format!("/epilogue/v1{path}"),
        };
        let (method, headers) = (method.to_owned(), HeaderMap::new());
        Self { world, method, path, headers, body: String::new() }
    }

    pub fn key(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    pub fn anonymous(mut self) -> Self {
        self.headers.remove(header::AUTHORIZATION);
        self
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().expect("a header"));
        self
    }

    pub fn json(self, body: impl Into<Value>) -> Self {
        self.raw(body.into().to_string())
    }

    pub fn raw(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it and gives back the answer with its body still on its way.
    pub async fn begin(self) -> http::Response<Body> {
        let mut request = Request::builder().method(&*self.method).uri(&self.path);
        request.headers_mut().expect("a request").extend(self.headers);
        let request = request.body(Body::from(self.body)).expect("a request");
        self.world.router.clone().oneshot(request).await.expect("infallible")
    }

    /// Sends it and reads the whole answer.
    pub async fn send(self) -> Answer {
        Answer::read(self.begin().await).await
    }
}

impl Answer {
    pub async fn read(response: http::Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a whole body").to_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let body = serde_json::from_str(&text).unwrap_or_default();
        Self { status: parts.status.as_u16(), headers: parts.headers, text, body }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("ASCII"))
    }

    /// The events of a stream: name and data.
    pub fn events(&self) -> Vec<(String, Value)> {
        assert_eq!(self.header("content-type"), Some("text/event-stream"));
        let blocks = self.text.split("\n\n").filter(|block| !block.is_empty());
        blocks
            .map(|block| {
                let [event, data] = &block.lines().collect::<Vec<_>>()[..] else {
                    panic!("not an event and one line of data: {block}");
                };
                let event = event.strip_prefix("event: ").expect("a name").to_owned();
                let data = data.strip_prefix("data: ").expect("data");
                (event, serde_json::from_str(data).expect("JSON"))
            })
            .collect()
    }

    /// Asserts that it is a problem of this status and type, and that it says so in full.
    #[track_caller]
    pub fn is_problem(&self, status: u16, slug: &str) -> &str {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(self.body["type"], format!("/epilogue/problems/{slug}"), "{}", self.text);
        assert_eq!(self.body["status"], status);
        assert!(self.body["title"].as_str().is_some_and(|title| !title.is_empty()));
        self.body["detail"].as_str().expect("a detail")
    }
}
