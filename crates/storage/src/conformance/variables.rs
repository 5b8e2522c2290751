//! Prompt variables that are written into sessions that are open.

use epilogue_core::{
    Session, SessionId,
    variables::{BAG_BYTES_MAX, Nulls},
};
use serde_json::{Map, Value, json};

use super::{
    Backend,
    fixture::{IDLE, MS, START, World, at},
    prelude::*,
    race::{Contender, contender, each_round, race},
};
use crate::{OpenOutcome, Result, Storage, WriteVariables, WriteVariablesOutcome};

fn members(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).expect("an object")
}

fn write<S: Storage>(world: &World<S>, session: SessionId, given: Value) -> WriteVariables {
    let variables = members(given);
    WriteVariables { org: world.org.clone(), session, variables, nulls: Nulls::Kept }
}

pub async fn variables_are_laid_over_those_of_a_live_session(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let mut session = world.session(1);
    session.context.bag = members(json!({ "name": "Ann", "plan": { "a": 1 }, "old": 1 }));
    assert_eq!(world.open(&session).await?, OpenOutcome::Opened);
    let given = write(&world, session.id, json!({ "plan": { "b": 2 }, "old": null, "n": 7 }));
    let outcome = world.store.write_variables(given.clone(), at(5)).await?;
    let stored = world.stored(session.id).await?;
    assert_eq!(outcome, WriteVariablesOutcome::Written(Box::new(stored.clone())));
    let bag = json!({ "name": "Ann", "plan": { "b": 2 }, "old": null, "n": 7 });
    let mut expected = Session { last_activity: at(5), ..session.clone() };
    expected.context.bag = members(bag);
    assert_eq!(stored, expected, "nothing else changes");

    let deleting = WriteVariables { nulls: Nulls::Delete, ..given };
    world.store.write_variables(deleting, at(4)).await?;
    let stored = world.stored(session.id).await?;
    let bag = json!({ "name": "Ann", "plan": { "b": 2 }, "n": 7 });
    assert_eq!(Value::Object(stored.context.bag), bag);
    assert_eq!(stored.last_activity, at(5), "time does not move back");
    Ok(())
}

pub async fn variables_are_written_into_live_sessions_alone(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let stranger = world.session(9).id;
    let given = json!({ "a": 1 });
    let nowhere = world.store.write_variables(write(&world, stranger, given.clone()), START);
    assert_eq!(nowhere.await?, WriteVariablesOutcome::NoSession);

    let session = world.opened(1).await?;
    let into = |given: &Value| write(&world, session.id, given.clone());
    let neighbour = world.neighbour("org_2").await?;
    let theirs = WriteVariables { org: neighbour.org.clone(), ..into(&given) };
    let outcome = world.store.write_variables(theirs, START).await?;
    assert_eq!(outcome, WriteVariablesOutcome::NoSession);

    let late = world.store.write_variables(into(&given), START + IDLE).await?;
    assert_eq!(late, WriteVariablesOutcome::Over, "its deadline has passed");
    let in_time = world.store.write_variables(into(&given), START + IDLE - MS).await?;
    assert!(matches!(in_time, WriteVariablesOutcome::Written(_)), "{in_time:?}");
    world.ended(session.id, START + IDLE).await?;
    let before = world.stored(session.id).await?;
    let over = world.store.write_variables(into(&json!({ "b": 1 })), START + IDLE).await?;
    assert_eq!(over, WriteVariablesOutcome::Over);
    assert_eq!(world.stored(session.id).await?, before);
    Ok(())
}

pub async fn a_bag_that_would_become_too_long_stays_as_it_is(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    // {"a":"…"} has eight bytes around its text.
    let long = json!({ "a": "x".repeat(BAG_BYTES_MAX - 8) });
    let written = world.store.write_variables(write(&world, session.id, long), at(1)).await?;
    assert!(matches!(written, WriteVariablesOutcome::Written(_)));
    let before = world.stored(session.id).await?;
    let more = write(&world, session.id, json!({ "b": 1 }));
    let refused = world.store.write_variables(more, at(2)).await?;
    assert_eq!(refused, WriteVariablesOutcome::TooLong);
    assert_eq!(world.stored(session.id).await?, before);
    Ok(())
}

pub async fn variables_that_are_written_at_once_are_all_there(
    backend: &impl Backend,
) -> Result<()> {
    each_round(backend, async |world, dice| {
        let session = world.opened(1).await?;
        let number = world.begun(session.id, at(1)).await?;
        let (store, id) = (world.store.clone(), session.id);
        let writes = ["a", "b", "c"].map(|name| {
            let (store, request) = (store.clone(), write(world, id, json!({ name: 1 })));
            contender(async move { store.write_variables(request, at(2)).await.map(drop) })
        });
        let finish = world.finish(id, number, at(2));
        let finishing: Contender<()> =
            contender(async move { store.finish_turn(finish, at(2)).await.map(drop) });
        race(dice, writes.into_iter().chain([finishing]).collect()).await?;
        let stored = world.stored(id).await?;
        assert_eq!(Value::Object(stored.context.bag), json!({ "a": 1, "b": 1, "c": 1 }));
        assert_eq!(stored.messages, 2, "the turn has lost nothing either");
        Ok(())
    })
    .await
}
