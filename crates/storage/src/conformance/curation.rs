//! What an operator sees of what is known, and does about it.

use std::sync::Arc;

use epilogue_core::{
    MemoryScope, OrgId,
    memory::{EntityId, EntityKind, FactCorrection, FactId, Impossible, Mention},
};

use super::{
    Backend,
    fixture::{World, at},
    graphs::{fact, facts, found, knows_nothing, scope, told},
    memory::{ann, episode},
    prelude::*,
    race::{Contender, contender, each_round, race},
};
use crate::{
    CorrectFactOutcome, CorrectFactRequest, CorrectedBy, KnownFact, PageRequest, Result, Storage,
};

/// That the first fact of a scope is this instead.
pub fn says(org: &OrgId, scope: &MemoryScope, sentence: &str) -> CorrectFactRequest {
    let correction =
        FactCorrection { sentence: Some(sentence.into()), ..FactCorrection::default() };
    CorrectFactRequest {
        org: org.clone(),
        scope: scope.clone(),
        fact: FactId(0),
        correction,
        by: Some("key_1".into()),
    }
}

/// Nothing of a scope is shown to this organization.
pub async fn shows_nothing(store: &impl Storage, org: &OrgId, scope: &MemoryScope) -> Result<()> {
    let page = PageRequest::first(10);
    assert_eq!(store.known_facts(org, scope, None, 5, &page).await?.items, []);
    assert_eq!(store.pick_facts(org, scope, &[FactId(0)]).await?, []);
    assert_eq!(store.pick_entities(org, scope, &[EntityId(1)]).await?, []);
    assert_eq!(store.list_entities(org, scope, &page).await?.items, []);
    assert_eq!(store.list_episodes(org, scope, &page).await?.items, []);
    Ok(())
}

async fn known<S: Storage>(world: &World<S>, id: u32) -> Result<KnownFact> {
    let found = world.store.pick_facts(&world.org, &scope(), &[FactId(id)]).await?;
    Ok(found.into_iter().next().expect("it is known"))
}

async fn log<S: Storage>(world: &World<S>) -> Result<Vec<(String, Option<String>)>> {
    let entries = world.store.list_activity(&world.org, None, &PageRequest::first(50)).await?.items;
    let said = serde_json::to_string(&entries).expect("JSON");
    assert!(
        !said.contains("Ulm") && !said.contains("Faro"),
        "what a fact says is not told: {said}"
    );
    let memory = entries.into_iter().filter(|entry| entry.kind.starts_with("memory."));
    Ok(memory.map(|entry| (entry.kind, entry.by)).collect())
}

pub async fn a_corrected_fact_has_another_in_its_place_and_is_believed_no_more(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let (store, org) = (&world.store, &world.org);
    told(&world, 1, vec![fact("user", "lives_in", "Ulm", "A flat in Ulm.")]).await?;
    let faro = Mention { name: "Faro".into(), kind: EntityKind::Place, hint: None };
    let mut request = says(org, &scope(), "A house in Faro.");
    request.correction.object = Some(faro);
    let outcome = store.correct_fact(request, at(200)).await?;
    assert_eq!(outcome, CorrectFactOutcome::Corrected(FactId(1)));
    let (old, new) = (known(&world, 0).await?, known(&world, 1).await?);
    assert_eq!((old.superseded_by, old.correction), (Some(FactId(1)), None));
    assert!(!old.view.fact.is_valid_at(at(50)) && old.view.fact.was_valid_at(at(50), at(199)));
    assert_eq!(old.view.sources.len(), 1, "where it came from is known still");
    let by = CorrectedBy { supersedes: FactId(0), by: Some("key_1".into()), at: at(200) };
    assert_eq!((new.correction, new.superseded_by, new.view.sources), (Some(by), None, vec![]));
    assert_eq!((new.view.object.as_str(), new.view.fact.valid_from), ("Faro", at(1)));
    assert_eq!(found(&world, "flat", None).await?, Vec::<String>::new());
    assert_eq!(found(&world, "house", None).await?, ["A house in Faro."]);
    assert_eq!(log(&world).await?, [("memory.fact_corrected".into(), Some("key_1".into()))]);
    Ok(())
}

pub async fn a_correction_is_refused_where_it_cannot_be_and_changes_nothing(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let (store, org) = (&world.store, &world.org);
    let request = says(org, &scope(), "Faro.");
    let outcome = store.correct_fact(request.clone(), at(3)).await?;
    assert_eq!(outcome, CorrectFactOutcome::Unknown);
    told(&world, 1, vec![fact("user", "lives_in", "Ulm", "Ulm.")]).await?;
    let before = facts(&world).await?;
    let mut never = request.clone();
    never.correction.valid_until = Some(Some(at(1)));
    let outcome = store.correct_fact(never, at(200)).await?;
    assert_eq!(outcome, CorrectFactOutcome::Impossible(Impossible::OverBefore));
    let unknown = CorrectFactRequest { fact: FactId(1), ..request.clone() };
    assert_eq!(store.correct_fact(unknown, at(200)).await?, CorrectFactOutcome::Unknown);
    assert_eq!((facts(&world).await?, log(&world).await?), (before, vec![]));
    store.correct_fact(request.clone(), at(200)).await?;
    let again = store.correct_fact(request, at(201)).await?;
    assert_eq!(again, CorrectFactOutcome::Superseded(FactId(1)));
    assert_eq!(facts(&world).await?.len(), 2);
    Ok(())
}

pub async fn what_a_correction_says_is_ended_by_what_is_told_later(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let (store, org) = (&world.store, &world.org);
    let lives = |place: &str| vec![fact("user", "lives_in", place, place)];
    told(&world, 1, lives("Ulm")).await?;
    let faro = Mention { name: "Faro".into(), kind: EntityKind::Other, hint: None };
    let mut request = says(org, &scope(), "Faro");
    request.correction.object = Some(faro);
    store.correct_fact(request, at(30)).await?;
    told(&world, 20, lives("Bonn")).await?;
    let late = known(&world, 1).await?.view.fact;
    assert!(late.is_valid_at(at(60)), "what was told before the correction does not end it");
    told(&world, 50, lives("Lima")).await?;
    let late = known(&world, 1).await?.view.fact;
    assert_eq!((late.is_valid_at(at(49)), late.is_valid_at(at(50))), (true, false));
    Ok(())
}

pub async fn a_dropped_fact_is_gone_with_what_nobody_else_knows(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let (store, org) = (&world.store, &world.org);
    let stated = vec![fact("user", "knows", "Bea", "Bea."), fact("Bea", "likes", "tea", "Tea.")];
    told(&world, 1, stated).await?;
    let by = || Some("key_1".to_owned());
    assert!(store.drop_fact(org, &scope(), FactId(1), by(), at(9)).await?);
    assert!(!store.drop_fact(org, &scope(), FactId(1), by(), at(9)).await?);
    assert_eq!(log(&world).await?, [("memory.fact_deleted".into(), by())], "once");
    assert_eq!(found(&world, "tea", None).await?, Vec::<String>::new());
    let bea = store.pick_entities(org, &scope(), &[EntityId(1), EntityId(2)]).await?;
    assert_eq!(bea.len(), 1, "Bea is known still, tea is not");
    assert_eq!(facts(&world).await?.len(), 1);
    told(&world, 2, vec![fact("Bea", "likes", "jam", "Jam.")]).await?;
    let ids: Vec<_> = facts(&world).await?.iter().map(|view| view.fact.id).collect();
    assert_eq!(ids, [FactId(2), FactId(0)], "no number is given twice");
    Ok(())
}

pub async fn everything_that_is_known_is_listed_in_pages(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let (store, org) = (&world.store, &world.org);
    for n in 1..=5 {
        let name = format!("friend {n}");
        told(&world, n, vec![fact("user", "knows", &name, &name)]).await?;
    }
    let (mut facts, mut entities, mut episodes) = (vec![], vec![], vec![]);
    let mut pages =
        [Some(PageRequest::first(2)), Some(PageRequest::first(2)), Some(PageRequest::first(2))];
    while let Some(page) = pages[0].take() {
        let found = store.known_facts(org, &scope(), None, 1, &page).await?;
        facts.extend(found.items.into_iter().map(|known| known.view.fact.id.0));
        pages[0] = found.next.map(|after| PageRequest { after: Some(after), limit: 2 });
    }
    while let Some(page) = pages[1].take() {
        let found = store.list_entities(org, &scope(), &page).await?;
        entities.extend(found.items.into_iter().map(|entity| entity.id.0));
        pages[1] = found.next.map(|after| PageRequest { after: Some(after), limit: 2 });
    }
    while let Some(page) = pages[2].take() {
        let found = store.list_episodes(org, &scope(), &page).await?;
        episodes.extend(found.items);
        pages[2] = found.next.map(|after| PageRequest { after: Some(after), limit: 2 });
    }
    assert_eq!((facts, entities), (vec![4, 3, 2, 1, 0], vec![1, 2, 3, 4, 5]));
    let expected: Vec<_> = (1..=5).rev().map(|n| episode(&world, "ann", n)).collect();
    assert_eq!(episodes, expected);
    let page = PageRequest::first(10);
    let then = store.known_facts(org, &scope(), Some(at(2)), 1, &page).await?.items;
    assert_eq!(then.len(), 2, "those that were true then");
    Ok(())
}

pub async fn of_many_who_correct_a_fact_one_does(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        told(world, 1, vec![fact("user", "lives_in", "Ulm", "Ulm.")]).await?;
        let correcting = |n: u64| {
            let store = Arc::clone(&world.store);
            let request = says(&world.org, &scope(), &format!("Number {n}."));
            contender(async move { store.correct_fact(request, at(200 + n)).await })
        };
        let contenders: Vec<Contender<CorrectFactOutcome>> = (0..3).map(correcting).collect();
        let outcomes = race(dice, contenders).await?;
        let won = CorrectFactOutcome::Corrected(FactId(1));
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == won).count(), 1, "{outcomes:?}");
        assert_eq!((facts(world).await?.len(), log(world).await?.len()), (2, 1));
        Ok(())
    })
    .await
}

pub async fn a_forgotten_persons_corrections_are_gone_too(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let (store, org) = (&world.store, &world.org);
    told(&world, 1, vec![fact("user", "lives_in", "Ulm", "Ulm.")]).await?;
    store.correct_fact(says(org, &scope(), "Faro."), at(200)).await?;
    let step = store.erase_person(org, &ann(), &[], at(300)).await?;
    assert_eq!((step.done, step.report.count("store.corrections")), (true, 1));
    knows_nothing(&**store, org, &scope(), world.session(1).id).await?;
    shows_nothing(&**store, org, &scope()).await?;
    let late = store.correct_fact(says(org, &scope(), "Faro."), at(301)).await?;
    assert_eq!(
        late,
        CorrectFactOutcome::Unknown,
        "and a correction that was under way comes too late"
    );
    Ok(())
}
