//! Looking back at a project.

use epilogue_core::{ProjectId, Session, Span};

use super::{
    Backend,
    fixture::{World, at},
    prelude::*,
};
use crate::{
    AnalysisResult, HistoryEntry, HistoryPage, OpenOutcome, OpenedWithin, ProjectStats, Result,
    Storage,
};

async fn opened<S: Storage>(world: &World<S>, n: u32, at_: (&str, &str)) -> Result<Session> {
    let (project, name) = at_;
    let session = Session {
        dialect: "other".into(),
        dialect_id: name.into(),
        project: Some(project.into()),
        ..world.session_at(n, at(u64::from(n)))
    };
    assert_eq!(world.open(&session).await?, OpenOutcome::Opened);
    Ok(session)
}

/// The numbers of the sessions on a page, by the seconds of their opening, and the total.
async fn page<S: Storage>(
    world: &World<S>,
    search: Option<&str>,
    (skip, limit): (u64, u32),
) -> Result<(Vec<i64>, u32)> {
    let page = HistoryPage { skip, limit };
    let project = ProjectId::from("p");
    let found = world.store.project_history(&world.org, &project, search, page).await?;
    let second = |entry: &HistoryEntry| entry.session.opened_at.since(at(0)).as_millis() / 1_000;
    let seconds = found.items.iter().map(|entry| i64::try_from(second(entry)).unwrap_or(-1));
    Ok((seconds.collect(), found.total))
}

pub async fn the_history_of_a_project_shows_the_latest_first(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    assert_eq!(page(&world, None, (0, 10)).await?, (vec![], 0));
    for (n, name) in [(1, "Ann-1"), (2, "bob"), (3, "ann-2"), (4, "%_日本")] {
        let session = opened(&world, n, ("p", name)).await?;
        if n != 3 {
            world.ended(session.id, at(100)).await?;
        }
    }
    opened(&world, 5, ("q", "Ann-1")).await?;
    opened(&world.neighbour("org_2").await?, 6, ("p", "Ann-1")).await?;
    assert_eq!(page(&world, None, (0, 10)).await?, (vec![4, 3, 2, 1], 4));
    assert_eq!(page(&world, None, (1, 2)).await?, (vec![3, 2], 4));
    assert_eq!(page(&world, None, (4, 2)).await?, (vec![], 4));
    for (search, found) in [
        ("nn", vec![3, 1]),
        ("A", vec![1]),
        ("本", vec![4]),
        ("%", vec![4]),
        ("_", vec![4]),
        ("x", vec![]),
        ("", vec![4, 3, 2, 1]),
    ] {
        let total = u32::try_from(found.len()).expect("few");
        assert_eq!(page(&world, Some(search), (0, 10)).await?, (found, total), "{search}");
    }
    assert_eq!(page(&world, Some("nn"), (1, 1)).await?, (vec![1], 2));
    Ok(())
}

pub async fn the_history_shows_what_the_analysis_made_of_a_session(
    backend: &impl Backend,
) -> Result<()> {
    use epilogue_core::{StepId, StepKind};
    let world = World::new(backend).await?;
    let session = opened(&world, 1, ("p", "x")).await?;
    world.turn(session.id, at(2)).await?;
    world.ended(session.id, at(3)).await?;
    let made = AnalysisResult { form: "qa".into(), values: serde_json::json!({}), at: at(4) };
    let id = StepId::own(session.id, StepKind::Analyze);
    let products = vec![crate::Product::Analysis(made.clone())];
    world.work(id, crate::StepReport::Done, products, at(4)).await?;
    let first = HistoryPage { skip: 0, limit: 1 };
    let found = world.store.project_history(&world.org, &"p".into(), None, first).await?;
    let session = world.stored(session.id).await?;
    assert_eq!(found.items, [HistoryEntry { session, analyses: vec![made] }]);
    Ok(())
}

pub async fn the_figures_of_a_project_are_those_of_its_sessions(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let stats = async |from: Option<u64>, before: Option<u64>| {
        let opened = OpenedWithin { from: from.map(at), before: before.map(at) };
        world.store.project_stats(&world.org, &"p".into(), opened).await
    };
    assert_eq!(stats(None, None).await?, ProjectStats::default());
    for n in 1..=4 {
        let session = opened(&world, n, ("p", &format!("s{n}"))).await?;
        world.turn(session.id, at(u64::from(n))).await?;
        if n < 4 {
            world.ended(session.id, at(10)).await?;
        }
    }
    let elsewhere = opened(&world, 9, ("q", "s1")).await?;
    world.turn(elsewhere.id, at(9)).await?;
    let all = ProjectStats { active: 1, ended: 3, messages: 8, lasted: Span::from_secs(9 + 8 + 7) };
    assert_eq!(stats(None, None).await?, all);
    let some = ProjectStats { active: 0, ended: 2, messages: 4, lasted: Span::from_secs(8 + 7) };
    assert_eq!(stats(Some(2), Some(4)).await?, some, "from then on, and before then");
    assert_eq!(stats(Some(5), None).await?, ProjectStats::default());
    Ok(())
}
