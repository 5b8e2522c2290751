//! A fake model. By itself it answers every request alike; by hand, the test decides each piece.

use std::sync::Mutex;

use async_trait::async_trait;
use epilogue_core::message::ToolCall;
use epilogue_engine::llm::{
    LanguageModel, ModelError, ModelEvent, ModelRequest, ModelStream, ModelUsage,
};
use futures::{StreamExt as _, stream};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{schedule::Pace, soon};

type Piece = Result<ModelEvent, ModelError>;
type Rule = Box<dyn FnMut(&ModelRequest) -> Result<Vec<Piece>, ModelError> + Send>;

/// What the fake says it used for every answer it gives by itself.
pub const USED: ModelUsage = ModelUsage { prompt_tokens: 100, completion_tokens: 10 };

enum Mode {
    ByItself(Rule),
    ByHand(mpsc::UnboundedSender<Asked>),
}

/// A fake model that remembers what it was asked.
pub struct FakeModel {
    mode: Mutex<Mode>,
    asked: Mutex<Vec<ModelRequest>>,
    pace: Pace,
}

impl FakeModel {
    /// A model that lets others go first before every piece.
    pub fn new(pace: Pace) -> Self {
        let rule: Rule = Box::new(|_| Ok(vec![text("Certainly."), end()]));
        Self { mode: Mutex::new(Mode::ByItself(rule)), asked: Mutex::default(), pace }
    }

    /// From now on the test answers every request itself.
    pub fn by_hand(&self) -> Hand {
        let (asked, requests) = mpsc::unbounded_channel();
        *self.mode.lock().expect("not poisoned") = Mode::ByHand(asked);
        Hand { requests }
    }

    /// From now on every request is answered by this rule.
    pub fn by_rule(
        &self,
        rule: impl FnMut(&ModelRequest) -> Result<Vec<Piece>, ModelError> + Send + 'static,
    ) {
        *self.mode.lock().expect("not poisoned") = Mode::ByItself(Box::new(rule));
    }

    /// From now on the answers are these, one request each; the last one stays.
    pub fn answers(&self, answers: impl IntoIterator<Item = Vec<Piece>>) {
        let mut answers: std::collections::VecDeque<Vec<Piece>> = answers.into_iter().collect();
        self.by_rule(move |_| Ok(answers.pop_front().unwrap_or_else(|| vec![end()])));
    }

    /// Everything it was asked so far.
    pub fn asked(&self) -> Vec<ModelRequest> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

#[async_trait]
impl LanguageModel for FakeModel {
    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        self.asked.lock().expect("not poisoned").push(request.clone());
        let answer = match &mut *self.mode.lock().expect("not poisoned") {
            Mode::ByItself(rule) => {
                let pace = self.pace.clone();
                let paced = move |piece| aside(pace.clone(), piece);
                return rule(&request).map(|pieces| stream::iter(pieces).then(paced).boxed());
            }
            Mode::ByHand(asked) => {
                let (begin, answer) = oneshot::channel();
                // A test that no longer listens leaves the model silent.
                let _ = asked.send(Asked { request, begin });
                answer
            }
        };
        match answer.await {
            Ok(answer) => answer,
            Err(_) => std::future::pending().await,
        }
    }
}

/// Lets others go first before the next piece.
async fn aside(pace: Pace, piece: Piece) -> Piece {
    pace.aside("model").await;
    piece
}

/// The test's hand on the fake model.
pub struct Hand {
    requests: mpsc::UnboundedReceiver<Asked>,
}

impl Hand {
    /// The next request.
    pub async fn next(&mut self) -> Asked {
        soon(self.requests.recv()).await.expect("the model lives")
    }
}

/// A request that waits for its first piece. Dropped, it waits for ever.
pub struct Asked {
    pub request: ModelRequest,
    begin: oneshot::Sender<Result<ModelStream, ModelError>>,
}

impl Asked {
    /// Begins to answer.
    pub fn begin(self) -> Answer {
        let (pieces, stream) = mpsc::unbounded_channel();
        let stream = UnboundedReceiverStream::new(stream).boxed();
        // A turn that was cut meanwhile no longer listens.
        let _ = self.begin.send(Ok(stream));
        Answer { pieces }
    }

    /// Answers with this stream.
    pub fn begin_with(self, stream: ModelStream) {
        let _ = self.begin.send(Ok(stream));
    }

    /// Answers with a whole text.
    pub fn say(self, words: &str) {
        self.begin().text(words).end();
    }

    /// Fails before the first piece.
    pub fn fail(self, error: ModelError) {
        let _ = self.begin.send(Err(error));
    }

    /// Whether the request was given up on.
    pub fn is_given_up(&self) -> bool {
        self.begin.is_closed()
    }
}

/// An answer on its way. Dropped without an end, it breaks off.
pub struct Answer {
    pieces: mpsc::UnboundedSender<Piece>,
}

impl Answer {
    pub fn send(&self, piece: Piece) -> &Self {
        // A turn that was cut meanwhile no longer listens.
        let _ = self.pieces.send(piece);
        self
    }

    pub fn text(&self, words: &str) -> &Self {
        self.send(text(words))
    }

    pub fn end(&self) {
        self.send(end());
    }

    /// Ready when the turn has dropped the stream.
    pub async fn dropped(&self) {
        soon(self.pieces.closed()).await;
    }
}

/// A piece of text.
#[expect(clippy::unnecessary_wraps, reason = "a piece of a stream")]
pub fn text(words: &str) -> Piece {
    Ok(ModelEvent::Text(words.to_owned()))
}

/// A tool call.
#[expect(clippy::unnecessary_wraps, reason = "a piece of a stream")]
pub fn call(id: &str, name: &str) -> Piece {
    let call = ToolCall { id: id.into(), name: name.into(), arguments: "{}".into() };
    Ok(ModelEvent::ToolCall(call))
}

/// The end of an answer, with [`USED`].
#[expect(clippy::unnecessary_wraps, reason = "a piece of a stream")]
pub fn end() -> Piece {
    Ok(ModelEvent::End { usage: Some(USED) })
}
