//! The embedded graph by itself: long conversations in many attempts, killed and raced, and what is asked
//! of it.

use std::sync::Arc;

use epilogue_core::{Message, OrgId, Role, SessionId, Span, Timestamp, message::NewMessage};
use epilogue_engine::{
    ids::Ids,
    llm::ModelError,
    memory::{
        Conversation, EmbeddedMemory, Embeddings, Ingested, Memory as _, MemoryError,
        RecallRequest, Recollection,
    },
};
use epilogue_storage::PageRequest;
use serde_json::json;

use crate::{
    graph::{ann, asked, by_the_words, lives, reading, said, scope},
    support::{
        TestEngine,
        model::{end, text},
        org, settle,
    },
};

const DAY: i64 = 86_400_000;

/// A memory of its own, outside any engine.
struct Apart {
    app: TestEngine,
    memory: EmbeddedMemory,
}

impl Apart {
    async fn new() -> Self {
        let app = TestEngine::with(reading).await;
        Self { memory: Self::memory(&app), app }
    }

    fn memory(app: &TestEngine) -> EmbeddedMemory {
        let clock = Arc::new(app.world.clock.clone());
        let ids = Arc::new(Ids::seeded(9));
        EmbeddedMemory::new(app.storage.clone(), app.world.model.clone(), clock, ids)
    }

    /// Facts by their sentences, and how many sources they have.
    async fn known(&self) -> Vec<(String, usize)> {
        let mut known = Vec::new();
        let mut page = PageRequest::first(500);
        loop {
            let facts = self.app.storage.list_facts(&org(), &scope(), &page).await.expect("read");
            let each = facts.items.into_iter();
            known.extend(each.map(|view| (view.fact.sentence, view.sources.len())));
            let Some(after) = facts.next else { break };
            page.after = Some(after);
        }
        known.sort();
        known
    }
}

/// A conversation of so many messages, a fact in each, each a day after the other.
fn conversation(messages: u32) -> Conversation {
    let at = |n: u32| Timestamp::from_millis(i64::from(n) * DAY);
    let message = |n| {
        let body = NewMessage::text(Role::User, format!("I live in {n}"), at(n));
        Message { seq: n, turn: n, body }
    };
    Conversation {
        org: org(),
        scope: scope(),
        person: ann(),
        session: SessionId(uuid::Uuid::from_u128(1)),
        began_at: at(0),
        at: at(messages),
        messages: (0..messages).map(message).collect(),
        model: Some(serde_json::from_value(json!({ "provider": "openai" })).expect("a model")),
        patience: Span::from_secs(25),
    }
}

/// Too long for one attempt: it comes back unfinished, uses up no attempt, and is read whole.
#[tokio::test]
async fn a_conversation_of_5000_messages_is_read_whole_over_many_attempts() {
    let apart = Apart::new().await;
    let clock = apart.app.world.clock.clone();
    apart.app.model().by_rule(move |request| {
        clock.advance(Span::from_secs(3));
        let part = asked(request);
        let last = said(&part).pop().expect("a message");
        let place = last.strip_prefix("I live in ").expect("a place");
        Ok(vec![text(&json!({ "facts": [lives(place)], "ended": [] }).to_string()), end()])
    });
    let mut attempts = 0;
    loop {
        attempts += 1;
        match apart.memory.ingest(conversation(5_000)).await.expect("it goes on") {
            Ingested::Unfinished { .. } => {}
            Ingested::Remembered(detail) => {
                assert!(detail.contains("5000 of 5000 messages read"), "{detail}");
                break;
            }
            Ingested::Forgotten => panic!("nobody was forgotten"),
        }
    }
    assert!((20..=40).contains(&attempts), "{attempts}");
    let known = apart.known().await;
    assert_eq!(known.len(), 125, "a fact of each part");
    assert!(known.iter().all(|(_, sources)| *sources == 1));
    assert!(known.contains(&("The user lives in 4999.".to_owned(), 1)));
    let asked = apart.app.model().asked().len();
    let again = apart.memory.ingest(conversation(5_000)).await.expect("nothing to do");
    assert!(matches!(again, Ingested::Remembered(_)));
    assert_eq!(apart.app.model().asked().len(), asked, "and nobody is asked again");
}

/// The process dies at any moment; whoever comes next goes on, and no part counts twice.
#[tokio::test]
async fn wherever_it_is_killed_no_part_is_lost_or_counted_twice() {
    let undisturbed = Apart::new().await;
    by_the_words(&undisturbed.app);
    undisturbed.memory.ingest(conversation(90)).await.expect("remembered");
    let expected = undisturbed.known().await;
    assert_eq!(expected.len(), 90);
    for polls in 1..60 {
        let apart = Apart::new().await;
        by_the_words(&apart.app);
        // It is let go on so often, and then never again.
        let mut left = polls;
        let mut dying = Box::pin(apart.memory.ingest(conversation(90)));
        let finished = std::future::poll_fn(|cx| {
            if left == 0 {
                return std::task::Poll::Ready(false);
            }
            left -= 1;
            dying.as_mut().poll(cx).map(|_| true)
        })
        .await;
        drop(dying);
        settle().await;
        let next = Apart::memory(&apart.app);
        let done = next.ingest(conversation(90)).await.expect("remembered");
        assert!(matches!(done, Ingested::Remembered(_)), "{done:?}");
        assert_eq!(apart.known().await, expected, "killed after {polls}");
        if finished {
            break;
        }
    }
}

/// A part that fails comes first in the next attempt: only then does it count as a failure.
#[tokio::test]
async fn whoever_got_further_has_not_failed() {
    let apart = Apart::new().await;
    let mut count = 0;
    apart.app.model().by_rule(move |_| {
        count += 1;
        match count {
            1 | 4 => Ok(vec![text("{\"facts\":[],\"ended\":[]}"), end()]),
            _ => Err(ModelError::Incomplete),
        }
    });
    let first = apart.memory.ingest(conversation(80)).await.expect("half of it");
    assert!(matches!(first, Ingested::Unfinished { .. }), "{first:?}");
    let second = apart.memory.ingest(conversation(80)).await;
    assert!(matches!(second, Err(MemoryError::Model(ModelError::Incomplete))), "{second:?}");
    let third = apart.memory.ingest(conversation(80)).await.expect("the rest");
    assert!(matches!(third, Ingested::Remembered(_)), "{third:?}");
}

/// Two at once on one conversation come to what one would.
#[tokio::test]
async fn two_who_read_one_conversation_learn_it_once() {
    let apart = Apart::new().await;
    by_the_words(&apart.app);
    let other = Apart::memory(&apart.app);
    let both =
        tokio::join!(apart.memory.ingest(conversation(120)), other.ingest(conversation(120)),);
    both.0.expect("remembered");
    both.1.expect("remembered");
    let known = apart.known().await;
    assert_eq!(known.len(), 120);
    assert!(known.iter().all(|(_, sources)| *sources == 1), "{known:?}");
}

/// A fake that says what sentences are like: whether they are about food.
struct FakeEmbeddings;

#[async_trait::async_trait]
impl Embeddings for FakeEmbeddings {
    fn model(&self) -> &'static str {
        "fake"
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, MemoryError> {
        let food = |text: &String| ["olives", "hungry"].iter().any(|word| text.contains(word));
        Ok(texts.iter().map(|t| if food(t) { vec![1.0, 0.0] } else { vec![0.0, 1.0] }).collect())
    }
}

async fn recall(memory: &EmbeddedMemory, query: &str, as_of: Option<Timestamp>) -> Recollection {
    let (org, scope): (OrgId, _) = (org(), scope());
    let query = Some(query.to_owned());
    let asked = RecallRequest { org, scope, query, as_of, limit: 5 };
    memory.recall(&asked).await.expect("recalled").unwrap_or_default()
}

#[tokio::test]
async fn what_no_word_finds_is_found_by_what_it_is_like() {
    let apart = Apart::new().await;
    let fact = |relation: &str, object: &str| {
        let mut fact = lives(object);
        fact["relation"] = json!(relation);
        fact["sentence"] = json!(format!("The user {relation} {object}."));
        fact["exclusive"] = json!(false);
        fact
    };
    let facts = json!({ "facts": [fact("likes", "olives"), fact("plays", "cello")], "ended": [] });
    apart.app.model().by_rule(move |_| Ok(vec![text(&facts.to_string()), end()]));
    let memory = Apart::memory(&apart.app).with_embeddings(Some(Arc::new(FakeEmbeddings)));
    memory.ingest(conversation(1)).await.expect("remembered");
    let by_words = recall(&apart.memory, "hungry?", None).await;
    let first = by_words.facts.first().map(|fact| fact.sentence.as_str());
    assert_eq!(
        first,
        Some("The user plays cello."),
        "no word fits, so the last one told comes first"
    );
    let alike = recall(&memory, "hungry?", None).await;
    assert_eq!(alike.facts[0].sentence, "The user likes olives.");
    assert_eq!(
        (alike.facts[0].subject.as_str(), alike.facts[0].object.as_str()),
        ("user", "olives")
    );
}

#[tokio::test]
async fn a_question_is_answered_as_of_a_date() {
    let apart = Apart::new().await;
    by_the_words(&apart.app);
    apart.memory.ingest(conversation(3)).await.expect("remembered");
    for day in 0..3 {
        let at = Timestamp::from_millis(i64::from(day) * DAY + 1);
        let found = recall(&apart.memory, "Where does the user live?", Some(at)).await;
        let sentences: Vec<_> = found.facts.iter().map(|fact| fact.sentence.as_str()).collect();
        // All three were told in one part, which has one time: the facts are exclusive, and the last counts.
        let expected: &[&str] = if day == 2 { &["The user lives in 2."] } else { &[] };
        assert_eq!(sentences, expected, "on day {day}");
    }
}
