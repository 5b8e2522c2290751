//! Turns: in which order, who waits, who goes away, and what an end does to them.

use epilogue_core::{EndOutcome, EndReason, Role, Span};
use epilogue_engine::session::{TurnError, TurnEvent, TurnFailure, TurnUsage, WhenBusy};
use futures::StreamExt as _;

use crate::support::{TestEngine, model::USED, rest, settle, soon, text_of};

#[tokio::test]
async fn a_reply_is_passed_on_as_it_comes_and_kept_whole() {
    let app = TestEngine::start().await;
    let mut hand = app.model().by_hand();
    let id = app.open().await;
    let mut stream = app.begin(id, "hello world").await;
    assert_eq!(stream.agent_name, "Agent");
    let answer = hand.next().await.begin();
    for word in ["One ", "two ", "three."] {
        answer.text(word);
        assert_eq!(soon(stream.events.recv()).await, Some(TurnEvent::Text(word.into())));
    }
    answer.end();
    let usage = TurnUsage { input_tokens: 2, output_tokens: USED.completion_tokens };
    assert_eq!(rest(&mut stream).await, [TurnEvent::Completed { usage, finish: false }]);
    let said = ["assistant: Hello!", "user: hello world", "assistant: One two three."];
    assert_eq!(app.said(id).await, said);
    let used = app.session(id).await.usage;
    assert_eq!((used.prompt_tokens, used.model_calls, used.estimated), (100, 1, false));
}

#[tokio::test]
async fn messages_wait_for_their_turn_in_order() {
    let app = TestEngine::start().await;
    let mut hand = app.model().by_hand();
    let id = app.open().await;
    let mut first = app.begin(id, "first").await;
    let asked = hand.next().await;
    let second = app.say_later(id, "second", WhenBusy::Wait);
    settle().await;
    let third = app.say_later(id, "third", WhenBusy::Wait);
    settle().await;
    assert!(!second.is_finished() && !third.is_finished());
    asked.say("1");
    assert_eq!(text_of(&rest(&mut first).await), "1");
    hand.next().await.say("2");
    let mut second = second.await.expect("no panic").expect("its turn");
    assert_eq!(text_of(&rest(&mut second).await), "2");
    hand.next().await.say("3");
    let mut third = third.await.expect("no panic").expect("its turn");
    assert_eq!(text_of(&rest(&mut third).await), "3");
    let users: Vec<_> = app.said(id).await.into_iter().filter(|l| l.starts_with("user")).collect();
    assert_eq!(users, ["user: first", "user: second", "user: third"]);
}

/// Invariant 12, bounded everything: the line of one session has an end, in people and in time.
#[tokio::test]
async fn the_line_is_bounded_in_length_and_in_time() {
    let app = TestEngine::with(|s| s.limits.turns_waiting_max = 2).await;
    let _hand = app.model().by_hand();
    let id = app.open().await;
    let _running = app.begin(id, "first").await;
    let refused = app.try_turn(id, "not to wait", WhenBusy::Reject).await;
    assert!(matches!(refused, Err(TurnError::Busy)));
    let waiting = [(); 2].map(|()| app.say_later(id, "waiting", WhenBusy::Wait));
    settle().await;
    let refused = app.try_turn(id, "one too many", WhenBusy::Wait).await;
    assert!(matches!(refused, Err(TurnError::Overrun)));
    app.advance(app.engine.limits().turn_wait);
    for waiting in waiting {
        let refused = soon(waiting).await.expect("no panic");
        assert!(matches!(refused, Err(TurnError::Overrun)), "{refused:?}");
    }
    assert_eq!(app.session(id).await.usage.user_messages, 1);
}

#[tokio::test]
async fn an_interruption_cuts_the_turn_that_runs_and_keeps_what_was_heard() {
    let app = TestEngine::start().await;
    let mut hand = app.model().by_hand();
    let id = app.open().await;
    let mut first = app.begin(id, "a long story").await;
    let answer = hand.next().await.begin();
    answer.text("Once");
    assert_eq!(soon(first.events.recv()).await, Some(TurnEvent::Text("Once".into())));
    let mut second = app.try_turn(id, "stop", WhenBusy::Interrupt).await.expect("its turn");
    assert_eq!(rest(&mut first).await, [TurnEvent::Failed(TurnFailure::Interrupted)]);
    answer.dropped().await;
    hand.next().await.say("All right.");
    assert_eq!(text_of(&rest(&mut second).await), "All right.");
    let said = app.said(id).await;
    assert_eq!(
        said[1..],
        ["user: a long story", "assistant: Once", "user: stop", "assistant: All right."]
    );
    assert!(app.session(id).await.usage.estimated);
}

/// Invariant 11, the caller may hang up: a dropped reader stops the model, keeps what was
/// generated, bills it, and leaves the place free.
#[tokio::test]
async fn a_reader_that_goes_away_frees_the_place() {
    let app = TestEngine::start().await;
    let mut hand = app.model().by_hand();
    let id = app.open().await;
    let mut stream = app.begin(id, "hello").await;
    let answer = hand.next().await.begin();
    answer.text("Half an");
    soon(stream.events.recv()).await.expect("text");
    drop(stream);
    answer.dropped().await;
    let mut next = app.begin(id, "again").await;
    hand.next().await.say("Whole.");
    rest(&mut next).await;
    let transcript = app.transcript(id).await;
    let kept = &transcript[2].body;
    assert_eq!((kept.content.as_str(), kept.cut, kept.role), ("Half an", true, Role::Assistant));
    assert!(app.session(id).await.usage.output_tokens > USED.completion_tokens);
}

/// Invariant 11: who hangs up while waiting in line leaves no trace, and nobody waits for them.
#[tokio::test]
async fn a_caller_that_leaves_the_line_is_forgotten() {
    let app = TestEngine::start().await;
    let mut hand = app.model().by_hand();
    let id = app.open().await;
    let mut first = app.begin(id, "first").await;
    let asked = hand.next().await;
    let gone = app.say_later(id, "never mind", WhenBusy::Wait);
    settle().await;
    let third = app.say_later(id, "third", WhenBusy::Wait);
    settle().await;
    gone.abort();
    assert!(gone.await.expect_err("aborted").is_cancelled());
    asked.say("1");
    rest(&mut first).await;
    hand.next().await.say("3");
    rest(&mut third.await.expect("no panic").expect("its turn")).await;
    assert!(!app.said(id).await.contains(&"user: never mind".to_owned()));
    assert_eq!(app.session(id).await.turns, 2);
}

/// Invariant 11: a turn whose caller is gone before it heard that it began is carried through.
#[tokio::test]
async fn a_caller_that_leaves_as_the_turn_begins_leaves_a_whole_turn() {
    let app = TestEngine::start().await;
    let id = app.open().await;
    for round in 0..20 {
        let call = app.say_later(id, "hello", WhenBusy::Wait);
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        call.abort();
        let _ = call.await;
    }
    // Whatever became of each, the next one is answered and nothing is left in between.
    let events = app.say(id, "still there?").await;
    assert!(matches!(events.last(), Some(TurnEvent::Completed { .. })), "{events:?}");
    assert_eq!(app.session(id).await.turn_in_flight(), None);
}

/// Invariants 3, 4 and 7: an end during a stream cuts it; what was received is kept, its tokens
/// are in the one settlement, and whoever reads is told.
#[tokio::test]
async fn an_end_during_a_stream_keeps_and_bills_what_was_received() {
    let app = TestEngine::start().await;
    let mut hand = app.model().by_hand();
    let id = app.open().await;
    let mut stream = app.begin(id, "hello").await;
    let answer = hand.next().await.begin();
    answer.text("It is about to be");
    soon(stream.events.recv()).await.expect("text");
    let waiting = app.say_later(id, "and then?", WhenBusy::Wait);
    settle().await;
    let receipt = app.end(id).await;
    let EndOutcome::EndedNow(ended) = receipt.outcome else { panic!("{receipt:?}") };
    assert_eq!(rest(&mut stream).await, [TurnEvent::Failed(TurnFailure::SessionEnded)]);
    answer.dropped().await;
    assert!(matches!(soon(waiting).await.expect("no panic"), Err(TurnError::Over(_))));
    let last = app.transcript(id).await.pop().expect("a message").body;
    assert_eq!((last.content.as_str(), last.cut), ("It is about to be", true));
    let used = receipt.session.usage;
    assert!(used.output_tokens > 0 && used.estimated);
    // 0.01 for each of three messages, and a credit per 1,000 tokens, to four decimals.
    let tokens = i64::try_from(used.input_tokens + used.output_tokens).expect("few");
    assert_eq!(ended.cost.0, 30_000 + (tokens * 10 + 5) / 10 * 1_000);
}

/// One turn at a time holds across nodes: the place is in the store, not in a process.
#[tokio::test]
async fn a_turn_that_runs_on_another_node_keeps_this_one_from_beginning() {
    let app = TestEngine::start().await;
    let mut hand = app.model().by_hand();
    let id = app.open().await;
    let mut stream = app.begin(id, "hello").await;
    let asked = hand.next().await;
    let other = app.process("other");
    let engine = other.engine.clone();
    let refused = soon(engine.turn(crate::support::request(id, "me too"))).await;
    assert!(matches!(refused, Err(TurnError::Busy)), "{refused:?}");
    asked.say("Hello.");
    rest(&mut stream).await;
    assert_eq!(app.said(id).await[1..], ["user: hello", "assistant: Hello."]);
}

/// Invariant 7: an end before the first token gives the model up; nothing is kept or billed of it.
#[tokio::test]
async fn an_end_before_the_first_token_gives_the_model_up() {
    let app = TestEngine::start().await;
    let mut hand = app.model().by_hand();
    let id = app.open().await;
    let mut stream = app.begin(id, "hello").await;
    let asked = hand.next().await;
    assert_eq!(asked.request.messages.len(), 2);
    app.end(id).await;
    assert_eq!(rest(&mut stream).await, [TurnEvent::Failed(TurnFailure::SessionEnded)]);
    assert!(asked.is_given_up());
    assert_eq!(app.said(id).await, ["assistant: Hello!", "user: hello"]);
    let used = app.session(id).await.usage;
    assert_eq!((used.output_tokens, used.model_calls, used.estimated), (0, 0, false));
}

/// Invariant 7, the fence holds: a turn that does not let go is left behind, and what it writes
/// after the end is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_turn_that_does_not_settle_is_fenced_and_its_late_write_refused() {
    let app = TestEngine::start().await;
    let mut hand = app.model().by_hand();
    let id = app.open().await;
    let mut stream = app.begin(id, "hello").await;
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (is_stuck, mut sticks) = tokio::sync::mpsc::unbounded_channel();
    let stuck = futures::stream::poll_fn(move |_| {
        is_stuck.send(()).expect("the test listens");
        // A model that holds its thread: nothing but this ends it.
        let _ = released.recv();
        std::task::Poll::Ready(Some(crate::support::model::text("too late")))
    });
    hand.next().await.begin_with(stuck.boxed());
    soon(sticks.recv()).await.expect("it sticks");
    let (engine, org) = (app.engine.clone(), crate::support::org());
    let ending = tokio::spawn(async move {
        engine.end(&org, id, epilogue_core::EndRequest::asked(EndReason::UserEnd)).await
    });
    settle().await;
    let ended = soon(async {
        while !ending.is_finished() {
            app.advance(Span::from_millis(100));
            tokio::task::yield_now().await;
        }
        ending.await.expect("no panic").expect("no fault").expect("it exists")
    });
    let receipt = ended.await;
    assert!(receipt.outcome.is_new());
    let said = app.said(id).await;
    drop(release);
    assert_eq!(rest(&mut stream).await.last(), Some(&TurnEvent::Failed(TurnFailure::SessionEnded)));
    assert_eq!(app.said(id).await, said);
    assert_eq!(app.session(id).await.usage, receipt.session.usage);
}

/// Invariant 12: a reader that neither reads nor goes away is given up on.
#[tokio::test]
async fn a_reader_that_stands_still_counts_as_gone() {
    let app = TestEngine::start().await;
    let mut hand = app.model().by_hand();
    let id = app.open().await;
    let stream = app.begin(id, "a long story").await;
    let answer = hand.next().await.begin();
    for _ in 0..100 {
        answer.text("word ");
    }
    answer.end();
    settle().await;
    assert!(app.session(id).await.turn_in_flight().is_some());
    app.advance(app.engine.limits().reader_stall);
    answer.dropped().await;
    app.advance(app.engine.limits().reader_stall);
    let mut next = app.begin(id, "are you there?").await;
    hand.next().await.say("Yes.");
    assert_eq!(text_of(&rest(&mut next).await), "Yes.");
    let transcript = app.transcript(id).await;
    let words = transcript[2].body.content.split_whitespace().count();
    assert!(transcript[2].body.cut && (64..100).contains(&words), "{words} words");
    drop(stream);
}

#[tokio::test]
async fn a_turn_that_takes_too_long_is_cut() {
    let app = TestEngine::start().await;
    let mut hand = app.model().by_hand();
    let id = app.open().await;
    let mut stream = app.begin(id, "hello").await;
    let answer = hand.next().await.begin();
    answer.text("Well");
    soon(stream.events.recv()).await.expect("text");
    app.advance(Span::from_millis(app.engine.limits().turn_max.as_millis() - 1));
    settle().await;
    answer.text(" then");
    assert_eq!(soon(stream.events.recv()).await, Some(TurnEvent::Text(" then".into())));
    app.advance(crate::support::MS);
    assert_eq!(rest(&mut stream).await, [TurnEvent::Failed(TurnFailure::TooLong)]);
    assert_eq!(app.said(id).await.last().map(String::as_str), Some("assistant: Well then"));
}
