//! What projects change about their agents: kept apart from the operator's, and made anew with it.

use std::sync::Arc;

use epilogue_core::{
    Agent, AgentOverlay, OrgId, ProjectId,
    overlay::{self, Change},
    session::AgentVersion,
};
use serde_json::json;

use super::{
    Backend,
    fixture::{START, World, at, busy_agent, organization, quiet_agent},
    prelude::*,
    race::{contender, each_round, race},
};
use crate::{
    OrganizationConfig, Project, Result, Storage, WriteProjectAgent, WriteProjectAgentOutcome,
};

fn project() -> ProjectId {
    ProjectId::from("p")
}

/// The fixture's organization with one project of this agent.
fn configured(agent: &Agent) -> OrganizationConfig {
    of_org("org_1", agent)
}

fn of_org(org: &str, agent: &Agent) -> OrganizationConfig {
    let projects = vec![Project {
        org: org.into(),
        id: project(),
        name: "P".into(),
        agent: agent.id.clone(),
        created_at: START,
    }];
    OrganizationConfig { projects, ..organization(org, agent) }
}

fn named(name: &str, follows: u32) -> WriteProjectAgent {
    WriteProjectAgent {
        project: project(),
        overlay: AgentOverlay { name: Change::To(name.into()), ..AgentOverlay::default() },
        document: json!({ "name": name }),
        follows,
        by: Some("key_1".into()),
    }
}

fn version(version: u32) -> WriteProjectAgentOutcome {
    let id = overlay::agent_id(&project());
    WriteProjectAgentOutcome::Written(AgentVersion { id, version })
}

async fn world<B: Backend>(backend: &B) -> Result<World<B::Store>> {
    let world = World::new(backend).await?;
    world.store.apply_config(vec![configured(&busy_agent())], START).await?;
    Ok(world)
}

/// The project's own agent in its latest version.
async fn own(store: &impl Storage, org: &OrgId) -> Result<Option<(u32, Agent)>> {
    let found = store.agent(org, &overlay::agent_id(&project())).await?;
    Ok(found.map(|(version, agent)| (version.version, agent)))
}

pub async fn a_projects_changes_make_an_agent_of_its_own(backend: &impl Backend) -> Result<()> {
    let world = world(backend).await?;
    let (store, org) = (&world.store, &world.org);
    assert_eq!(store.project_agent(org, &project()).await?, None);
    assert_eq!(own(&**store, org).await?, None);
    let wrote = store.write_project_agent(org, named("Ours", 0), at(1)).await?;
    assert_eq!(wrote, version(1));
    let kept = store.project_agent(org, &project()).await?.expect("it is kept");
    assert_eq!((kept.revision, kept.created_at, kept.updated_at), (1, at(1), at(1)));
    assert_eq!(
        (kept.overlay, kept.document),
        (named("Ours", 0).overlay, json!({ "name": "Ours" }))
    );
    let (_, agent) = own(&**store, org).await?.expect("it is made");
    let memory_of = Some(busy_agent().id);
    let id = overlay::agent_id(&project());
    let expected = Agent { id, name: "Ours".into(), memory_of, ..busy_agent() };
    assert_eq!(agent, expected);
    let late = store.write_project_agent(org, named("Late", 0), at(2)).await?;
    assert_eq!(late, WriteProjectAgentOutcome::Changed);
    let next = store.write_project_agent(org, named("Next", 1), at(3)).await?;
    assert_eq!(next, version(2));
    let kept = store.project_agent(org, &project()).await?.expect("it is kept");
    assert_eq!((kept.revision, kept.created_at, kept.updated_at), (2, at(1), at(3)));
    let listed = store.agents(org).await?;
    assert_eq!(listed.len(), 1, "it stands in no list");
    assert_eq!(listed[0].1, busy_agent(), "and the operator's is as it was");
    Ok(())
}

pub async fn a_project_that_is_not_there_changes_nothing(backend: &impl Backend) -> Result<()> {
    let world = world(backend).await?;
    let nowhere = WriteProjectAgent { project: "q".into(), ..named("x", 0) };
    let wrote = world.store.write_project_agent(&world.org, nowhere, at(1)).await?;
    assert_eq!(wrote, WriteProjectAgentOutcome::NoProject);
    let neighbour = world.neighbour("org_2").await?;
    let theirs = neighbour.store.write_project_agent(&neighbour.org, named("x", 0), at(1)).await?;
    assert_eq!(theirs, WriteProjectAgentOutcome::NoProject);
    world.store.write_project_agent(&world.org, named("x", 0), at(1)).await?;
    assert_eq!(neighbour.store.project_agent(&neighbour.org, &project()).await?, None);
    Ok(())
}

pub async fn a_projects_agent_follows_the_operators(backend: &impl Backend) -> Result<()> {
    let world = world(backend).await?;
    let (store, org) = (&world.store, &world.org);
    store.write_project_agent(org, named("Ours", 0), at(1)).await?;
    store.apply_config(vec![configured(&busy_agent())], at(2)).await?;
    assert_eq!(own(&**store, org).await?.map(|(version, _)| version), Some(1), "nothing new");
    let bolder = Agent { prompt: "Be bold.".into(), ..busy_agent() };
    store.apply_config(vec![configured(&bolder)], at(3)).await?;
    let (version, agent) = own(&**store, org).await?.expect("it is there");
    assert_eq!((version, agent.name.as_str(), agent.prompt.as_str()), (2, "Ours", "Be bold."));
    store.apply_config(vec![configured(&quiet_agent())], at(4)).await?;
    let (version, agent) = own(&**store, org).await?.expect("it is there");
    assert_eq!((version, agent.name.as_str(), agent.webhook), (3, "Ours", None));
    let kept = store.project_agent(org, &project()).await?.expect("it is kept");
    assert_eq!((kept.revision, kept.updated_at), (1, at(1)), "nobody has written");
    Ok(())
}

pub async fn of_many_writers_of_one_revision_one_writes(backend: &impl Backend) -> Result<()> {
    each_round(backend, async |world, dice| {
        let config = of_org(world.org.as_str(), &busy_agent());
        world.store.apply_config(vec![config], START).await?;
        let writers = ["a", "b", "c"].map(|name| {
            let (store, org) = (Arc::clone(&world.store), world.org.clone());
            let write = named(name, 0);
            contender(async move { store.write_project_agent(&org, write, at(1)).await })
        });
        let outcomes = race(dice, writers.into_iter().collect()).await?;
        let written = outcomes.iter().filter(|outcome| **outcome == version(1)).count();
        let late = WriteProjectAgentOutcome::Changed;
        let changed = outcomes.iter().filter(|outcome| **outcome == late).count();
        assert_eq!((written, changed), (1, 2), "{outcomes:?}");
        Ok(())
    })
    .await
}
