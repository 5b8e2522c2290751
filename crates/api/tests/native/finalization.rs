//! What an end owes: steps, webhooks, and doing either again.

use serde_json::{Value, json};

use crate::native_support::World;

fn states(session: &Value) -> Vec<(&str, &str)> {
    let steps = session["steps"].as_array().expect("steps").iter();
    steps.map(|step| (word(&step["kind"]), word(&step["state"]))).collect()
}

fn word(value: &Value) -> &str {
    value.as_str().expect("a word")
}

#[tokio::test]
async fn a_session_shows_every_step_owed_or_not() {
    let world = World::start().await;
    let (session, _) = world.open().await;
    world.say(&session, "Was it resolved?").await;
    let path = format!("/sessions/{session}");
    let show = || world.get(&path);
    let open = show().send().await.body;
    assert_eq!(
        states(&open),
        [
            ("release_media", "not_owed"),
            ("ingest_memory", "not_owed"),
            ("analyze", "planned"),
            ("record_result", "not_owed"),
            ("notify_ended", "planned"),
            ("notify_finalized", "planned"),
            ("purge", "not_owed"),
        ]
    );
    world.end(&session).await;
    assert_eq!(
        states(&show().send().await.body)[2..5],
        [("analyze", "owed"), ("record_result", "not_owed"), ("notify_ended", "owed")]
    );
    world.finalize().await;
    let done = show().send().await;
    insta::assert_json_snapshot!("finalized", done.body);
}

#[tokio::test]
async fn webhooks_say_what_the_documentation_says() {
    let world = World::start().await;
    let (session, _) = world.open().await;
    world.say(&session, "Was it resolved?").await;
    world.end(&session).await;
    world.finalize().await;
    let heard = world.receiver.heard();
    let bodies: Vec<Value> =
        heard.iter().map(|request| serde_json::from_str(&request.body).expect("JSON")).collect();
    insta::assert_json_snapshot!("webhooks", bodies);
    for (request, body) in heard.iter().zip(&bodies) {
        assert_eq!(body["id"], request.id.as_str());
    }
    insta::assert_snapshot!("webhook_bytes", heard[0].body);
}

#[tokio::test]
async fn a_parked_step_is_seen_and_resumed() {
    let world = World::start().await;
    let (session, _) = world.open().await;
    world.end(&session).await;
    world.receiver.answers(410);
    world.finalize().await;
    let parked = world.get("/steps?state=parked").send().await;
    insta::assert_json_snapshot!("parked", parked.body);
    let ready = world.get("//health/ready").anonymous().send().await;
    assert_eq!((ready.status, &ready.body["status"]), (200, &json!("degraded")));
    assert_eq!(ready.body["parked_steps"], 2);

    world.receiver.answers(200);
    for step in parked.body["items"].as_array().expect("steps") {
        let retry = || world.post(&format!("/steps/{}/retry", word(&step["id"])));
        let resumed = retry().send().await;
        assert_eq!((resumed.status, &resumed.body["state"]), (200, &json!("owed")));
        assert!(retry().send().await.is_problem(409, "wrong-state").contains("owed"));
    }
    world.finalize().await;
    assert_eq!(world.get(&format!("/sessions/{session}")).send().await.body["state"], "final");
    assert_eq!(world.get("//health/ready").send().await.body["status"], "ok");
    let log = world.get("/activity").send().await.body;
    let kinds: Vec<_> =
        log["items"].as_array().expect("entries").iter().map(|e| word(&e["kind"])).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "step.resumed").count(), 2, "{kinds:?}");
}

#[tokio::test]
async fn a_step_that_does_not_exist_is_not_resumed() {
    let world = World::start().await;
    let unknown = "stp_0190c0de00007000800000000000000a_notify_ended";
    for id in [unknown, "nonsense"] {
        world.post(&format!("/steps/{id}/retry")).send().await.is_problem(404, "not-found");
    }
}

#[tokio::test]
async fn steps_are_listed_by_state_and_session() {
    let world = World::start().await;
    let (first, _) = world.open().await;
    let (second, _) = world.open().await;
    world.end(&first).await;
    world.end(&second).await;
    let count = |query: &str| {
        let call = world.get(&format!("/steps{query}"));
        async move { call.send().await.body["items"].as_array().map(Vec::len) }
    };
    assert_eq!(count("").await, Some(4));
    assert_eq!(count("?state=owed").await, Some(2));
    assert_eq!(count(&format!("?session={first}")).await, Some(2));
    assert_eq!(count(&format!("?session={first}&state=waiting")).await, Some(1));
    world.get("/steps?session=none").send().await.is_problem(404, "not-found");
    let refused = world.get("/steps?state=happy").send().await;
    assert!(refused.is_problem(400, "invalid-request").contains("parked"));
}

#[tokio::test]
async fn a_delivery_that_is_sent_again_keeps_its_id_and_body() {
    let world = World::start().await;
    let (session, _) = world.open().await;
    world.end(&session).await;
    world.finalize().await;
    let first = world.receiver.heard().remove(0);
    let path = format!("/deliveries/{}", first.id);
    world.wait(60);
    let resend = || world.post(&format!("{path}/resend"));
    assert_eq!(resend().send().await.status, 202);
    resend().send().await.is_problem(409, "wrong-state");
    world.finalize().await;
    let again = world.receiver.heard().pop().expect("a delivery");
    assert_eq!((&again.id, &again.body), (&first.id, &first.body));
    let shown = world.get(&path).send().await.body;
    assert_eq!((&shown["attempts_made"], word(&shown["body"])), (&json!(2), first.body.as_str()));
    world.post("/deliveries/none/resend").send().await.is_problem(404, "not-found");
}

#[tokio::test]
async fn deliveries_show_what_was_answered() {
    let world = World::start().await;
    let (session, _) = world.open().await;
    world.end(&session).await;
    world.receiver.answers(500);
    world.finalize().await;
    let list = |query: &str| world.get(&format!("/deliveries?session={session}{query}"));
    let failed = list("&accepted=false").send().await.body;
    let id = word(&failed["items"][0]["id"]).to_owned();
    world.receiver.answers(200);
    world.wait(10);
    world.finalize().await;
    let accepted = list("&accepted=true").send().await.body;
    assert!(accepted["items"].as_array().expect("items").iter().any(|d| d["id"] == *id));
    insta::assert_json_snapshot!(
        "delivery",
        world.get(&format!("/deliveries/{id}")).send().await.body
    );
    world.get("/deliveries/none").send().await.is_problem(404, "not-found");
}
