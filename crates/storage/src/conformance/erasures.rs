//! Forgetting people: what goes, what stays, and that nothing comes back.

use std::sync::Arc;

use epilogue_core::{
    EndReason, EndRequest, MemoryScope, Person, StepKind, ledger::Account, memory::FactId,
};

use super::{
    Backend,
    audit::audit,
    fixture::{World, at},
    graphs::{absorbing, fact, knows_nothing, told},
    memory::{ann, episode, remember, remembering},
    prelude::*,
    race::{each_round, race_two},
};
use crate::{
    ERASED_AT_ONCE, EXPIRED_AT_ONCE, ErasureReport, FactQuestion, PageRequest, RememberOutcome,
    RememberRequest, Result, Storage, TRANSCRIPTS_AT_ONCE,
};

fn scope() -> MemoryScope {
    MemoryScope("ann".into())
}

/// Forgets Ann, as often as it takes. How often that was.
async fn forget<S: Storage>(world: &World<S>, now: u64) -> Result<(ErasureReport, u32)> {
    let (mut report, mut steps) = (ErasureReport::default(), 0);
    loop {
        let step = world.store.erase_person(&world.org, &ann(), &[], at(now)).await?;
        report.and(step.report);
        steps += 1;
        if step.done {
            return Ok((report, steps));
        }
    }
}

pub async fn a_forgotten_person_is_gone_everywhere_and_others_stay(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let (store, org) = (&world.store, &world.org);
    told(&world, 1, vec![fact("user", "lives_in", "Ulm", "Ulm.")]).await?;
    told(&world, 2, vec![fact("user", "lives_in", "Ulm", "Ulm.")]).await?;
    let bob = RememberRequest {
        person: Person::new("bob").expect("a person").key(),
        ..remembering(episode(&world, "bob", 3))
    };
    store.remember(org, bob).await?;
    assert_eq!(store.scopes_of(org, ann().key()).await?, [scope()]);
    let (report, _) = forget(&world, 10).await?;
    for (place, count) in [
        ("store.facts", 1),
        ("store.entities", 1),
        ("store.fact_sources", 2),
        ("store.episodes", 2),
        ("store.embeddings", 0),
    ] {
        assert_eq!(report.count(place), count, "{place}");
    }
    assert_eq!(report.left, Vec::<String>::new());
    for n in [1, 2] {
        knows_nothing(&**store, org, &scope(), world.session(n).id).await?;
    }
    assert_eq!(store.recall(org, &scope(), 10).await?, []);
    assert_eq!(store.forgotten_at(org, ann().key()).await?, Some(at(10)));
    assert_eq!(store.recall(org, &MemoryScope("bob".into()), 10).await?.len(), 1);
    assert!(forget(&world, 11).await?.0.is_empty(), "and once more is harmless");
    Ok(())
}

pub async fn an_unknown_person_leaves_an_empty_report(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let long = Person::new(&"ä".repeat(Person::BYTES_MAX / 2)).expect("a person");
    let step = world.store.erase_person(&world.org, &long, &[scope()], at(1)).await?;
    assert!(step.done && step.report.is_empty(), "{step:?}");
    let step = world.store.erase_transcripts(&world.org, &long, at(1)).await?;
    assert!(step.done && step.report.is_empty(), "{step:?}");
    Ok(())
}

pub async fn what_began_before_is_never_remembered_again(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    forget(&world, 10).await?;
    let at_the_time = |began: u64| {
        let request = remembering(episode(&world, "ann", 1));
        RememberRequest { began_at: at(began), ..request }
    };
    for began in [9, 10] {
        let outcome = world.store.remember(&world.org, at_the_time(began)).await?;
        assert_eq!(outcome, RememberOutcome::Forgotten);
    }
    assert_eq!(world.store.recall(&world.org, &scope(), 10).await?, []);
    let outcome = world.store.remember(&world.org, at_the_time(11)).await?;
    assert_eq!(outcome, RememberOutcome::Remembered, "who comes back is somebody new");
    world.store.erase_person(&world.org, &ann(), &[], at(5)).await?;
    let forgotten = world.store.forgotten_at(&world.org, ann().key()).await?;
    assert_eq!(forgotten, Some(at(10)), "a clock that goes back lets nothing through");
    Ok(())
}

pub async fn an_erasure_of_many_goes_on_until_it_is_done(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let per_part = 50;
    let parts = ERASED_AT_ONCE / per_part + 1;
    for n in 1..=parts {
        let likes = |i: u32| fact("user", "likes", "many", &format!("{n} {i}"));
        let each = |i| epilogue_core::memory::StatedFact {
            relation: format!("likes_{n}_{i}"),
            ..likes(i)
        };
        told(&world, n, (0..per_part).map(each).collect()).await?;
    }
    let first = world.store.erase_person(&world.org, &ann(), &[], at(900_000)).await?;
    assert!(!first.done);
    assert_eq!(first.report.count("store.facts"), u64::from(ERASED_AT_ONCE));
    let again = world.store.remember(&world.org, remembering(episode(&world, "ann", 1))).await?;
    assert_eq!(again, RememberOutcome::Forgotten, "from the first step on");
    let (rest, steps) = forget(&world, 900_001).await?;
    assert_eq!((rest.count("store.facts"), steps), (u64::from(per_part), 1));
    assert_eq!(rest.count("store.episodes"), u64::from(parts));
    let found = world.store.find_facts(&world.org, &scope(), &FactQuestion::default()).await?;
    assert_eq!(found.facts, []);
    Ok(())
}

pub async fn what_was_recalled_into_sessions_is_forgotten_too(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let mut session = world.session(1);
    session.person = Some(ann());
    world.open(&session).await?;
    assert!(world.stored(session.id).await?.context.recalled.is_some());
    let other = world.neighbour("org_2").await?;
    let erased = other.store.erase_person(&other.org, &ann(), &[], at(1)).await?;
    assert!(erased.report.is_empty(), "another organization's person is another one");
    let (report, _) = forget(&world, 2).await?;
    assert_eq!(report.count("store.recalled"), 1);
    let after = world.stored(session.id).await?;
    session.context.recalled = None;
    assert_eq!(after.context, session.context, "all else stays");
    Ok(())
}

pub async fn transcripts_go_when_it_is_asked_and_the_books_stay(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let (store, org) = (&world.store, &world.org);
    let many = TRANSCRIPTS_AT_ONCE + 1;
    for n in 1..=many + 1 {
        let mut session = world.session(n);
        session.person = Some(ann());
        world.open(&session).await?;
        world.turn(session.id, at(1)).await?;
        let request =
            EndRequest { note: Some("c4n4ry".into()), ..EndRequest::asked(EndReason::UserEnd) };
        world.end(session.id, request, at(1)).await?;
        if n <= many {
            world.finalize(session.id, at(2)).await?;
        }
    }
    let account = async || store.balance(org, Account::Revenue).await;
    let (before, usage) = (account().await?, world.stored(world.session(1).id).await?.usage);
    let first = store.erase_transcripts(org, &ann(), at(3)).await?;
    assert!(!first.done);
    assert_eq!(first.report.count("store.transcripts"), u64::from(TRANSCRIPTS_AT_ONCE));
    let second = store.erase_transcripts(org, &ann(), at(3)).await?;
    assert!(second.done);
    assert_eq!((second.report.count("store.transcripts"), second.report.left.len()), (1, 1));
    for n in 1..=many {
        let session = world.stored(world.session(n).id).await?;
        assert_eq!((session.person, session.messages, session.usage), (None, 0, usage));
        assert_eq!(store.messages(org, session.id, 0, 100).await?, []);
        assert_eq!(store.analyses_of(org, session.id).await?, []);
        let log = store.list_activity(org, Some(session.id), &PageRequest::first(100)).await?;
        assert!(!format!("{log:?}").contains("c4n4ry"), "{log:?}");
    }
    let open = world.session(many + 1).id;
    assert!(second.report.left[0].contains(&open.to_string()), "{:?}", second.report);
    assert!(!store.messages(org, open, 0, 100).await?.is_empty(), "its steps need them");
    assert_eq!(account().await?, before);
    assert_eq!(world.step(open, StepKind::Purge).await?.state.as_str(), "waiting");
    audit(&**store, org).await
}

pub async fn what_is_too_old_goes_unless_it_was_told_again(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let (store, org) = (&world.store, &world.org);
    let (ulm, tea) =
        (|| fact("user", "lives_in", "Ulm", "Ulm."), || fact("user", "likes", "tea", "Tea."));
    told(&world, 1, vec![ulm(), tea()]).await?;
    told(&world, 5, vec![tea()]).await?;
    told(&world, 9, vec![fact("Bea", "likes", "jam", "Jam.")]).await?;
    let sentences = async || {
        let facts = store.list_facts(org, &scope(), &PageRequest::first(9)).await?;
        let known = facts.items.into_iter().map(|view| (view.fact.sentence, view.sources.len()));
        Ok::<_, crate::Error>(known.collect::<Vec<_>>())
    };
    let nothing = store.expire_memory(org, at(1)).await?;
    assert!(nothing.done && nothing.report.is_empty(), "the limit itself is kept: {nothing:?}");
    let other = world.neighbour("org_2").await?;
    assert!(other.store.expire_memory(&other.org, at(100)).await?.report.is_empty());
    let step = store.expire_memory(org, at(2)).await?;
    assert!(step.done);
    for (place, count) in [("store.episodes", 1), ("store.facts", 1), ("store.entities", 1)] {
        assert_eq!(step.report.count(place), count, "{place}");
    }
    assert_eq!(sentences().await?, [("Jam.".to_owned(), 1), ("Tea.".to_owned(), 1)]);
    assert_eq!(store.recall(org, &scope(), 9).await?.len(), 2);
    store.expire_memory(org, at(100)).await?;
    knows_nothing(&**store, org, &scope(), world.session(9).id).await?;
    let many = EXPIRED_AT_ONCE + 1;
    for n in 1..=many {
        remember(&**store, org, episode(&world, "ann", n)).await?;
    }
    let first = store.expire_memory(org, at(1_000)).await?;
    assert_eq!((first.done, first.report.count("store.episodes")), (false, u64::from(many - 1)));
    let second = store.expire_memory(org, at(1_000)).await?;
    assert_eq!((second.done, second.report.count("store.episodes")), (true, 1));
    Ok(())
}

pub async fn whoever_absorbs_while_a_person_is_forgotten_leaves_nothing(
    backend: &impl Backend,
) -> Result<()> {
    each_round(backend, async |world, dice| {
        remember(&*world.store, &world.org, episode(world, "ann", 1)).await?;
        let (store, org) = (Arc::clone(&world.store), world.org.clone());
        let forget = async move { store.erase_person(&org, &ann(), &[], at(5)).await };
        let (erased, _) = race_two(dice, forget, absorbing(world, "tea")).await?;
        assert!(erased.done);
        let id = world.session(1).id;
        knows_nothing(&*world.store, &world.org, &scope(), id).await?;
        let again = remember(&*world.store, &world.org, episode(world, "ann", 1)).await?;
        assert_eq!(again, RememberOutcome::Forgotten);
        let facts = world.store.why(&world.org, &scope(), FactId(0)).await?;
        assert_eq!(facts, None);
        Ok(())
    })
    .await
}
