//! Organizations, agents and keys: what the configuration brings, and what is made at run time.

use std::sync::Arc;

use epilogue_core::{Agent, KeyId, MicroCredits, OrgId, ledger::Account, session::AgentVersion};

use super::{
    Backend,
    audit::audit,
    fixture::{MS, START, World, at, busy_agent, every, organization, quiet_agent},
    prelude::*,
};
use crate::{Credential, CredentialKind, KeyHash, OrganizationConfig, Result, Role};

fn key(n: u8, org: &str, configured: bool) -> Credential {
    Credential {
        id: KeyId::from(format!("key_{n}")),
        hash: KeyHash([n; 32]),
        org: OrgId::from(org),
        kind: CredentialKind::Secret,
        role: Role::Operate,
        name: format!("Key {n}"),
        created_at: START,
        expires_at: None,
        revoked_at: None,
        configured,
    }
}

fn configured(credits: i64, keys: Vec<Credential>) -> OrganizationConfig {
    let mut config = organization("org_1", &busy_agent());
    config.organization.metered = true;
    config.organization.grace = MicroCredits(5);
    config.opening_credits = Some(MicroCredits(credits));
    OrganizationConfig { keys, ..config }
}

pub async fn the_configuration_is_applied(backend: &impl Backend) -> Result<()> {
    let store = backend.fresh().await;
    let first = configured(100, vec![key(1, "org_1", true)]);
    let second = organization("org_2", &quiet_agent());
    store.apply_config(vec![first.clone(), second.clone()], START).await?;
    let mut all = store.organizations().await?;
    all.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(all, [first.organization.clone(), second.organization]);
    let org = first.organization.id.clone();
    assert_eq!(store.organization(&org).await?, Some(first.organization));
    assert_eq!(store.organization(&"org_9".into()).await?, None);
    let version = AgentVersion { id: busy_agent().id, version: 1 };
    assert_eq!(store.agent(&org, &version.id).await?, Some((version.clone(), busy_agent())));
    assert_eq!(store.agent_version(&org, &version).await?, Some(busy_agent()));
    assert_eq!(store.agents(&org).await?, [(version.clone(), busy_agent())]);
    assert_eq!(store.agent(&org, &quiet_agent().id).await?, None);
    let next = AgentVersion { version: 2, ..version };
    assert_eq!(store.agent_version(&org, &next).await?, None);
    assert_eq!(store.credentials(&org).await?, [key(1, "org_1", true)]);
    assert_eq!(store.credential(&KeyHash([1; 32])).await?, Some(key(1, "org_1", true)));
    assert_eq!(store.credential(&KeyHash([2; 32])).await?, None);
    assert_eq!(store.balance(&org, Account::Balance).await?, MicroCredits(100));
    audit(&store, &org).await
}

pub async fn applying_the_configuration_again_changes_nothing(
    backend: &impl Backend,
) -> Result<()> {
    let store = backend.fresh().await;
    let config = configured(100, vec![key(1, "org_1", true)]);
    let org = config.organization.id.clone();
    let mut seen = Vec::new();
    for now in [START, at(10)] {
        store.apply_config(vec![config.clone()], now).await?;
        let ledger = async |page| store.list_ledger(&org, None, &page).await;
        let log = async |page| store.list_activity(&org, None, &page).await;
        let (agents, keys) = (store.agents(&org).await?, store.credentials(&org).await?);
        let organizations = store.organizations().await?;
        seen.push((organizations, agents, keys, every(9, ledger).await?, every(9, log).await?));
    }
    assert_eq!(seen[0], seen[1]);
    Ok(())
}

pub async fn an_organization_is_renamed_by_its_configuration(backend: &impl Backend) -> Result<()> {
    let store = backend.fresh().await;
    let mut config = configured(100, vec![]);
    store.apply_config(vec![config.clone()], START).await?;
    config.organization.name = "Renamed".into();
    config.organization.grace = MicroCredits(9);
    store.apply_config(vec![config.clone()], at(1)).await?;
    assert_eq!(store.organizations().await?, [config.organization]);
    Ok(())
}

pub async fn opening_credits_are_granted_once_whatever_their_amount(
    backend: &impl Backend,
) -> Result<()> {
    let store = backend.fresh().await;
    let org = OrgId::from("org_1");
    for (credits, now) in [(100, 0), (100, 1), (500, 2)] {
        store.apply_config(vec![configured(credits, vec![])], at(now)).await?;
        assert_eq!(store.balance(&org, Account::Balance).await?, MicroCredits(100));
    }
    let unmetered = organization("org_2", &quiet_agent());
    store.apply_config(vec![unmetered], at(3)).await?;
    let balance = store.balance(&"org_2".into(), Account::Balance).await?;
    assert_eq!(balance, MicroCredits::ZERO);
    audit(&store, &org).await
}

pub async fn a_changed_agent_gets_a_version_and_the_old_one_stays(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let (old, org) = (busy_agent(), &world.org);
    let new = Agent { prompt: "Be brief.".into(), ..busy_agent() };
    let version = |version| AgentVersion { id: old.id.clone(), version };
    world.store.apply_config(vec![organization("org_1", &new)], at(1)).await?;
    assert_eq!(world.store.agent(org, &old.id).await?, Some((version(2), new.clone())));
    assert_eq!(world.store.agent_version(org, &version(1)).await?, Some(old.clone()));
    assert_eq!(world.store.agent_version(org, &version(2)).await?, Some(new.clone()));

    assert_eq!(world.store.put_agent(org, new.clone(), at(2)).await?, version(2), "unchanged");
    assert_eq!(world.store.put_agent(org, old.clone(), at(3)).await?, version(3), "changed back");
    assert_eq!(world.store.agent(org, &old.id).await?, Some((version(3), old.clone())));
    assert_eq!(world.store.agents(org).await?.len(), 1);
    Ok(())
}

pub async fn a_session_keeps_the_agent_it_was_opened_with(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let session = world.opened(1).await?;
    let free = Agent { webhook: None, price: epilogue_core::Price::default(), ..busy_agent() };
    world.store.put_agent(&world.org, free, at(1)).await?;
    world.turn(session.id, at(2)).await?;
    let ended = world.ended(session.id, at(60)).await?;
    assert_eq!(ended.cost, MicroCredits(5_500), "the price it was opened at");
    audit(&*world.store, &world.org).await
}

pub async fn agents_made_at_run_time_stay(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let version = world.store.put_agent(&world.org, quiet_agent(), at(1)).await?;
    assert_eq!(version, AgentVersion { id: quiet_agent().id, version: 1 });
    world.store.apply_config(vec![organization("org_1", &busy_agent())], at(2)).await?;
    let found = world.store.agent(&world.org, &version.id).await?;
    assert_eq!(found, Some((version.clone(), quiet_agent())));
    let agents = world.store.agents(&world.org).await?;
    assert_eq!(agents, [(world.version.clone(), busy_agent()), (version, quiet_agent())], "by id");
    Ok(())
}

pub async fn a_key_that_left_the_configuration_is_revoked(backend: &impl Backend) -> Result<()> {
    let store = backend.fresh().await;
    let org = OrgId::from("org_1");
    let both = vec![key(1, "org_1", true), key(2, "org_1", true)];
    store.apply_config(vec![configured(1, both)], START).await?;
    let made = key(3, "org_1", false);
    store.add_credential(made.clone(), at(1)).await?;
    let one = vec![key(1, "org_1", true)];
    store.apply_config(vec![configured(1, one)], at(2)).await?;
    let find = async |n| Ok::<_, crate::Error>(store.credential(&KeyHash([n; 32])).await?);
    assert_eq!(find(1).await?, Some(key(1, "org_1", true)), "what is configured stays");
    assert_eq!(find(3).await?, Some(made), "what was made at run time stays");
    let revoked = find(2).await?.expect("a revoked key is known");
    assert_eq!(revoked, Credential { revoked_at: Some(at(2)), ..key(2, "org_1", true) });
    assert!(!revoked.is_valid(at(3)));
    assert_eq!(store.credentials(&org).await?.len(), 3);
    store.apply_config(vec![configured(1, vec![key(1, "org_1", true)])], at(5)).await?;
    assert_eq!(find(2).await?.and_then(|key| key.revoked_at), Some(at(2)), "once");
    Ok(())
}

pub async fn a_key_that_returns_to_the_configuration_opens_again(
    backend: &impl Backend,
) -> Result<()> {
    let store = backend.fresh().await;
    let with = || vec![configured(1, vec![key(1, "org_1", true)])];
    store.apply_config(with(), START).await?;
    store.apply_config(vec![configured(1, vec![])], at(1)).await?;
    store.apply_config(with(), at(2)).await?;
    let found = store.credential(&KeyHash([1; 32])).await?.expect("it is known");
    assert!(found.is_valid(at(3)), "{found:?}");
    Ok(())
}

pub async fn a_key_is_kept_with_all_it_may_do(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let widget = Credential {
        kind: CredentialKind::Widget { domains: vec!["example.com".into(), "a.test".into()] },
        role: Role::Read,
        expires_at: Some(at(100)),
        ..key(1, "org_1", false)
    };
    let owner = Credential { role: Role::Own, ..key(2, "org_1", false) };
    for credential in [&widget, &owner] {
        world.store.add_credential(credential.clone(), at(1)).await?;
        let found = world.store.credential(&credential.hash).await?;
        assert_eq!(found.as_ref(), Some(credential));
    }
    let found = world.store.credential(&widget.hash).await?.expect("it is known");
    assert!(found.is_valid(at(100) - MS) && !found.is_valid(at(100)));
    Ok(())
}

pub async fn a_revoked_key_opens_nothing_but_is_known(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    world.store.add_credential(key(1, "org_1", false), at(1)).await?;
    let by = Some("key_9".to_owned());
    let revoke = async |id: &str| {
        world.store.revoke_credential(&world.org, &id.into(), by.clone(), at(5)).await
    };
    assert!(!revoke("key_2").await?);
    assert!(revoke("key_1").await?);
    let found = world.store.credential(&KeyHash([1; 32])).await?.expect("it is known");
    assert_eq!(found, Credential { revoked_at: Some(at(5)), ..key(1, "org_1", false) });
    assert!(!found.is_valid(at(5)));
    assert_eq!(world.store.credentials(&world.org).await?, [found]);
    let list = async |page| world.store.list_activity(&world.org, None, &page).await;
    let log = every(10, list).await?;
    let revoked: Vec<_> = log.iter().filter(|entry| entry.kind == "key.revoked").collect();
    assert_eq!(revoked.len(), 1, "{log:?}");
    assert_eq!((&revoked[0].by, revoked[0].at), (&by, at(5)));
    Ok(())
}

pub async fn writers_of_one_agent_agree_on_its_versions(backend: &impl Backend) -> Result<()> {
    let world = World::new(backend).await?;
    let writers: Vec<_> = (0..8)
        .map(|n| {
            let (store, org) = (Arc::clone(&world.store), world.org.clone());
            let agent = Agent { prompt: format!("Prompt {n}"), ..busy_agent() };
            tokio::spawn(async move { store.put_agent(&org, agent, at(1)).await })
        })
        .collect();
    let mut versions = Vec::new();
    for (writer, n) in writers.into_iter().zip(0..) {
        let version = writer.await.expect("no panic")?;
        let stored = world.store.agent_version(&world.org, &version).await?;
        assert_eq!(stored.map(|agent| agent.prompt), Some(format!("Prompt {n}")));
        versions.push(version.version);
    }
    versions.sort_unstable();
    assert_eq!(versions, (2..=9).collect::<Vec<_>>());
    Ok(())
}

pub async fn an_agent_that_was_deleted_returns_in_the_configuration(
    backend: &impl Backend,
) -> Result<()> {
    let world = World::new(backend).await?;
    let id = epilogue_core::AgentId::from("agent_made");
    let agent = Agent { id: id.clone(), ..busy_agent() };
    let (document, change) = (serde_json::json!({}), crate::AgentChange::Create);
    let write = crate::AgentWrite { agent: agent.clone(), document, change, by: None };
    world.store.write_agent(&world.org, write, at(1)).await?;
    world.store.delete_agent(&world.org, &id, None, at(2)).await?;
    let version = world.store.put_agent(&world.org, agent.clone(), at(3)).await?;
    assert_eq!(version.version, 2, "the versions before it stay");
    assert_eq!(world.store.agent(&world.org, &id).await?, Some((version.clone(), agent.clone())));
    assert_eq!(world.store.put_agent(&world.org, agent, at(4)).await?, version);
    Ok(())
}
