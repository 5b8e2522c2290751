//! Integrations and their tokens in SQLite.

use async_trait::async_trait;
use epilogue_core::{
    OrgId, Timestamp,
    event::Activity,
    integration::{Integration, IntegrationToken},
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;

use super::{SqliteStorage, activity, row};
use crate::{
    AddIntegrationOutcome, AddTokenOutcome, INTEGRATIONS_MAX, IntegrationStore, KeyHash, Result,
    TOKENS_MAX, TokenHolder, WithTokens,
};

const INTEGRATION: &str =
    "integration_id, agent_id, name, enabled, origins, document, created_at, updated_at";

fn integration(row: &Row<'_>) -> rusqlite::Result<Integration> {
    Ok(Integration {
        id: row.get(0)?,
        agent: row::text(row, 1)?,
        name: row.get(2)?,
        enabled: row.get(3)?,
        origins: row::json(row, 4)?,
        document: row::json(row, 5)?,
        created_at: row::time(row, 6)?,
        updated_at: row::time(row, 7)?,
    })
}

const TOKEN: &str = "token_id, name, hint, created_at, expires_at, last_used_at";

fn token(row: &Row<'_>) -> rusqlite::Result<IntegrationToken> {
    Ok(IntegrationToken {
        id: row.get(0)?,
        name: row.get(1)?,
        hint: row.get(2)?,
        created_at: row::time(row, 3)?,
        expires_at: row::time_opt(row, 4)?,
        last_used_at: row::time_opt(row, 5)?,
    })
}

fn read(db: &Connection, org: &OrgId, id: &str) -> Result<Option<Integration>> {
    let sql =
        format!("SELECT {INTEGRATION} FROM integrations WHERE org_id = ?1 AND integration_id = ?2");
    Ok(db.prepare_cached(&sql)?.query_row(params![org.as_str(), id], integration).optional()?)
}

fn tokens(db: &Connection, org: &OrgId, id: &str) -> Result<Vec<IntegrationToken>> {
    let sql = format!(
        "SELECT {TOKEN} FROM integration_tokens WHERE org_id = ?1 AND integration_id = ?2
         ORDER BY created_at, token_id"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params![org.as_str(), id], token)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn list(db: &Connection, org: &OrgId) -> Result<Vec<WithTokens>> {
    let sql = format!(
        "SELECT {INTEGRATION} FROM integrations WHERE org_id = ?1 ORDER BY integration_id
         LIMIT {INTEGRATIONS_MAX}"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map([org.as_str()], integration)?;
    let mut found = Vec::new();
    for one in rows {
        let one = one?;
        let tokens = tokens(db, org, &one.id)?;
        found.push((one, tokens));
    }
    Ok(found)
}

fn log(
    db: &Connection,
    org: &OrgId,
    (verb, about, key): (&str, &Integration, &str),
    by: Option<String>,
    now: Timestamp,
) -> Result<()> {
    let detail = json!({ "integration": about.id, "name": about.name });
    let entry = Activity::integration((verb, &about.agent), key, detail, by, now);
    activity::record(db, org, &entry)
}

fn write(db: &Connection, org: &OrgId, one: &Integration) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO integrations (org_id, integration_id, agent_id, name, enabled, origins,
            document, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT DO UPDATE SET agent_id = excluded.agent_id, name = excluded.name,
            enabled = excluded.enabled, origins = excluded.origins, document = excluded.document,
            updated_at = excluded.updated_at",
    )?
    .execute(params![
        org.as_str(),
        one.id,
        one.agent.as_str(),
        one.name,
        one.enabled,
        row::to_json(&one.origins)?,
        row::to_json(&one.document)?,
        one.created_at.as_millis(),
        one.updated_at.as_millis(),
    ])?;
    Ok(())
}

fn add(
    db: &Connection,
    org: &OrgId,
    one: &Integration,
    by: Option<String>,
    now: Timestamp,
) -> Result<AddIntegrationOutcome> {
    let count: u32 = db
        .prepare_cached("SELECT count(*) FROM integrations WHERE org_id = ?1")?
        .query_row([org.as_str()], |row| row.get(0))?;
    if count >= INTEGRATIONS_MAX {
        return Ok(AddIntegrationOutcome::TooMany);
    }
    write(db, org, one)?;
    log(db, org, ("created", one, &one.id), by, now)?;
    Ok(AddIntegrationOutcome::Added)
}

fn put(
    db: &Connection,
    org: &OrgId,
    one: &Integration,
    by: Option<String>,
    now: Timestamp,
) -> Result<bool> {
    if read(db, org, &one.id)?.is_none() {
        return Ok(false);
    }
    write(db, org, one)?;
    log(db, org, ("updated", one, &one.id), by, now)?;
    Ok(true)
}

fn remove(
    db: &Connection,
    org: &OrgId,
    id: &str,
    by: Option<String>,
    now: Timestamp,
) -> Result<bool> {
    let Some(one) = read(db, org, id)? else { return Ok(false) };
    for table in ["integration_tokens", "integrations"] {
        let sql = format!("DELETE FROM {table} WHERE org_id = ?1 AND integration_id = ?2");
        db.prepare_cached(&sql)?.execute(params![org.as_str(), id])?;
    }
    log(db, org, ("deleted", &one, id), by, now)?;
    Ok(true)
}

fn add_token(
    db: &Connection,
    org: &OrgId,
    id: &str,
    (new, hash): &(IntegrationToken, KeyHash),
    by: Option<String>,
    now: Timestamp,
) -> Result<AddTokenOutcome> {
    let Some(one) = read(db, org, id)? else { return Ok(AddTokenOutcome::NoIntegration) };
    let known = tokens(db, org, id)?;
    if known.iter().any(|token| token.name == new.name) {
        return Ok(AddTokenOutcome::NameTaken);
    }
    if known.len() >= TOKENS_MAX as usize {
        return Ok(AddTokenOutcome::TooMany);
    }
    db.prepare_cached(
        "INSERT INTO integration_tokens (hash, org_id, integration_id, token_id, name, hint,
            created_at, expires_at, last_used_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        hash.0,
        org.as_str(),
        id,
        new.id,
        new.name,
        new.hint,
        new.created_at.as_millis(),
        new.expires_at.map(Timestamp::as_millis),
        new.last_used_at.map(Timestamp::as_millis),
    ])?;
    log(db, org, ("token_created", &one, &new.id), by, now)?;
    Ok(AddTokenOutcome::Added)
}

fn remove_token(
    db: &Connection,
    org: &OrgId,
    (id, token): (&str, &str),
    by: Option<String>,
    now: Timestamp,
) -> Result<bool> {
    let Some(one) = read(db, org, id)? else { return Ok(false) };
    let gone = db
        .prepare_cached(
            "DELETE FROM integration_tokens
             WHERE org_id = ?1 AND integration_id = ?2 AND token_id = ?3",
        )?
        .execute(params![org.as_str(), id, token])?;
    if gone > 0 {
        log(db, org, ("token_revoked", &one, token), by, now)?;
    }
    Ok(gone > 0)
}

fn holder(db: &Connection, hash: &KeyHash) -> Result<Option<TokenHolder>> {
    let sql =
        format!("SELECT {TOKEN}, org_id, integration_id FROM integration_tokens WHERE hash = ?1");
    let found = db
        .prepare_cached(&sql)?
        .query_row([hash.0], |row| {
            Ok((token(row)?, row::text::<OrgId>(row, 6)?, row.get::<_, String>(7)?))
        })
        .optional()?;
    let Some((token, org, id)) = found else { return Ok(None) };
    let integration = read(db, &org, &id)?;
    Ok(integration.map(|integration| TokenHolder { org, integration, token }))
}

#[async_trait]
impl IntegrationStore for SqliteStorage {
    async fn add_integration(
        &self,
        org: &OrgId,
        integration: Integration,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<AddIntegrationOutcome> {
        let org = org.clone();
        self.writer.decide(move |db| add(db.connection, &org, &integration, by.clone(), now)).await
    }

    async fn put_integration(
        &self,
        org: &OrgId,
        integration: Integration,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<bool> {
        let org = org.clone();
        self.writer.decide(move |db| put(db.connection, &org, &integration, by.clone(), now)).await
    }

    async fn remove_integration(
        &self,
        org: &OrgId,
        id: &str,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<bool> {
        let (org, id) = (org.clone(), id.to_owned());
        self.writer.decide(move |db| remove(db.connection, &org, &id, by.clone(), now)).await
    }

    async fn integration(&self, org: &OrgId, id: &str) -> Result<Option<WithTokens>> {
        let (org, id) = (org.clone(), id.to_owned());
        let find = move |db: &Connection| {
            let Some(one) = read(db, &org, &id)? else { return Ok(None) };
            Ok(Some((one, tokens(db, &org, &id)?)))
        };
        self.readers.read(find).await
    }

    async fn integrations(&self, org: &OrgId) -> Result<Vec<WithTokens>> {
        let org = org.clone();
        self.readers.read(move |db| list(db, &org)).await
    }

    async fn add_token(
        &self,
        org: &OrgId,
        integration: &str,
        new: (IntegrationToken, KeyHash),
        by: Option<String>,
        now: Timestamp,
    ) -> Result<AddTokenOutcome> {
        let (org, id) = (org.clone(), integration.to_owned());
        self.writer
            .decide(move |db| add_token(db.connection, &org, &id, &new, by.clone(), now))
            .await
    }

    async fn remove_token(
        &self,
        org: &OrgId,
        (integration, token): (&str, &str),
        by: Option<String>,
        now: Timestamp,
    ) -> Result<bool> {
        let (org, id, token) = (org.clone(), integration.to_owned(), token.to_owned());
        let decision = move |db: &super::writer::Db<'_>| {
            remove_token(db.connection, &org, (&id, &token), by.clone(), now)
        };
        self.writer.decide(decision).await
    }

    async fn token_holder(&self, hash: &KeyHash) -> Result<Option<TokenHolder>> {
        let hash = *hash;
        self.readers.read(move |db| holder(db, &hash)).await
    }

    async fn token_used(&self, hash: &KeyHash, now: Timestamp) -> Result<()> {
        let hash = *hash;
        let decision = move |db: &super::writer::Db<'_>| {
            db.connection
                .prepare_cached(
                    "UPDATE integration_tokens
                     SET last_used_at = max(coalesce(last_used_at, ?2), ?2) WHERE hash = ?1",
                )?
                .execute(params![hash.0, now.as_millis()])?;
            Ok(())
        };
        self.writer.decide(decision).await
    }
}
