//! What is remembered of people.

use epilogue_core::{MemoryScope, StepKind};

use super::{
    Backend,
    fixture::{START, World, at},
    prelude::*,
};
use crate::{Episode, Result, Storage};

fn episode<S: Storage>(world: &World<S>, scope: &str, n: u32) -> Episode {
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
    assert!(world.store.remember(org, first.clone()).await?);
    assert!(!world.store.remember(org, first.clone()).await?);
    let other = Episode { text: "Something else".into(), at: at(99), ..first.clone() };
    assert!(!world.store.remember(org, other).await?);
    assert_eq!(world.store.recall(org, &first.scope, 10).await?, [first]);
    Ok(())
}

pub async fn the_latest_episodes_come_first(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let scope = MemoryScope("ann".into());
    for n in [2, 5, 1, 4, 3] {
        assert!(world.store.remember(&world.org, episode(&world, "ann", n)).await?);
    }
    assert!(world.store.remember(&world.org, episode(&world, "bob", 9)).await?);
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

pub async fn what_is_forgotten_is_gone(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let scope = |name: &str| MemoryScope(name.into());
    for (name, n) in [("ann", 1), ("ann", 2), ("bob", 3)] {
        world.store.remember(&world.org, episode(&world, name, n)).await?;
    }
    assert_eq!(world.store.forget(&world.org, &scope("ann")).await?, 2);
    assert_eq!(world.store.forget(&world.org, &scope("ann")).await?, 0);
    assert_eq!(world.store.recall(&world.org, &scope("ann"), 10).await?, []);
    assert_eq!(world.store.recall(&world.org, &scope("bob"), 10).await?.len(), 1);
    assert!(world.store.remember(&world.org, episode(&world, "ann", 1)).await?);
    Ok(())
}

pub async fn memory_outlives_the_purge_of_a_session(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.finished(1).await?;
    let kept = Episode { session: session.id, at: START, ..episode(&world, "ann", 1) };
    world.store.remember(&world.org, kept.clone()).await?;
    world.finalize(session.id, at(9)).await?;
    assert_eq!(world.step(session.id, StepKind::Purge).await?.state.as_str(), "done");
    assert_eq!(world.store.recall(&world.org, &kept.scope, 10).await?, [kept]);
    Ok(())
}
