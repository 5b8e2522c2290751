//! What is known of people, as a graph.

use std::sync::Arc;

use epilogue_core::{
    MemoryScope, OrgId, SessionId, Timestamp,
    memory::{EntityId, EntityKind, Extraction, FactId, Mention, StatedEnd, StatedFact},
};

use super::{
    Backend,
    fixture::{World, at},
    memory::{episode, remember},
    prelude::*,
    race::{Contender, contender, each_round, race},
};
use crate::{
    AbsorbOutcome, AbsorbRequest, FOUND_MAX, FactQuestion, FactView, FoundFacts, PageRequest,
    Result, Storage, Vectors,
};

/// What is known of Ann.
pub fn scope() -> MemoryScope {
    MemoryScope("ann".into())
}

fn mention(name: &str) -> Mention {
    let kind = if name == "user" { EntityKind::Person } else { EntityKind::Other };
    Mention { name: name.into(), kind, hint: None }
}

/// That this is so, since nobody said when.
pub fn fact(subject: &str, relation: &str, object: &str, sentence: &str) -> StatedFact {
    StatedFact {
        subject: mention(subject),
        relation: relation.into(),
        object: mention(object),
        sentence: sentence.into(),
        from: None,
        until: None,
        exclusive: relation == "lives_in",
    }
}

/// A part of conversation number `n` that says this, ten messages long.
pub fn part<S: Storage>(
    world: &World<S>,
    n: u32,
    from: u32,
    facts: Vec<StatedFact>,
) -> AbsorbRequest {
    AbsorbRequest {
        scope: scope(),
        session: world.session(n).id,
        from,
        until: from + 10,
        told_at: at(u64::from(n)),
        extraction: Extraction { facts, ended: Vec::new() },
        vectors: None,
    }
}

/// Remembers conversation number `n` of Ann's, and what follows from it.
pub async fn told<S: Storage>(
    world: &World<S>,
    n: u32,
    facts: Vec<StatedFact>,
) -> Result<AbsorbOutcome> {
    remember(&*world.store, &world.org, episode(world, "ann", n)).await?;
    world.store.absorb(&world.org, part(world, n, 0, facts), at(100 + u64::from(n))).await
}

/// Puts one fact of a remembered conversation into the graph.
pub async fn absorbed<S: Storage>(
    world: &World<S>,
    session: SessionId,
    scope: &MemoryScope,
) -> Result<()> {
    let facts = vec![fact("user", "lives_in", "Ulm", "The user lives in Ulm.")];
    let request = AbsorbRequest { session, scope: scope.clone(), ..part(world, 1, 0, facts) };
    let outcome = world.store.absorb(&world.org, request, at(3)).await?;
    assert!(matches!(outcome, AbsorbOutcome::Absorbed { learned: 1, .. }), "{outcome:?}");
    Ok(())
}

/// Nothing of a graph is seen here.
pub async fn knows_nothing(
    store: &impl Storage,
    org: &OrgId,
    scope: &MemoryScope,
    session: SessionId,
) -> Result<()> {
    assert_eq!(store.list_facts(org, scope, &PageRequest::first(10)).await?.items, []);
    assert_eq!(store.absorbed(org, scope, session).await?, None);
    assert_eq!(store.why(org, scope, FactId(0)).await?, None);
    assert_eq!(store.entity(org, scope, EntityId(1)).await?, None);
    for text in ["", "Ulm"] {
        let question = FactQuestion { text: text.into(), ..FactQuestion::default() };
        assert_eq!(store.find_facts(org, scope, &question).await?, FoundFacts::default());
    }
    assert_eq!(store.scopes_of(org, super::memory::ann().key()).await?, []);
    Ok(())
}

/// All facts, the last told first.
pub async fn facts<S: Storage>(world: &World<S>) -> Result<Vec<FactView>> {
    Ok(world.store.list_facts(&world.org, &scope(), &PageRequest::first(500)).await?.items)
}

/// The sentences that a question finds by its words.
pub async fn found<S: Storage>(
    world: &World<S>,
    text: &str,
    as_of: Option<Timestamp>,
) -> Result<Vec<String>> {
    let question = FactQuestion { text: text.into(), vector: None, as_of };
    let found = world.store.find_facts(&world.org, &scope(), &question).await?;
    Ok(sentences(&found, &found.by_words))
}

fn sentences(found: &FoundFacts, order: &[FactId]) -> Vec<String> {
    let sentence = |id: &FactId| {
        let view = found.facts.iter().find(|view| view.fact.id == *id);
        view.expect("every fact that was found is shown").fact.sentence.clone()
    };
    order.iter().map(sentence).collect()
}

pub async fn a_part_is_absorbed_once_and_in_its_place(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let (store, org) = (&world.store, &world.org);
    let session = world.session(1).id;
    let says = |from, what: &str| part(&world, 1, from, vec![fact("user", "likes", what, what)]);
    let early = store.absorb(org, says(0, "tea"), at(2)).await?;
    assert_eq!(early, AbsorbOutcome::Forgotten, "nobody remembers such a conversation");
    remember(&**store, org, episode(&world, "ann", 1)).await?;
    assert_eq!(store.absorbed(org, &scope(), session).await?, Some(0));
    let ahead = store.absorb(org, says(10, "jam"), at(2)).await?;
    assert_eq!(ahead, AbsorbOutcome::Elsewhere { absorbed: 0 });
    let learned = AbsorbOutcome::Absorbed { learned: 1, confirmed: 0, closed: 0 };
    assert_eq!(store.absorb(org, says(0, "tea"), at(2)).await?, learned);
    let before = facts(&world).await?;
    for again in [says(0, "tea"), says(0, "jam")] {
        let outcome = store.absorb(org, again, at(9)).await?;
        assert_eq!(outcome, AbsorbOutcome::Elsewhere { absorbed: 10 });
    }
    assert_eq!(facts(&world).await?, before);
    assert_eq!(store.absorb(org, says(10, "jam"), at(3)).await?, learned);
    let known = remember(&**store, org, episode(&world, "ann", 1)).await?;
    assert_eq!(known, crate::RememberOutcome::KnownBefore { absorbed: 20 });
    assert_eq!(facts(&world).await?.len(), 2);
    Ok(())
}

pub async fn a_fact_is_seen_with_its_ends_and_why_it_is_believed(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let says = || vec![fact("user", "has_pet", "Rex", "The user has a dog, Rex.")];
    told(&world, 1, says()).await?;
    let again = told(&world, 4, says()).await?;
    assert_eq!(again, AbsorbOutcome::Absorbed { learned: 0, confirmed: 1, closed: 0 });
    let seen = facts(&world).await?;
    let [view] = seen.as_slice() else { panic!("one fact, not {seen:?}") };
    assert_eq!((view.subject.as_str(), view.object.as_str()), ("user", "Rex"));
    let fact = &view.fact;
    assert_eq!((fact.valid_from, fact.learned_at, fact.told_at), (at(1), at(101), at(4)));
    let sources: Vec<_> = view.sources.iter().map(|source| source.session).collect();
    assert_eq!(sources, [4, 1].map(|n| world.session(n).id));
    let (store, org) = (&world.store, &world.org);
    let (why, episodes) = store.why(org, &scope(), fact.id).await?.expect("known");
    assert_eq!((&why, episodes), (view, [4, 1].map(|n| episode(&world, "ann", n)).to_vec()));
    let (rex, facts) = store.entity(org, &scope(), fact.object).await?.expect("known");
    assert_eq!((rex.name.as_str(), rex.mentioned_at, facts), ("Rex", at(4), seen.clone()));
    assert_eq!(store.why(org, &scope(), FactId(9)).await?, None);
    Ok(())
}

pub async fn a_new_place_closes_the_old_one_and_is_found_as_of_a_time(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let lives = |place: &str| {
        vec![fact("user", "lives_in", place, &format!("The user has a home in {place}."))]
    };
    told(&world, 5, lives("Porto")).await?;
    let late = told(&world, 2, lives("Lisbon")).await?;
    assert_eq!(late, AbsorbOutcome::Absorbed { learned: 1, confirmed: 0, closed: 0 });
    let (lisbon, porto) = ("The user has a home in Lisbon.", "The user has a home in Porto.");
    assert_eq!(found(&world, "Where is home?", Some(at(1))).await?, Vec::<String>::new());
    assert_eq!(found(&world, "Where is home?", Some(at(2))).await?, [lisbon]);
    assert_eq!(found(&world, "Where is home?", Some(at(5))).await?, [porto]);
    assert_eq!(found(&world, "home?", None).await?.len(), 2);
    let mut end = part(&world, 9, 0, vec![]);
    end.extraction.ended = vec![StatedEnd {
        subject: mention("user"),
        relation: "lives_in".into(),
        object: mention("porto"),
        when: Some(at(8)),
    }];
    remember(&*world.store, &world.org, episode(&world, "ann", 9)).await?;
    let ended = world.store.absorb(&world.org, end, at(10)).await?;
    assert_eq!(ended, AbsorbOutcome::Absorbed { learned: 0, confirmed: 0, closed: 1 });
    assert_eq!(found(&world, "home", Some(at(7))).await?, [porto]);
    assert_eq!(found(&world, "home", Some(at(8))).await?, Vec::<String>::new());
    Ok(())
}

pub async fn a_fact_is_found_by_its_words_its_kind_and_its_neighbours(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let facts = vec![
        fact("user", "knows", "Bea", "Bea is a friend."),
        fact("Bea", "works_at", "Acme", "She does the books there."),
        fact("Acme", "located_in", "Zürich", "The company sits by the lake."),
        fact("user", "likes", "rye bread", "ライ麦パンが好きです。"),
        fact("user", "plays", "cello", "The user plays the cello."),
    ];
    told(&world, 1, facts).await?;
    assert_eq!(found(&world, "ZURICH", None).await?, ["The company sits by the lake."]);
    assert_eq!(found(&world, "any friends?", None).await?[0], "Bea is a friend.");
    assert_eq!(found(&world, "パン", None).await?, ["ライ麦パンが好きです。"]);
    assert_eq!(found(&world, "\"; DROP TABLE facts --*^", None).await?, Vec::<String>::new());
    let question = FactQuestion { text: "What about Bea?".into(), ..FactQuestion::default() };
    let answer = world.store.find_facts(&world.org, &scope(), &question).await?;
    let near = sentences(&answer, &answer.by_distance);
    let lake = near.iter().position(|sentence| sentence.contains("lake"));
    let friend = near.iter().position(|sentence| sentence.contains("friend"));
    assert!(friend < lake && lake.is_some(), "nearer comes first: {near:?}");
    assert!(!near.iter().any(|sentence| sentence.contains("cello")), "{near:?}");
    let all = FactQuestion::default();
    let last = world.store.find_facts(&world.org, &scope(), &all).await?;
    assert_eq!((last.by_time.len(), last.by_words.len()), (5, 0));
    let by_text = FactQuestion { text: "number 1".into(), ..FactQuestion::default() };
    let told = world.store.find_facts(&world.org, &scope(), &by_text).await?;
    assert_eq!(told.episodes, [world.session(1).id], "what was said is found as well");
    Ok(())
}

pub async fn what_sentences_are_like_finds_them_among_those_of_one_model(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    remember(&*world.store, &world.org, episode(&world, "ann", 1)).await?;
    let stated = vec![fact("user", "likes", "tea", "Tea."), fact("user", "likes", "jam", "Jam.")];
    let vectors = Vectors { model: "m".into(), vectors: vec![vec![1.0, 0.0], vec![0.6, 0.8]] };
    let request = AbsorbRequest { vectors: Some(vectors), ..part(&world, 1, 0, stated) };
    world.store.absorb(&world.org, request, at(2)).await?;
    for (model, vector, expected) in [
        ("m", vec![1.0, 0.1], vec!["Tea.", "Jam."]),
        ("m", vec![0.0, 1.0], vec!["Jam.", "Tea."]),
        ("other", vec![1.0, 0.0], vec![]),
        ("m", vec![1.0], vec![]),
    ] {
        let vector = Some((model.to_owned(), vector));
        let question = FactQuestion { vector, ..FactQuestion::default() };
        let found = world.store.find_facts(&world.org, &scope(), &question).await?;
        assert_eq!(sentences(&found, &found.by_vector), expected);
    }
    Ok(())
}

pub async fn facts_have_pages_without_gaps_or_doubles(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    for n in 1..=3 {
        let likes = |i: u32| fact("user", "likes", &format!("{n}-{i}"), &format!("{n}-{i}"));
        told(&world, n, (0..4).map(likes).collect()).await?;
    }
    let all = facts(&world).await?;
    assert_eq!(all.len(), 12);
    assert!(all.windows(2).all(|two| two[0].fact.told_at >= two[1].fact.told_at));
    for limit in [1, 5, 12, 13] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = PageRequest { after, limit };
            let page = world.store.list_facts(&world.org, &scope(), &page).await?;
            assert!(page.items.len() <= limit as usize);
            seen.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
    }
    let last = world.store.find_facts(&world.org, &scope(), &FactQuestion::default()).await?;
    assert!(last.by_time.len() <= FOUND_MAX as usize);
    Ok(())
}

pub async fn memories_of_one_organization_do_not_meet(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    told(&world, 1, vec![fact("user", "knows", "Bea", "Bea is a friend.")]).await?;
    let other = crate::Episode { scope: MemoryScope("bob".into()), ..episode(&world, "ann", 2) };
    remember(&*world.store, &world.org, other).await?;
    let says = vec![fact("user", "hates", "Bea", "Bea is a foe.")];
    let request = AbsorbRequest { scope: MemoryScope("bob".into()), ..part(&world, 2, 0, says) };
    world.store.absorb(&world.org, request, at(3)).await?;
    assert_eq!(found(&world, "Bea", None).await?, ["Bea is a friend."]);
    assert_eq!(facts(&world).await?.len(), 1);
    Ok(())
}

/// Somebody absorbs the first part of conversation 1.
pub fn absorbing<S: Storage + 'static>(world: &World<S>, what: &str) -> Contender<AbsorbOutcome> {
    let request = part(world, 1, 0, vec![fact("user", "likes", what, what)]);
    let (store, org) = (Arc::clone(&world.store), world.org.clone());
    contender(async move { store.absorb(&org, request, at(2)).await })
}

pub async fn of_many_who_absorb_a_part_one_does(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        remember(&*world.store, &world.org, episode(world, "ann", 1)).await?;
        let contenders = ["tea", "jam", "rye"].map(|what| absorbing(world, what)).into();
        let outcomes = race(dice, contenders).await?;
        let absorbed = |o: &&AbsorbOutcome| matches!(o, AbsorbOutcome::Absorbed { .. });
        assert_eq!(outcomes.iter().filter(absorbed).count(), 1, "{outcomes:?}");
        assert_eq!(facts(world).await?.len(), 1);
        Ok(())
    })
    .await
}
