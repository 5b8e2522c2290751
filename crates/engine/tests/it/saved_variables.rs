//! Variables that the agent saves while it talks.

use epilogue_core::{message::ToolCall, variables::BAG_BYTES_MAX};
use epilogue_engine::{
    llm::{ModelError, ModelEvent},
    session::{TurnEvent, TurnFailure},
    tool::{ARGUMENTS_BYTES_MAX, LONG_ARGUMENTS},
};
use serde_json::{Value, json};

use crate::support::{
    TestEngine,
    caller::runs_tools,
    model::{end, text},
};

type Piece = Result<ModelEvent, ModelError>;

async fn engine() -> TestEngine {
    TestEngine::with(|setup| {
        runs_tools(setup);
        setup.agent["prompt"] = "You talk to {{name}}.".into();
        setup.agent["variables"] = json!([
            { "key": "name", "type": "string", "description": "The person's name." },
            { "key": "age", "type": "integer" },
        ]);
    })
    .await
}

#[expect(clippy::unnecessary_wraps, reason = "a piece of a stream")]
fn save(id: &str, arguments: &str) -> Piece {
    let call =
        ToolCall { id: id.into(), name: "save_variables".into(), arguments: arguments.into() };
    Ok(ModelEvent::ToolCall(call))
}

async fn bag(app: &TestEngine, id: epilogue_core::SessionId) -> Value {
    Value::Object(app.session(id).await.context.bag)
}

#[tokio::test]
async fn what_the_agent_saves_is_kept_and_used_from_the_next_turn_on() {
    let app = engine().await;
    app.model().answers([
        vec![save("s", r#"{"name":"Ann {{age}}","age":null}"#), end()],
        vec![text("Hello, Ann."), end()],
        vec![text("Yes, Ann."), end()],
    ]);
    let id = app.open().await;
    let events = app.say(id, "I am Ann").await;
    assert_eq!(events.len(), 2, "the person hears nothing of it: {events:?}");
    assert_eq!(bag(&app, id).await, json!({ "name": "Ann {{age}}" }));
    app.say(id, "Do you know me?").await;
    let asked = app.model().asked();
    let offered = asked[0].tools.iter().find(|tool| tool.name == "save_variables");
    let properties = &offered.expect("offered").parameters["properties"];
    assert_eq!(properties["name"]["description"], "The person's name.");
    assert_eq!(properties["age"]["type"], "integer");
    assert_eq!(asked[1].messages.last().expect("a result").body.content, "Saved.");
    assert_eq!(asked[2].system, "You talk to Ann {{age}}.", "filled in once");
}

#[tokio::test]
async fn what_is_not_of_its_type_is_refused_in_words() {
    let app = engine().await;
    app.model().answers([
        vec![save("a", r#"{"name":"Ann","age":"seven","x":1}"#), save("b", "[1]"), end()],
        vec![text("Well."), end()],
    ]);
    let id = app.open().await;
    app.say(id, "I am Ann").await;
    assert_eq!(bag(&app, id).await, json!({ "name": "Ann" }), "what fits is kept");
    let told: Vec<_> = app.model().asked()[1].messages.iter().rev().take(2).cloned().collect();
    assert!(told[1].body.content.contains("age must be of type integer; there is no variable x"));
    assert!(told[0].body.content.contains("must be one JSON object"));
}

#[tokio::test]
async fn a_turn_that_leaves_no_trace_saves_nothing() {
    let app = engine().await;
    let mut first = true;
    app.model().by_rule(move |_| {
        if std::mem::take(&mut first) {
            Ok(vec![save("s", r#"{"name":"Ann"}"#), end()])
        } else {
            Err(ModelError::Incomplete)
        }
    });
    let id = app.open().await;
    let events = app.say(id, "I am Ann").await;
    assert_eq!(events.last(), Some(&TurnEvent::Failed(TurnFailure::Model)));
    assert_eq!(bag(&app, id).await, json!({}));
    assert_eq!(app.session(id).await.messages, 0);
}

#[tokio::test]
async fn what_is_too_long_is_refused_in_words() {
    let app = engine().await;
    let named = |chars: usize| json!({ "name": "x".repeat(chars) }).to_string();
    app.model().answers([
        vec![
            save("a", &named(ARGUMENTS_BYTES_MAX - 10)),
            save("b", &named(ARGUMENTS_BYTES_MAX - 11)),
            save("c", &named(100)),
            save("d", &named(10)),
            end(),
        ],
        vec![text("Well."), end()],
    ]);
    // Beside it, the bag takes a name of some 20 characters.
    let full = json!({ "full": "x".repeat(BAG_BYTES_MAX - 40) });
    let bag = full.as_object().cloned().expect("an object");
    let id = app.open_with(|opening| opening.origin.bag = bag).await;
    app.say(id, "hello").await;
    let told: Vec<_> = app.model().asked()[1].messages.iter().rev().take(4).cloned().collect();
    let told: Vec<_> = told.iter().rev().map(|message| &*message.body.content).collect();
    let too_long = "Not saved: the values are too long.";
    assert_eq!(told, [LONG_ARGUMENTS, too_long, too_long, "Saved."]);
    assert_eq!(self::bag(&app, id).await["name"], "x".repeat(10));
}
