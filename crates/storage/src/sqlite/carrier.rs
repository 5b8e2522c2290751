//! Accounts at carriers and numbers in SQLite.

use async_trait::async_trait;
use epilogue_core::{
    AgentId, OrgId, Timestamp,
    event::Activity,
    texting::{CarrierAccount, PhoneNumber},
};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use serde_json::json;

use super::{SqliteStorage, activity, row};
use crate::{AddNumberOutcome, CARRIERS_MAX, CarrierStore, NUMBERS_MAX, PutCarrierOutcome, Result};

const CARRIER: &str = "carrier_id, account, name, secret, document, created_at, updated_at";

fn carrier(row: &Row<'_>) -> rusqlite::Result<CarrierAccount> {
    Ok(CarrierAccount {
        id: row.get(0)?,
        account: row.get(1)?,
        name: row.get(2)?,
        secret: row.get(3)?,
        document: row::json(row, 4)?,
        created_at: row::time(row, 5)?,
        updated_at: row::time(row, 6)?,
    })
}

const NUMBER: &str = "number_id, carrier_id, number, agent_id, document, created_at, updated_at";

fn number(row: &Row<'_>) -> rusqlite::Result<PhoneNumber> {
    Ok(PhoneNumber {
        id: row.get(0)?,
        carrier: row.get(1)?,
        number: row.get(2)?,
        agent: row.get::<_, Option<String>>(3)?.map(AgentId::from),
        document: row::json(row, 4)?,
        created_at: row::time(row, 5)?,
        updated_at: row::time(row, 6)?,
    })
}

fn read_carrier(
    db: &Connection,
    org: &OrgId,
    column: &str,
    value: &str,
) -> Result<Option<CarrierAccount>> {
    let sql = format!("SELECT {CARRIER} FROM carriers WHERE org_id = ?1 AND {column} = ?2");
    Ok(db.prepare_cached(&sql)?.query_row([org.as_str(), value], carrier).optional()?)
}

fn read_number(
    db: &Connection,
    org: &OrgId,
    column: &str,
    value: &str,
) -> Result<Option<PhoneNumber>> {
    let sql = format!("SELECT {NUMBER} FROM phone_numbers WHERE org_id = ?1 AND {column} = ?2");
    Ok(db.prepare_cached(&sql)?.query_row([org.as_str(), value], number).optional()?)
}

fn count(db: &Connection, sql: &str, values: &[&dyn ToSql]) -> Result<u32> {
    Ok(db.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
}

fn put_carrier(
    db: &Connection,
    org: &OrgId,
    new: &CarrierAccount,
    by: Option<String>,
    now: Timestamp,
) -> Result<PutCarrierOutcome> {
    let known = read_carrier(db, org, "account", &new.account)?;
    if known.is_none() {
        let sql = "SELECT count(*) FROM carriers WHERE org_id = ?1";
        if count(db, sql, params![org.as_str()])? >= CARRIERS_MAX {
            return Ok(PutCarrierOutcome::TooMany);
        }
    }
    let (id, created_at, verb) = match &known {
        Some(known) => (known.id.clone(), known.created_at, "updated"),
        None => (new.id.clone(), new.created_at, "created"),
    };
    let one = CarrierAccount { id, created_at, ..new.clone() };
    db.prepare_cached(
        "INSERT INTO carriers (org_id, carrier_id, account, name, secret, document, created_at,
            updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT DO UPDATE SET name = excluded.name, secret = excluded.secret,
            document = excluded.document, updated_at = excluded.updated_at",
    )?
    .execute(params![
        org.as_str(),
        one.id,
        one.account,
        one.name,
        one.secret,
        row::to_json(&one.document)?,
        one.created_at.as_millis(),
        one.updated_at.as_millis(),
    ])?;
    let detail = json!({ "carrier": one.id, "account": one.account, "name": one.name });
    let entry = Activity::texting(("carrier", verb, &one.id), None, detail, by, now);
    activity::record(db, org, &entry)?;
    Ok(match known {
        Some(_) => PutCarrierOutcome::Replaced(Box::new(one)),
        None => PutCarrierOutcome::Added,
    })
}

fn holder(db: &Connection, id: &str) -> Result<Option<(OrgId, CarrierAccount)>> {
    let sql = format!("SELECT {CARRIER}, org_id FROM carriers WHERE carrier_id = ?1");
    let found = |row: &Row<'_>| Ok((row::text(row, 7)?, carrier(row)?));
    Ok(db.prepare_cached(&sql)?.query_row([id], found).optional()?)
}

fn log_number(
    db: &Connection,
    org: &OrgId,
    (verb, one): (&str, &PhoneNumber),
    by: Option<String>,
    now: Timestamp,
) -> Result<()> {
    let detail = json!({ "number": one.number, "carrier": one.carrier, "agent": one.agent });
    let entry = Activity::texting(("number", verb, &one.id), one.agent.clone(), detail, by, now);
    activity::record(db, org, &entry)
}

fn add_number(
    db: &Connection,
    org: &OrgId,
    one: &PhoneNumber,
    by: Option<String>,
    now: Timestamp,
) -> Result<AddNumberOutcome> {
    if read_carrier(db, org, "carrier_id", &one.carrier)?.is_none() {
        return Ok(AddNumberOutcome::NoCarrier);
    }
    if read_number(db, org, "number", &one.number)?.is_some() {
        return Ok(AddNumberOutcome::Taken);
    }
    let sql = "SELECT count(*) FROM phone_numbers WHERE org_id = ?1";
    if count(db, sql, params![org.as_str()])? >= NUMBERS_MAX {
        return Ok(AddNumberOutcome::TooMany);
    }
    db.prepare_cached(
        "INSERT INTO phone_numbers (org_id, number_id, carrier_id, number, agent_id, document,
            created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        org.as_str(),
        one.id,
        one.carrier,
        one.number,
        one.agent.as_ref().map(AgentId::as_str),
        row::to_json(&one.document)?,
        one.created_at.as_millis(),
        one.updated_at.as_millis(),
    ])?;
    log_number(db, org, ("created", one), by, now)?;
    Ok(AddNumberOutcome::Added)
}

fn link(
    db: &Connection,
    org: &OrgId,
    (id, agent): (&str, Option<AgentId>),
    by: Option<String>,
    now: Timestamp,
) -> Result<Option<PhoneNumber>> {
    let Some(known) = read_number(db, org, "number_id", id)? else { return Ok(None) };
    let one = PhoneNumber { agent, updated_at: now, ..known };
    db.prepare_cached(
        "UPDATE phone_numbers SET agent_id = ?3, updated_at = ?4
         WHERE org_id = ?1 AND number_id = ?2",
    )?
    .execute(params![
        org.as_str(),
        id,
        one.agent.as_ref().map(AgentId::as_str),
        now.as_millis()
    ])?;
    let verb = if one.agent.is_some() { "linked" } else { "unlinked" };
    log_number(db, org, (verb, &one), by, now)?;
    Ok(Some(one))
}

fn list(db: &Connection, org: &OrgId) -> Result<Vec<PhoneNumber>> {
    let sql = format!(
        "SELECT {NUMBER} FROM phone_numbers WHERE org_id = ?1 ORDER BY number_id
         LIMIT {NUMBERS_MAX}"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map([org.as_str()], number)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

#[async_trait]
impl CarrierStore for SqliteStorage {
    async fn put_carrier(
        &self,
        org: &OrgId,
        carrier: CarrierAccount,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<PutCarrierOutcome> {
        let org = org.clone();
        self.writer
            .decide(move |db| put_carrier(db.connection, &org, &carrier, by.clone(), now))
            .await
    }

    async fn carrier(&self, org: &OrgId, id: &str) -> Result<Option<CarrierAccount>> {
        let (org, id) = (org.clone(), id.to_owned());
        self.readers.read(move |db| read_carrier(db, &org, "carrier_id", &id)).await
    }

    async fn carrier_holder(&self, id: &str) -> Result<Option<(OrgId, CarrierAccount)>> {
        let id = id.to_owned();
        self.readers.read(move |db| holder(db, &id)).await
    }

    async fn add_number(
        &self,
        org: &OrgId,
        number: PhoneNumber,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<AddNumberOutcome> {
        let org = org.clone();
        self.writer
            .decide(move |db| add_number(db.connection, &org, &number, by.clone(), now))
            .await
    }

    async fn link_number(
        &self,
        org: &OrgId,
        id: &str,
        agent: Option<AgentId>,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<Option<PhoneNumber>> {
        let (org, id) = (org.clone(), id.to_owned());
        self.writer
            .decide(move |db| link(db.connection, &org, (&id, agent.clone()), by.clone(), now))
            .await
    }

    async fn numbers(&self, org: &OrgId) -> Result<Vec<PhoneNumber>> {
        let org = org.clone();
        self.readers.read(move |db| list(db, &org)).await
    }

    async fn number(&self, org: &OrgId, number: &str) -> Result<Option<PhoneNumber>> {
        let (org, number) = (org.clone(), number.to_owned());
        self.readers.read(move |db| read_number(db, &org, "number", &number)).await
    }
}
