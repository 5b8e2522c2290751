//! The text index of what is remembered. It holds no words but their digests, made with the salt of a
//! scope: a search reads nobody else's entries, and what is left in the index's pages after an erasure,
//! which takes the salt with it, says nothing.

use std::collections::BTreeSet;

use epilogue_core::{
    MemoryScope, OrgId, SessionId, Timestamp,
    memory::{FactId, word_token, words},
};
use rusqlite::{Connection, OptionalExtension, params};

use super::row;
use crate::{QUESTION_WORDS_MAX, Result};

/// How many different words of one conversation are searched.
const EPISODE_WORDS_MAX: usize = 4_096;

/// Which facts a search sees: those that were ever true, and were so at `?5` if that is said.
macro_rules! seen {
    () => {
        "(f.valid_until IS NULL OR f.valid_until > f.valid_from)
         AND (?5 IS NULL OR (f.valid_from <= ?5 AND (f.valid_until IS NULL OR ?5 < f.valid_until)))"
    };
}
pub(super) use seen;

/// What is indexed.
#[derive(Clone, Copy)]
pub(super) enum Document {
    Fact(FactId),
    Episode(SessionId),
}

/// The salt of a scope. `None`: nothing is known there.
pub(super) fn salt(db: &Connection, org: &OrgId, scope: &MemoryScope) -> Result<Option<Vec<u8>>> {
    let salt = db
        .prepare_cached("SELECT salt FROM memory_scopes WHERE org_id = ?1 AND scope = ?2")?
        .query_row(params![org.as_str(), scope.0], |row| row.get(0))
        .optional()?;
    Ok(salt)
}

/// Puts the words of a document into the index.
pub(super) fn index(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    salt: &[u8],
    document: Document,
    text: &str,
) -> Result<()> {
    let (fact, session) = match document {
        Document::Fact(fact) => (Some(fact.0), None),
        Document::Episode(session) => (None, Some(session)),
    };
    let number: i64 = db
        .prepare_cached(
            "INSERT INTO memory_documents (org_id, scope, fact, session_id)
             VALUES (?1, ?2, ?3, ?4) RETURNING number",
        )?
        .query_row(
            params![
                org.as_str(),
                scope.0,
                fact,
                session.as_ref().map(|id| id.0.as_bytes().as_slice())
            ],
            |row| row.get(0),
        )?;
    let found = words(text);
    let tokens: Vec<String> = match document {
        Document::Fact(_) => found.iter().map(|word| word_token(salt, word)).collect(),
        Document::Episode(_) => {
            let distinct: BTreeSet<_> = found.iter().collect();
            let distinct = distinct.into_iter().take(EPISODE_WORDS_MAX);
            distinct.map(|word| word_token(salt, word)).collect()
        }
    };
    db.prepare_cached("INSERT INTO memory_words (rowid, words) VALUES (?1, ?2)")?
        .execute(params![number, tokens.join(" ")])?;
    Ok(())
}

/// Takes a document out of the index.
pub(super) fn unindex(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    document: Document,
) -> Result<()> {
    let number: Option<i64> = match document {
        Document::Fact(fact) => db
            .prepare_cached(
                "DELETE FROM memory_documents WHERE org_id = ?1 AND scope = ?2 AND fact = ?3
                    AND fact IS NOT NULL RETURNING number",
            )?
            .query_row(params![org.as_str(), scope.0, fact.0], |row| row.get(0))
            .optional()?,
        Document::Episode(session) => db
            .prepare_cached(
                "DELETE FROM memory_documents WHERE org_id = ?1 AND scope = ?2 AND session_id = ?3
                    AND session_id IS NOT NULL RETURNING number",
            )?
            .query_row(params![org.as_str(), scope.0, session.0.as_bytes().as_slice()], |row| {
                row.get(0)
            })
            .optional()?,
    };
    if let Some(number) = number {
        db.prepare_cached("DELETE FROM memory_words WHERE rowid = ?1")?.execute([number])?;
    }
    Ok(())
}

/// A question as the index understands it: any of its words. `None`: it has none.
pub(super) fn question(salt: &[u8], text: &str) -> Option<String> {
    let distinct: BTreeSet<_> = words(text).into_iter().take(2 * QUESTION_WORDS_MAX).collect();
    let tokens: Vec<_> =
        distinct.iter().map(|word| format!("\"{}\"", word_token(salt, word))).collect();
    (!tokens.is_empty()).then(|| tokens.join(" OR "))
}

/// Facts whose words fit, the best first. The joins are crossed so that the index, which is smallest, comes first.
pub(super) fn facts(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    asked: &str,
    (as_of, limit): (Option<Timestamp>, u32),
) -> Result<Vec<FactId>> {
    let mut statement = db.prepare_cached(concat!(
        "SELECT f.fact FROM memory_words
         CROSS JOIN memory_documents d ON d.number = memory_words.rowid
         CROSS JOIN facts f ON f.org_id = d.org_id AND f.scope = d.scope AND f.fact = d.fact
         WHERE memory_words MATCH ?3 AND d.org_id = ?1 AND d.scope = ?2 AND ",
        seen!(),
        " ORDER BY bm25(memory_words), f.told_at DESC LIMIT ?4"
    ))?;
    let as_of = as_of.map(Timestamp::as_millis);
    let rows = statement.query_map(params![org.as_str(), scope.0, asked, limit, as_of], |row| {
        row.get(0).map(FactId)
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Conversations whose words fit, the best first.
pub(super) fn episodes(
    db: &Connection,
    org: &OrgId,
    scope: &MemoryScope,
    asked: &str,
    limit: u32,
) -> Result<Vec<SessionId>> {
    let mut statement = db.prepare_cached(
        "SELECT d.session_id FROM memory_words
         CROSS JOIN memory_documents d ON d.number = memory_words.rowid
         WHERE memory_words MATCH ?3 AND d.org_id = ?1 AND d.scope = ?2 AND d.session_id IS NOT NULL
         ORDER BY bm25(memory_words) LIMIT ?4",
    )?;
    let rows = statement
        .query_map(params![org.as_str(), scope.0, asked, limit], |row| row::session_id(row, 0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
