//! What the hybrid search is held against: full-text search alone, over the same facts.

use epilogue_core::{Timestamp, memory::words};
use epilogue_engine::memory::RecalledFact;
use rusqlite::Connection;

use super::judge::RECALLED;
use crate::Result;

/// Which words are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// As SQLite splits a text by itself.
    Sqlite,
    /// As the memory splits it, which knows beginnings of words and scripts without spaces.
    Ours,
}

impl Words {
    fn of(self, text: &str) -> String {
        match self {
            Self::Sqlite => text.to_owned(),
            Self::Ours => words(text).join(" "),
        }
    }
}

/// Facts by BM25 of their sentences, the best first.
pub fn search(
    facts: &[RecalledFact],
    ask: &str,
    how: Words,
    as_of: Option<Timestamp>,
) -> Result<Vec<RecalledFact>> {
    let database = Connection::open_in_memory()?;
    let tokens = match how {
        Words::Sqlite => "unicode61",
        Words::Ours => "unicode61 tokenchars '~'",
    };
    database.execute_batch(&format!(
        "CREATE VIRTUAL TABLE fact USING fts5 (words, tokenize = \"{tokens}\")"
    ))?;
    let is_so = |fact: &&RecalledFact| as_of.is_none_or(|at| is_valid(fact, at));
    let facts: Vec<_> = facts.iter().filter(is_so).collect();
    for (place, fact) in facts.iter().enumerate() {
        let row = (place, how.of(&fact.sentence));
        database.execute("INSERT INTO fact (rowid, words) VALUES (?1, ?2)", row)?;
    }
    let split = how.of(ask);
    let asked = split.split(|c: char| !c.is_alphanumeric() && c != '~' && !is_mark(c));
    let asked: Vec<_> =
        asked.filter(|word| !word.is_empty()).map(|word| format!("\"{word}\"")).collect();
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = database
        .prepare("SELECT rowid FROM fact WHERE fact MATCH ?1 ORDER BY rank, rowid LIMIT ?2")?;
    let places = found.query_map((asked.join(" OR "), RECALLED), |row| row.get::<_, usize>(0))?;
    let places: Vec<usize> = places.collect::<rusqlite::Result<_>>()?;
    Ok(places.into_iter().map(|place| facts[place].clone()).collect())
}

/// Vowel signs, which belong to their words.
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

/// Whether it is known to have been true at that time.
pub fn is_valid(fact: &RecalledFact, at: Timestamp) -> bool {
    fact.valid_from.is_none_or(|from| from <= at) && fact.valid_until.is_none_or(|until| at < until)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(sentence: &str, valid: [i64; 2]) -> RecalledFact {
        let [from, until] = valid.map(Timestamp::from_millis);
        RecalledFact {
            id: "1".into(),
            subject: "user".into(),
            relation: "lives_in".into(),
            object: "x".into(),
            sentence: sentence.into(),
            valid_from: Some(from),
            valid_until: Some(until),
            learned_at: from,
            unlearned_at: None,
            sources: vec![],
            score: 0.0,
        }
    }

    #[test]
    fn words_are_found_with_or_without_regard_to_the_day() {
        let facts = [fact("The user lives in Porto.", [0, 10]), fact("Home is Lisbon.", [10, 20])];
        let ask = "Where does the user live, \"Lisbon\" or Porto*?";
        let found = |how, day: Option<i64>| {
            search(&facts, ask, how, day.map(Timestamp::from_millis)).expect("it searches").len()
        };
        assert_eq!((found(Words::Sqlite, None), found(Words::Sqlite, Some(10))), (2, 1));
        assert_eq!((found(Words::Ours, None), found(Words::Ours, Some(20))), (2, 0));
        assert!(search(&facts, "?!", Words::Sqlite, None).expect("it searches").is_empty());
    }

    #[test]
    fn our_words_find_parts_of_a_text_without_spaces() {
        let facts = [fact("用户住在上海。", [0, 10])];
        let found = |how| search(&facts, "在上海吗", how, None).expect("it searches").len();
        assert_eq!((found(Words::Sqlite), found(Words::Ours)), (0, 1));
    }
}
