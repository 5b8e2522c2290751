//! Projects, the names of sessions in them, and what is decided about live sessions alone.

use std::sync::Arc;

use epilogue_core::{
    EndOutcome, EndReason, EndRequest, OrgId, ProjectId, Role, Session, variables::Nulls,
};
use rand::Rng as _;
use serde_json::json;

use super::{
    Backend,
    audit::audit,
    fixture::{IDLE, START, World, at, busy_agent, every, organization, quiet_agent},
    prelude::*,
    race::{contender, each_round, race, race_two},
};
use crate::{
    Admission, Credential, CredentialKind, KeyHash, LiveBounds, OpenOutcome, OpenRequest,
    OrganizationConfig, PageRequest, Project, Result, SessionFilter, SessionName, Storage,
    WriteVariables, WriteVariablesOutcome,
};

fn project(id: &str) -> ProjectId {
    ProjectId::from(id)
}

/// Session number `n` of this name in this project.
fn named<S: Storage>(world: &World<S>, n: u32, (project, name): (&str, &str)) -> Session {
    Session {
        dialect: "other".into(),
        dialect_id: name.into(),
        project: Some(project.into()),
        ..world.session_at(n, at(u64::from(n)))
    }
}

async fn opened<S: Storage>(world: &World<S>, n: u32, at: (&str, &str)) -> Result<Session> {
    let session = named(world, n, at);
    assert_eq!(world.open(&session).await?, OpenOutcome::Opened);
    Ok(session)
}

async fn live<S: Storage>(world: &World<S>, at: (&str, &str)) -> Result<Option<Session>> {
    let name = SessionName::LiveInProject(project(at.0), at.1.into());
    world.store.find(&world.org, &name).await
}

async fn latest<S: Storage>(world: &World<S>, at: (&str, &str)) -> Result<Option<Session>> {
    let name = SessionName::LatestInProject(project(at.0), at.1.into());
    world.store.find(&world.org, &name).await
}

pub async fn a_name_is_one_live_sessions_in_its_project(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let first = opened(&world, 1, ("p", "x")).await?;
    assert_eq!(world.open(&named(&world, 2, ("p", "x"))).await?, OpenOutcome::NameTaken);
    let second = opened(&world, 3, ("q", "x")).await?;
    let plain = Session { dialect_id: "x".into(), ..world.session_at(4, at(4)) };
    assert_eq!(world.open(&plain).await?, OpenOutcome::Opened);
    let neighbour = world.neighbour("org_2").await?;
    let theirs = opened(&neighbour, 5, ("p", "x")).await?;
    assert_eq!(live(&world, ("p", "x")).await?.as_ref(), Some(&first));
    assert_eq!(live(&world, ("q", "x")).await?.as_ref(), Some(&second));
    assert_eq!(live(&neighbour, ("p", "x")).await?.as_ref(), Some(&theirs));
    for none in [("r", "x"), ("p", "X"), ("p", "")] {
        assert_eq!((live(&world, none).await?, latest(&world, none).await?), (None, None));
    }
    let of_dialect = |dialect: &str| SessionName::Dialect(dialect.into(), "x".into());
    let found = world.store.find(&world.org, &of_dialect("other")).await?;
    assert_eq!(found, None, "the sessions of a project have their names there alone");
    let found = world.store.find(&world.org, &of_dialect("native")).await?;
    assert_eq!(found, Some(plain));
    audit(&*world.store, &world.org).await
}

pub async fn a_name_in_a_project_is_free_after_the_end(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let any = SessionName::Any("x".into());
    let mut past = Vec::new();
    for n in 1..=3 {
        let session = opened(&world, n, ("p", "x")).await?;
        assert_eq!(live(&world, ("p", "x")).await?.as_ref(), Some(&session));
        assert_eq!(world.store.find(&world.org, &any).await?.as_ref(), Some(&session));
        world.ended(session.id, at(u64::from(n))).await?;
        assert_eq!(live(&world, ("p", "x")).await?, None);
        past.push(session.id);
        assert_eq!(latest(&world, ("p", "x")).await?.map(|s| s.id), Some(session.id));
    }
    let elsewhere = opened(&world, 4, ("q", "x")).await?;
    assert_eq!(world.store.find(&world.org, &any).await?, Some(elsewhere));
    assert_eq!(latest(&world, ("p", "x")).await?.map(|s| s.id), past.last().copied());
    let filter = SessionFilter { project: Some(project("p")), ..SessionFilter::default() };
    let list = async |page: PageRequest| world.store.list(&world.org, &filter, &page).await;
    let listed: Vec<_> = every(2, list).await?.into_iter().map(|session| session.id).collect();
    past.reverse();
    assert_eq!(listed, past);
    audit(&*world.store, &world.org).await
}

pub async fn of_many_opens_of_one_name_in_a_project_one_succeeds(
    backend: &impl Backend,
) -> Result<()> {
    each_round(backend, async |world, dice| {
        let count = dice.random_range(2..6);
        let opens = (1..=count).map(|n| {
            let (store, session) = (Arc::clone(&world.store), named(world, n, ("p", "x")));
            let admission = Admission::Free;
            let request = OpenRequest { session, greeting: None, admission, open_max: 0 };
            contender(async move { store.open(request, START).await })
        });
        let opens = opens.collect();
        let outcomes = race(dice, opens).await?;
        let opened = outcomes.iter().filter(|outcome| **outcome == OpenOutcome::Opened).count();
        let taken = outcomes.iter().filter(|outcome| **outcome == OpenOutcome::NameTaken).count();
        assert_eq!((opened, taken), (1, outcomes.len() - 1), "{outcomes:?}");
        Ok(())
    })
    .await
}

pub async fn variables_are_written_before_the_end_or_not_at_all(
    backend: &impl Backend,
) -> Result<()> {
    each_round(backend, async |world, dice| {
        let session = opened(world, 1, ("p", "x")).await?;
        let (store, org) = (Arc::clone(&world.store), world.org.clone());
        let variables = [("a".to_owned(), json!(1))].into_iter().collect();
        let write = WriteVariables { org, session: session.id, variables, nulls: Nulls::Kept };
        let write = async move { store.write_variables(write, at(2)).await };
        let (store, org) = (Arc::clone(&world.store), world.org.clone());
        let asked = EndRequest::asked(EndReason::UserEnd);
        let end = async move { store.end(&org, session.id, asked, at(2)).await };
        let (written, ended) = race_two(dice, write, end).await?;
        assert!(ended.is_some_and(|receipt| receipt.outcome.is_new()));
        let bag = world.stored(session.id).await?.context.bag;
        match written {
            WriteVariablesOutcome::Written(_) => assert_eq!(bag.len(), 1),
            WriteVariablesOutcome::Over => assert_eq!(bag.len(), 0),
            other => panic!("written or over, not {other:?}"),
        }
        Ok(())
    })
    .await
}

pub async fn last_words_are_written_with_the_end_they_come_with(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let asked = |words: &str| EndRequest {
        last_words: Some(words.into()),
        ..EndRequest::asked(EndReason::UserEnd)
    };
    let session = opened(&world, 1, ("p", "x")).await?;
    world.turn(session.id, at(2)).await?;
    let outcome = world.end(session.id, asked("Goodbye."), at(3)).await?;
    assert!(matches!(outcome, Some(EndOutcome::EndedNow(_))), "{outcome:?}");
    let again = world.end(session.id, asked("Once more."), at(4)).await?;
    assert!(matches!(again, Some(EndOutcome::AlreadyEnded(_))), "{again:?}");
    let said = world.store.messages(&world.org, session.id, 0, 10).await?;
    let last = said.last().expect("messages");
    assert_eq!((said.len(), last.turn, last.body.role), (3, 1, Role::Assistant));
    assert_eq!((last.body.content.as_str(), last.body.at), ("Goodbye.", at(3)));
    let stored = world.stored(session.id).await?;
    assert_eq!((stored.messages, stored.usage.total_messages), (3, 3));
    let late = opened(&world, 5, ("p", "x")).await?;
    let outcome = world.end(late.id, asked("Too late."), at(5) + IDLE).await?;
    assert!(matches!(outcome, Some(EndOutcome::Lapsed(_))), "{outcome:?}");
    assert_eq!(world.store.messages(&world.org, late.id, 0, 10).await?, []);
    audit(&*world.store, &world.org).await
}

pub async fn the_live_sessions_of_a_project_are_read_in_parts(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let names = ["", "é", "a", "B", "b", "\u{1f44b}", "%_"];
    for (n, name) in (1..).zip(names).skip(1) {
        let session = opened(&world, n, ("p", name)).await?;
        world.turn(session.id, at(20)).await?;
    }
    opened(&world, 20, ("q", "a")).await?;
    let over = opened(&world, 21, ("p", "c")).await?;
    world.ended(over.id, at(21)).await?;
    let bounds = |sessions_max, bytes_max| LiveBounds { sessions_max, bytes_max };
    for bounds in [bounds(1, 10_000), bounds(2, 10_000), bounds(100, 1), bounds(100, 10_000)] {
        let (mut after, mut read) = (None, Vec::new());
        loop {
            let part = world
                .store
                .live_conversations(&world.org, &project("p"), after.as_deref(), bounds)
                .await?;
            assert!(part.items.len() <= if bounds.bytes_max == 1 { 1 } else { 100 });
            assert!(part.items.len() <= bounds.sessions_max as usize);
            read.extend(part.items);
            after = part.next;
            if after.is_none() {
                break;
            }
        }
        let found: Vec<_> = read.iter().map(|(session, _)| session.dialect_id.as_str()).collect();
        assert_eq!(found, ["%_", "B", "a", "b", "é", "\u{1f44b}"]);
        assert!(read.iter().all(|(_, said)| said.len() == 2), "each with its transcript");
    }
    let neighbour = world.neighbour("org_2").await?;
    let theirs = neighbour
        .store
        .live_conversations(&neighbour.org, &project("p"), None, bounds(9, 9))
        .await?;
    assert_eq!((theirs.items, theirs.next), (vec![], None));
    Ok(())
}

fn configured(org: &str, projects: &[(&str, &str)], now: u64) -> OrganizationConfig {
    let projects = projects.iter().map(|(id, name)| Project {
        org: org.into(),
        id: (*id).into(),
        name: (*name).into(),
        agent: busy_agent().id,
        created_at: at(now),
    });
    let config = organization(org, &busy_agent());
    OrganizationConfig { projects: projects.collect(), ..config }
}

pub async fn projects_are_what_the_configuration_says(backend: &impl Backend) -> Result<()> {
    let store = backend.fresh().await;
    let org = OrgId::from("org_1");
    let both = configured("org_1", &[("b", "Bee"), ("a", "Ay")], 0);
    store.apply_config(vec![both, configured("org_2", &[("a", "Theirs")], 0)], START).await?;
    let names = async |org: &OrgId| {
        let projects = store.projects(org).await?;
        let told = projects.into_iter().map(|p| (p.id.to_string(), p.name, p.created_at));
        Ok::<_, crate::Error>(told.collect::<Vec<_>>())
    };
    let project_a = (String::from("a"), String::from("Ay"), START);
    let project_b = (String::from("b"), String::from("Bee"), START);
    assert_eq!(names(&org).await?, [project_a, project_b.clone()], "by id");
    let mut changed = configured("org_1", &[("b", "Bee"), ("c", "See")], 5);
    changed.agents.push(quiet_agent());
    changed.projects[0].agent = quiet_agent().id;
    store.apply_config(vec![changed.clone()], at(5)).await?;
    assert_eq!(names(&org).await?, [project_b, ("c".into(), "See".into(), at(5))]);
    let found = store.project(&org, &project("b")).await?.expect("it is there");
    assert_eq!(found, Project { created_at: START, ..changed.projects[0].clone() });
    for gone in ["a", "B", ""] {
        assert_eq!(store.project(&org, &project(gone)).await?, None, "{gone}");
    }
    let back = configured("org_1", &[("a", "Again")], 9);
    store.apply_config(vec![back], at(9)).await?;
    assert_eq!(names(&org).await?, [("a".into(), "Again".into(), START)], "as old as it is");
    assert_eq!(names(&"org_2".into()).await?, [("a".into(), "Theirs".into(), START)]);
    assert_eq!(names(&"org_3".into()).await?, []);
    Ok(())
}

pub async fn sessions_of_a_project_that_is_gone_go_on(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    world.store.apply_config(vec![configured("org_1", &[("p", "P")], 0)], START).await?;
    let session = opened(&world, 1, ("p", "x")).await?;
    world.store.apply_config(vec![configured("org_1", &[], 0)], at(2)).await?;
    assert_eq!(live(&world, ("p", "x")).await?, Some(session.clone()));
    let overdue = session.last_activity + IDLE;
    let outcome = world.end(session.id, EndRequest::due(), overdue).await?;
    assert!(outcome.is_some_and(|outcome| outcome.is_new()));
    audit(&*world.store, &world.org).await
}

pub async fn a_projects_key_is_kept_with_its_project(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let key = Credential {
        id: "key_1".into(),
        hash: KeyHash([1; 32]),
        org: world.org.clone(),
        kind: CredentialKind::Project { project: project("p") },
        role: crate::Role::Own,
        name: "P".into(),
        created_at: START,
        expires_at: None,
        revoked_at: None,
        configured: false,
    };
    world.store.add_credential(key.clone(), at(1)).await?;
    assert_eq!(world.store.credential(&key.hash).await?, Some(key));
    Ok(())
}
