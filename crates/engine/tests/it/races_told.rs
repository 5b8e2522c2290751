//! Subscribers come and go while sessions of their project open, tell and end.

use epilogue_core::{EndReason, EndRequest, ProjectId, StepKind, StepState};

use crate::{
    subscribers::{open_in_project, subscribe},
    support::{
        is_final, join, org,
        rounds::{Round, races},
    },
};

races! {
    an_end_tells_whoever_subscribes_at_that_moment,
    a_start_is_told_or_its_subscriber_is_gone,
}

/// Invariants 3 and 5: a subscriber that leaves as a session ends is owed all that it asked for, or
/// nothing; whatever it is owed settles.
async fn an_end_tells_whoever_subscribes_at_that_moment(mut round: Round) {
    let app = round.engine().await;
    let stays = subscribe(&app, "stays.example", &["session.ended"]).await;
    let leaves = subscribe(&app, "leaves.example", &["session.ended", "session.finalized"]).await;
    let id = open_in_project(&app).await;
    let engine = app.engine.clone();
    let leaving = round.dice.contend(async move {
        engine.unsubscribe(&org(), &ProjectId::from("p"), leaves.id, None).await
    });
    let engine = app.engine.clone();
    let ending = round.dice.contend(async move {
        engine.end(&org(), id, EndRequest::asked(EndReason::UserEnd)).await
    });
    let worker = app.worker.clone();
    let working = round.dice.contend(async move { worker.run_until_idle().await });
    assert!(join(leaving).await.expect("asked"));
    join(ending).await.expect("ended");
    join(working).await.expect("worked");
    app.run_until_idle().await;
    assert!(is_final(&app.session(id).await));
    let steps = app.engine.steps_of(&org(), id).await.expect("read");
    let owed = |to| steps.iter().filter(|(step, _)| step.target == Some(to)).count();
    assert!([0, 2].contains(&owed(leaves.id)), "all of it or nothing: {steps:?}");
    assert_eq!(owed(stays.id), 1);
}

/// Invariant 5: a session whose start is being told ends, and its subscriber leaves: the step is done
/// or skipped, and the session is final, whatever came first.
async fn a_start_is_told_or_its_subscriber_is_gone(mut round: Round) {
    let app = round.engine().await;
    let leaves = subscribe(&app, "leaves.example", &["session.started"]).await;
    let id = open_in_project(&app).await;
    let worker = app.worker.clone();
    let working = round.dice.contend(async move { worker.run_until_idle().await });
    let engine = app.engine.clone();
    let leaving = round.dice.contend(async move {
        engine.unsubscribe(&org(), &ProjectId::from("p"), leaves.id, None).await
    });
    let engine = app.engine.clone();
    let ending = round.dice.contend(async move {
        engine.end(&org(), id, EndRequest::asked(EndReason::UserEnd)).await
    });
    join(working).await.expect("worked");
    assert!(join(leaving).await.expect("asked"));
    join(ending).await.expect("ended");
    app.run_until_idle().await;
    assert!(is_final(&app.session(id).await));
    let (step, _) = app.step(id, StepKind::NotifyStarted).await;
    let sent = app.webhooks().sent().iter().filter(|sent| sent.step() == step.id()).count();
    match step.state {
        StepState::Done { .. } => assert_eq!(sent, 1),
        // It may have been on its way when its subscriber left.
        StepState::Skipped { .. } => assert!(sent <= 1),
        other => panic!("settled, not {other:?}"),
    }
}
