//! The turn that runs, as the socket hears of it: text that grows, and in the end what is on record.

use epilogue_engine::{
    clock::Sleep,
    session::{TurnNews, TurnRecord, TurnRequest, WholeTurnError},
};
use futures::future::BoxFuture;
use tokio::sync::mpsc;

use super::{NEWS_MAX, SHOW_EVERY};
use crate::Api;

/// What is heard of a turn.
pub(super) enum TurnEvent {
    /// Something happens in it.
    News(TurnNews),
    /// Its unfinished text is to be shown.
    Show,
    /// It is over.
    Done(Box<Result<TurnRecord, WholeTurnError>>),
}

/// A turn that runs. Dropping it cuts nothing: it is carried through, and its answer is on record.
pub(super) struct Turn {
    /// What the person said.
    pub said: String,
    news: mpsc::Receiver<TurnNews>,
    done: BoxFuture<'static, Result<TurnRecord, WholeTurnError>>,
    partial: String,
    shown: usize,
    show_at: Option<Sleep>,
}

impl Turn {
    /// Begins a turn.
    pub fn begin(api: &Api, said: String, request: TurnRequest) -> Self {
        let (sender, news) = mpsc::channel(NEWS_MAX);
        let done = api.engine().told_turn(request, sender);
        Self { said, news, done, partial: String::new(), shown: 0, show_at: None }
    }

    /// What is heard of it next. Dropping it loses nothing.
    pub async fn next(&mut self) -> TurnEvent {
        let is_waiting = self.show_at.is_some();
        let show = async {
            match &mut self.show_at {
                Some(at) => at.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            news = self.news.recv() => match news {
                Some(news) => TurnEvent::News(news),
                None => TurnEvent::Done(Box::new((&mut self.done).await)),
            },
            () = show, if is_waiting => TurnEvent::Show,
        }
    }

    /// More of the reply. Its first piece is to be shown at once, what follows when there has been
    /// time for more of it.
    pub fn grow(&mut self, text: &str, api: &Api) -> Option<&str> {
        self.partial.push_str(text);
        if self.show_at.is_some() {
            return None;
        }
        self.show_at = Some(api.engine().clock().sleep(SHOW_EVERY));
        self.shown = self.partial.len();
        Some(&self.partial)
    }

    /// The unfinished text, unless it has been shown as it is.
    pub fn show(&mut self, api: &Api) -> Option<&str> {
        self.show_at = None;
        if self.shown == self.partial.len() {
            return None;
        }
        self.show_at = Some(api.engine().clock().sleep(SHOW_EVERY));
        self.shown = self.partial.len();
        Some(&self.partial)
    }

    /// The text so far is a message of its own; what comes next is another.
    pub fn next_message(&mut self) {
        self.partial.clear();
        self.shown = 0;
    }
}
