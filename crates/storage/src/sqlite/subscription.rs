//! Subscriptions in SQLite.

use async_trait::async_trait;
use epilogue_core::{
    OrgId, ProjectId, Subscription, SubscriptionId, Timestamp,
    event::Activity,
    subscription::{SUBSCRIPTIONS_MAX, are_alike},
};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use url::Url;

use super::{SqliteStorage, activity, row, step_settle, writer::Db};
use crate::{Result, SubscribeOutcome, SubscriptionStore};

const SUBSCRIPTION: &str = "subscription_id, url, events, created_at";

fn subscription(row: &Row<'_>) -> rusqlite::Result<Subscription> {
    let id = row::target(row, 0)?;
    Ok(Subscription {
        id: id.ok_or_else(|| row::unreadable(0, "a subscription has an id"))?,
        url: row::word(row, 1, |text| Url::parse(text).ok())?,
        events: row::json(row, 2)?,
        created_at: row::time(row, 3)?,
    })
}

/// Who subscribes to a project, the oldest first.
pub(super) fn of_project(
    db: &Connection,
    org: &OrgId,
    project: &ProjectId,
) -> Result<Vec<Subscription>> {
    let sql = format!(
        "SELECT {SUBSCRIPTION} FROM subscriptions WHERE org_id = ?1 AND project = ?2
         ORDER BY subscription_id LIMIT {SUBSCRIPTIONS_MAX}"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params![org.as_str(), project.as_str()], subscription)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn one(
    db: &Connection,
    (org, project): (&OrgId, &ProjectId),
    (column, value): (&str, &dyn ToSql),
) -> Result<Option<Subscription>> {
    let sql = format!(
        "SELECT {SUBSCRIPTION} FROM subscriptions
         WHERE org_id = ?1 AND project = ?2 AND {column} = ?3"
    );
    let values = params![org.as_str(), project.as_str(), value];
    Ok(db.prepare_cached(&sql)?.query_row(values, subscription).optional()?)
}

fn by_url(
    db: &Connection,
    org: &OrgId,
    project: &ProjectId,
    url: &Url,
) -> Result<Option<Subscription>> {
    one(db, (org, project), ("url", &url.as_str()))
}

fn by_id(
    db: &Connection,
    org: &OrgId,
    project: &ProjectId,
    id: SubscriptionId,
) -> Result<Option<Subscription>> {
    one(db, (org, project), ("subscription_id", &id.0.as_bytes().as_slice()))
}

fn subscribe(
    db: &Connection,
    (org, project): (&OrgId, &ProjectId),
    wanted: &Subscription,
    by: Option<&str>,
) -> Result<SubscribeOutcome> {
    if let Some(known) = by_url(db, org, project, &wanted.url)? {
        let alike = are_alike(&known.events, &wanted.events);
        let outcome = if alike { SubscribeOutcome::Known } else { SubscribeOutcome::OtherEvents };
        return Ok(outcome(known));
    }
    let count: u32 = db
        .prepare_cached("SELECT count(*) FROM subscriptions WHERE org_id = ?1 AND project = ?2")?
        .query_row(params![org.as_str(), project.as_str()], |row| row.get(0))?;
    if count >= SUBSCRIPTIONS_MAX {
        return Ok(SubscribeOutcome::TooMany);
    }
    db.prepare_cached(
        "INSERT INTO subscriptions (org_id, project, subscription_id, url, events, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        org.as_str(),
        project.as_str(),
        wanted.id.0.as_bytes().as_slice(),
        wanted.url.as_str(),
        row::to_json(&wanted.events)?,
        wanted.created_at.as_millis(),
    ])?;
    let (by, at) = (by.map(str::to_owned), wanted.created_at);
    activity::record(db, org, &Activity::subscription("created", (project, wanted), by, at))?;
    Ok(SubscribeOutcome::Subscribed)
}

fn unsubscribe(
    writer: &Db<'_>,
    (org, project): (&OrgId, &ProjectId),
    id: SubscriptionId,
    by: Option<&str>,
    now: Timestamp,
) -> Result<bool> {
    let db = writer.connection;
    let Some(known) = by_id(db, org, project, id)? else { return Ok(false) };
    db.prepare_cached(
        "DELETE FROM subscriptions WHERE org_id = ?1 AND project = ?2 AND subscription_id = ?3",
    )?
    .execute(params![org.as_str(), project.as_str(), id.0.as_bytes().as_slice()])?;
    let by = by.map(str::to_owned);
    activity::record(db, org, &Activity::subscription("deleted", (project, &known), by, now))?;
    step_settle::skip_all(writer, org, id, now)?;
    Ok(true)
}

fn skip_gone(
    writer: &Db<'_>,
    (org, project): (&OrgId, &ProjectId),
    id: SubscriptionId,
    now: Timestamp,
) -> Result<u32> {
    if by_id(writer.connection, org, project, id)?.is_some() {
        return Ok(0);
    }
    step_settle::skip_all(writer, org, id, now)
}

#[async_trait]
impl SubscriptionStore for SqliteStorage {
    async fn subscribe(
        &self,
        org: &OrgId,
        project: &ProjectId,
        wanted: Subscription,
        by: Option<String>,
    ) -> Result<SubscribeOutcome> {
        let (org, project) = (org.clone(), project.clone());
        let decide = move |db: &Connection| subscribe(db, (&org, &project), &wanted, by.as_deref());
        self.writer.decide(move |db| decide(db.connection)).await
    }

    async fn unsubscribe(
        &self,
        org: &OrgId,
        project: &ProjectId,
        id: SubscriptionId,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<bool> {
        let (org, project) = (org.clone(), project.clone());
        self.writer
            .decide(move |db| unsubscribe(db, (&org, &project), id, by.as_deref(), now))
            .await
    }

    async fn skip_gone(
        &self,
        org: &OrgId,
        project: &ProjectId,
        id: SubscriptionId,
        now: Timestamp,
    ) -> Result<u32> {
        let (org, project) = (org.clone(), project.clone());
        self.writer.decide(move |db| skip_gone(db, (&org, &project), id, now)).await
    }

    async fn subscriptions(&self, org: &OrgId, project: &ProjectId) -> Result<Vec<Subscription>> {
        self.readers.look(|db| of_project(db, org, project)).await
    }

    async fn subscription(
        &self,
        org: &OrgId,
        project: &ProjectId,
        id: SubscriptionId,
    ) -> Result<Option<Subscription>> {
        self.readers.look(|db| by_id(db, org, project, id)).await
    }

    async fn subscription_at(
        &self,
        org: &OrgId,
        project: &ProjectId,
        url: &Url,
    ) -> Result<Option<Subscription>> {
        self.readers.look(|db| by_url(db, org, project, url)).await
    }
}
