//! What is known of a person: a graph of entities and facts, each with the time when it was true in
//! the world and the time when we learned it.
//!
//! A conversation is put to a model in chunks; its answer is an [`Extraction`]. Two pure decisions make
//! a [`GraphChange`] of it, inside the store's transaction: [`resolve()`] says who is meant by each name,
//! and [`absorb()`] says what becomes of the facts. Nothing is ever deleted by them: what is no longer true
//! gets an end to its validity.

mod absorb;
mod correct;
mod extraction;
mod graph;
mod interval;
mod mode;
mod names;
mod rank;
mod redact;
mod resolve;
mod words;

pub use absorb::{GraphChange, Known, absorb};
pub use correct::{Corrected, FactCorrection, Impossible, correct};
pub use extraction::{
    ANSWER_BYTES_MAX, ENDED_MAX, Extraction, ExtractionError, FACTS_MAX, HINT_CHARS_MAX, Mention,
    NAME_CHARS_MAX, RELATION_CHARS_MAX, ReadExtraction, SENTENCE_CHARS_MAX, StatedEnd, StatedFact,
    parse_when, schema,
};
pub use graph::{BEGINNING, Counters, Entity, EntityId, EntityKind, Fact, FactId, Told, fact_name};
pub use mode::MemoryMode;
pub use names::name_key;
pub use rank::{FUSION_K, Ranking, fuse};
pub use redact::redact;
pub use resolve::{Claim, Ending, Resolved, resolve};
pub use words::{WORD_CHARS_MAX, WORDS_MAX, word_token, words};

#[cfg(test)]
mod absorb_tests;
#[cfg(test)]
mod properties;
