//! What is remembered of people.

use epilogue_core::{MemoryScope, OrgId, Person, StepKind};

use super::{
    Backend,
    fixture::{START, World, at},
    prelude::*,
};
use crate::{Episode, RememberOutcome, RememberRequest, Result, Storage};

/// Whose memory it is, in most cases.
pub fn ann() -> Person {
    Person::new("ann@example.com").expect("a person")
}

/// A conversation of Ann's, to be remembered, which began when it ended.
pub fn remembering(episode: Episode) -> RememberRequest {
    let began_at = episode.at;
    RememberRequest { episode, person: ann().key(), began_at, salt: [7; 16] }
}

/// Remembers a conversation of Ann's.
pub async fn remember(
    store: &impl Storage,
    org: &OrgId,
    episode: Episode,
) -> Result<RememberOutcome> {
    store.remember(org, remembering(episode)).await
}

/// A conversation as it is remembered.
pub fn episode<S: Storage>(world: &World<S>, scope: &str, n: u32) -> Episode {
    Episode {
        scope: MemoryScope(scope.into()),
        session: world.session(n).id,
        at: at(u64::from(n)),
        text: format!("Person: number {n}?\nAgent: Ja, „{n}“."),
    }
}

pub async fn a_conversation_is_remembered_once(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let (org, first) = (&world.org, episode(&world, "ann", 1));
    let (store, known) = (&*world.store, RememberOutcome::KnownBefore { absorbed: 0 });
    assert_eq!(remember(store, org, first.clone()).await?, RememberOutcome::Remembered);
    assert_eq!(remember(store, org, first.clone()).await?, known);
    let other = Episode { text: "Something else".into(), at: at(99), ..first.clone() };
    assert_eq!(remember(store, org, other).await?, known);
    assert_eq!(world.store.recall(org, &first.scope, 10).await?, [first]);
    Ok(())
}

pub async fn the_latest_episodes_come_first(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let scope = MemoryScope("ann".into());
    for n in [2, 5, 1, 4, 3] {
        remember(&*world.store, &world.org, episode(&world, "ann", n)).await?;
    }
    remember(&*world.store, &world.org, episode(&world, "bob", 9)).await?;
    let recall = async |limit| {
        let episodes = world.store.recall(&world.org, &scope, limit).await?;
        Ok::<_, crate::Error>(episodes)
    };
    let expected: Vec<_> = [5, 4, 3, 2, 1].map(|n| episode(&world, "ann", n)).to_vec();
    assert_eq!(recall(5).await?, expected);
    assert_eq!(recall(6).await?, expected);
    assert_eq!(recall(4).await?, expected[..4]);
    Ok(())
}

pub async fn memory_outlives_the_purge_of_a_session(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.finished(1).await?;
    let kept = Episode { session: session.id, at: START, ..episode(&world, "ann", 1) };
    remember(&*world.store, &world.org, kept.clone()).await?;
    world.finalize(session.id, at(9)).await?;
    assert_eq!(world.step(session.id, StepKind::Purge).await?.state.as_str(), "done");
    assert_eq!(world.store.recall(&world.org, &kept.scope, 10).await?, [kept]);
    Ok(())
}
