//! Agents written at run time, and integrations with their tokens.

use epilogue_core::{
    Agent, AgentId,
    integration::{Integration, IntegrationToken},
    session::AgentVersion,
};
use serde_json::{Value, json};

use super::{
    Backend,
    fixture::{START, World, at, busy_agent, every, quiet_agent},
    prelude::*,
};
use crate::{
    AddIntegrationOutcome, AddTokenOutcome, AgentChange, AgentWrite, DeleteAgentOutcome, KeyHash,
    PutIntegrationOutcome, Result, Storage, TOKENS_MAX, TokenHolder, WriteAgentOutcome,
};

fn made(id: &str, prompt: &str) -> Agent {
    Agent { id: id.into(), prompt: prompt.into(), ..quiet_agent() }
}

fn write(id: &str, prompt: &str, change: AgentChange) -> AgentWrite {
    let document = json!({ "prompt": prompt, "kept": [1.5, null] });
    AgentWrite { agent: made(id, prompt), document, change, by: Some("key_9".into()) }
}

fn version(id: &str, version: u32) -> AgentVersion {
    AgentVersion { id: id.into(), version }
}

async fn kinds<S: Storage>(world: &World<S>) -> Result<Vec<String>> {
    let list = async |page| world.store.list_activity(&world.org, None, &page).await;
    Ok(every(100, list).await?.into_iter().map(|entry| entry.kind).rev().collect())
}

pub async fn an_agent_is_written_with_its_document_and_followed(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let (store, org) = (&world.store, &world.org);
    let create = store.write_agent(org, write("made", "One", AgentChange::Create), at(1)).await?;
    assert_eq!(create, WriteAgentOutcome::Written(version("made", 1)));
    let again = store.write_agent(org, write("made", "One", AgentChange::Create), at(2)).await?;
    assert_eq!(again, WriteAgentOutcome::Changed, "the name is taken");
    let follow = write("made", "Two", AgentChange::Follow(1));
    let next = store.write_agent(org, follow.clone(), at(3)).await?;
    assert_eq!(next, WriteAgentOutcome::Written(version("made", 2)));
    assert_eq!(store.write_agent(org, follow, at(4)).await?, WriteAgentOutcome::Changed);
    let same = write("made", "Two", AgentChange::Follow(2));
    let same = store.write_agent(org, same, at(5)).await?;
    assert_eq!(same, WriteAgentOutcome::Written(version("made", 2)), "nothing changed");
    let clone = write("twin", "Two", AgentChange::CloneOf("made".into()));
    let clone = store.write_agent(org, clone, at(6)).await?;
    assert_eq!(clone, WriteAgentOutcome::Written(version("twin", 1)));
    let record = store.agent_record(org, &"made".into()).await?.expect("written");
    assert_eq!((record.version, record.agent), (version("made", 2), made("made", "Two")));
    assert_eq!(record.document, Some(json!({ "prompt": "Two", "kept": [1.5, null] })));
    assert_eq!((record.created_at, record.updated_at, record.deleted_at), (at(1), at(3), None));
    assert_eq!(kinds(&world).await?, ["agent.created", "agent.updated", "agent.cloned"]);
    Ok(())
}

pub async fn an_unlisted_agent_is_found_by_its_id_alone(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let (store, org) = (&world.store, &world.org);
    let create = write("inline", "One", AgentChange::CreateUnlisted);
    let made_it = store.write_agent(org, create.clone(), at(1)).await?;
    assert_eq!(made_it, WriteAgentOutcome::Written(version("inline", 1)));
    assert_eq!(store.write_agent(org, create, at(2)).await?, made_it, "the same again is the same");
    let other = write("inline", "Two", AgentChange::CreateUnlisted);
    assert_eq!(store.write_agent(org, other, at(2)).await?, WriteAgentOutcome::Changed);
    let found = store.agent(org, &"inline".into()).await?;
    assert_eq!(found, Some((version("inline", 1), made("inline", "One"))));
    assert!(store.agents(org).await?.iter().all(|(listed, _)| listed.id.as_str() != "inline"));
    let listed = store.agent_records(org, 0, 100).await?;
    assert!(listed.iter().all(|record| record.version.id.as_str() != "inline"));
    assert_eq!(kinds(&world).await?, Vec::<String>::new());
    Ok(())
}

pub async fn a_deleted_agent_opens_nothing_and_stays_for_its_sessions(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let (store, org) = (&world.store, &world.org);
    let id = AgentId::from("made");
    store.write_agent(org, write("made", "One", AgentChange::Create), at(1)).await?;
    let delete = async |now| store.delete_agent(org, &id, Some("key_9".into()), now).await;
    assert_eq!(delete(at(2)).await?, DeleteAgentOutcome::Deleted);
    assert_eq!(delete(at(3)).await?, DeleteAgentOutcome::NoAgent);
    assert_eq!(store.agent(org, &id).await?, None);
    assert!(store.agents(org).await?.iter().all(|(version, _)| version.id != id));
    assert!(store.agent_records(org, 0, 100).await?.iter().all(|r| r.version.id != id));
    let known = store.agent_version(org, &version("made", 1)).await?;
    assert_eq!(known, Some(made("made", "One")));
    let record = store.agent_record(org, &id).await?.expect("it is known");
    assert_eq!(record.deleted_at, Some(at(2)));
    let follow = write("made", "Two", AgentChange::Follow(1));
    assert_eq!(store.write_agent(org, follow, at(4)).await?, WriteAgentOutcome::Gone);
    let unknown = write("unknown", "Two", AgentChange::Follow(1));
    assert_eq!(store.write_agent(org, unknown, at(4)).await?, WriteAgentOutcome::Gone);
    assert_eq!(kinds(&world).await?, ["agent.created", "agent.deleted"]);
    Ok(())
}

pub async fn a_configured_agent_is_neither_followed_nor_deleted(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let (store, org) = (&world.store, &world.org);
    let id = busy_agent().id;
    let follow = AgentWrite {
        agent: busy_agent(),
        document: json!({}),
        change: AgentChange::Follow(1),
        by: None,
    };
    assert_eq!(store.write_agent(org, follow, at(1)).await?, WriteAgentOutcome::Configured);
    let deleted = store.delete_agent(org, &id, None, at(1)).await?;
    assert_eq!(deleted, DeleteAgentOutcome::Configured);
    let record = store.agent_record(org, &id).await?.expect("configured");
    assert_eq!((record.document, record.created_at), (None, START));
    Ok(())
}

pub async fn the_configuration_leaves_written_agents_alone(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let (store, org) = (&world.store, &world.org);
    store.write_agent(org, write("made", "One", AgentChange::Create), at(1)).await?;
    let config = super::fixture::organization(org.as_str(), &busy_agent());
    store.apply_config(vec![config], at(2)).await?;
    let record = store.agent_record(org, &"made".into()).await?.expect("still there");
    assert_eq!(record.version, version("made", 1));
    let ids: Vec<_> =
        store.agent_records(org, 0, 10).await?.into_iter().map(|r| r.version.id).collect();
    assert_eq!(ids, [busy_agent().id, "made".into()]);
    let second = store.agent_records(org, 1, 1).await?;
    assert_eq!(second[0].version.id, "made".into());
    Ok(())
}

pub async fn the_configuration_may_take_up_the_id_of_an_agent_that_was_deleted(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let (store, org) = (&world.store, &world.org);
    store.write_agent(org, write("made", "One", AgentChange::Create), at(1)).await?;
    store.delete_agent(org, &"made".into(), None, at(2)).await?;
    let config = super::fixture::organization(org.as_str(), &made("made", "Two"));
    store.apply_config(vec![config.clone()], at(3)).await?;
    store.apply_config(vec![config], at(4)).await?;
    let record = store.agent_record(org, &"made".into()).await?.expect("it is there again");
    assert_eq!((record.version, record.deleted_at), (version("made", 2), None));
    let taken = store.agent(org, &"made".into()).await?.map(|(_, agent)| agent.prompt);
    assert_eq!(taken.as_deref(), Some("Two"));
    Ok(())
}

pub async fn anothers_agents_and_integrations_cannot_be_touched(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let other = world.neighbour("org_2").await?;
    let (store, org) = (&world.store, &world.org);
    store.write_agent(org, write("made", "One", AgentChange::Create), at(1)).await?;
    store.add_integration(org, integration("i1"), None, at(1)).await?;
    store.add_token(org, "i1", token("t1", "page"), None, at(1)).await?;
    let (id, theirs) = (AgentId::from("made"), &other.org);
    assert!(store.agent_record(theirs, &id).await?.is_none());
    let follow = write("made", "Two", AgentChange::Follow(1));
    assert_eq!(store.write_agent(theirs, follow, at(2)).await?, WriteAgentOutcome::Gone);
    let deleted = store.delete_agent(theirs, &id, None, at(2)).await?;
    assert_eq!(deleted, DeleteAgentOutcome::NoAgent);
    assert_eq!(store.integration(theirs, "i1").await?, None);
    assert_eq!(store.integrations(theirs).await?, []);
    let put = (integration("i1"), integration("i1"));
    let put = store.put_integration(theirs, put, None, at(2)).await?;
    assert_eq!(put, PutIntegrationOutcome::Gone);
    assert!(!store.remove_token(theirs, ("i1", "t1"), None, at(2)).await?);
    let added = store.add_token(theirs, "i1", token("t2", "other"), None, at(2)).await?;
    assert_eq!(added, AddTokenOutcome::NoIntegration);
    assert!(!store.remove_integration(theirs, "i1", None, at(2)).await?);
    assert_eq!(holder(&world, "t1").await?.map(|holder| holder.org), Some(org.clone()));
    Ok(())
}

fn integration(id: &str) -> Integration {
    Integration {
        id: id.into(),
        agent: "agent_busy".into(),
        name: "Shop".into(),
        enabled: true,
        origins: vec!["*.example.com".parse().expect("an origin")],
        document: json!({ "kept": { "deep": [true] } }),
        created_at: at(1),
        updated_at: at(1),
    }
}

fn hash(id: &str) -> KeyHash {
    let mut hash = [0; 32];
    hash[..id.len()].copy_from_slice(id.as_bytes());
    KeyHash(hash)
}

fn token(id: &str, name: &str) -> (IntegrationToken, KeyHash) {
    let token = IntegrationToken {
        id: id.into(),
        name: name.into(),
        hint: "wi_abc".into(),
        created_at: at(1),
        expires_at: Some(at(100)),
        last_used_at: None,
    };
    (token, hash(id))
}

async fn holder<S: Storage>(world: &World<S>, id: &str) -> Result<Option<TokenHolder>> {
    world.store.token_holder(&hash(id)).await
}

pub async fn an_integration_is_kept_changed_and_removed_with_its_tokens(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let (store, org) = (&world.store, &world.org);
    let added = store.add_integration(org, integration("i1"), None, at(1)).await?;
    assert_eq!(added, AddIntegrationOutcome::Added);
    let (one, hash) = token("t1", "page");
    let added = store.add_token(org, "i1", (one.clone(), hash), None, at(2)).await?;
    assert_eq!(added, AddTokenOutcome::Added);
    let found = store.integration(org, "i1").await?;
    assert_eq!(found, Some((integration("i1"), vec![one.clone()])));
    let changed = Integration {
        name: "Renamed".into(),
        enabled: false,
        origins: Vec::new(),
        document: Value::Null,
        updated_at: at(3),
        ..integration("i1")
    };
    let put = async |was: Integration, is: Integration| {
        store.put_integration(org, (was, is), None, at(3)).await
    };
    let written = put(integration("i1"), changed.clone()).await?;
    assert_eq!(written, PutIntegrationOutcome::Written);
    let late = put(integration("i1"), integration("i1")).await?;
    assert_eq!(late, PutIntegrationOutcome::Changed, "it is no longer what it was");
    let gone = put(integration("i2"), integration("i2")).await?;
    assert_eq!(gone, PutIntegrationOutcome::Gone);
    assert_eq!(store.integrations(org).await?, [(changed.clone(), vec![one.clone()])]);
    let held = TokenHolder { org: org.clone(), integration: changed, token: one };
    assert_eq!(holder(&world, "t1").await?, Some(held));
    assert!(store.remove_integration(org, "i1", None, at(4)).await?);
    assert!(!store.remove_integration(org, "i1", None, at(5)).await?);
    assert_eq!((holder(&world, "t1").await?, store.integration(org, "i1").await?), (None, None));
    let expected = [
        "integration.created",
        "integration.token_created",
        "integration.updated",
        "integration.deleted",
    ];
    assert_eq!(kinds(&world).await?, expected);
    Ok(())
}

pub async fn a_token_has_a_name_of_its_own_and_is_revoked_at_once(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let (store, org) = (&world.store, &world.org);
    let theirs = world.neighbour("org_2").await?.org;
    for id in ["i1", "i2"] {
        store.add_integration(org, integration(id), None, at(1)).await?;
    }
    let add = async |to: &str, id: &str, name: &str| {
        store.add_token(org, to, token(id, name), None, at(2)).await
    };
    assert_eq!(add("i1", "t1", "page").await?, AddTokenOutcome::Added);
    assert_eq!(add("i1", "t2", "page").await?, AddTokenOutcome::NameTaken);
    assert_eq!(add("i2", "t3", "page").await?, AddTokenOutcome::Added, "another's name");
    assert_eq!(add("i3", "t4", "page").await?, AddTokenOutcome::NoIntegration);
    store.token_used(org, &hash("t1"), at(7)).await?;
    store.token_used(org, &hash("t1"), at(5)).await?;
    store.token_used(&theirs, &hash("t1"), at(9)).await?;
    let used = |holder: Option<TokenHolder>| holder.and_then(|holder| holder.token.last_used_at);
    assert_eq!(used(holder(&world, "t1").await?), Some(at(7)), "it never moves back");
    assert!(!store.remove_token(org, ("i2", "t1"), None, at(8)).await?);
    assert!(store.remove_token(org, ("i1", "t1"), None, at(8)).await?);
    assert_eq!(holder(&world, "t1").await?, None);
    assert_eq!(add("i1", "t5", "page").await?, AddTokenOutcome::Added, "the name is free again");
    for n in 1..TOKENS_MAX {
        let more = add("i1", &format!("n{n}"), &format!("name {n}")).await?;
        assert_eq!(more, AddTokenOutcome::Added);
    }
    assert_eq!(add("i1", "t6", "one more").await?, AddTokenOutcome::TooMany);
    Ok(())
}
