//! What is remembered of people: looking at it, asking why, putting it right, handing it out, and
//! forgetting it. One operation per file.
//!
//! People are named in paths, and nowhere logged. Whoever has a proxy in between that logs paths forgets
//! people through `POST /epilogue/v1/erasures`.

mod correct;
mod export;
mod forget;
mod show;
mod view;
mod why;

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use epilogue_core::{Person, Timestamp, memory::parse_when};
use epilogue_engine::{Error, memory::MemoryError};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    input::SEGMENT_BYTES_MAX,
    problem::{Kind, Problem},
};
use crate::Api;

/// The operations on memory.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(show::show_memory, forget::forget_person))
        .routes(routes!(why::explain_fact, correct::correct_fact, correct::delete_fact))
        .routes(routes!(export::export_memory))
        .routes(routes!(forget::erase_person))
}

/// A person, by the identifier under which sessions were opened, in any way that is normalised alike.
fn person(identifier: &str) -> Result<Person, Problem> {
    let max = Person::BYTES_MAX;
    let wrong =
        || Problem::field("person", format!("must have 1 to {max} bytes that say something"));
    Person::new(identifier).ok_or_else(wrong)
}

/// A person in a path.
struct Named(Person);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let named = Path::<String>::from_request_parts(parts, state).await;
        let Path(named) = named.map_err(|_| garbled())?;
        person(&named).map(Self)
    }
}

/// A person in a path, and a fact of theirs.
struct NamedFact(Person, String);

impl<S: Send + Sync> FromRequestParts<S> for NamedFact {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let named = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((named, fact)) = named.map_err(|_| garbled())?;
        let person = person(&named)?;
        if fact.len() > SEGMENT_BYTES_MAX {
            return Err(unknown_fact());
        }
        Ok(Self(person, fact))
    }
}

fn garbled() -> Problem {
    Problem::field("person", "must be percent-encoded UTF-8")
}

fn unknown_fact() -> Problem {
    Problem::not_found("fact")
}

/// Reads a day, or a moment.
fn when(path: &str, text: &str) -> Result<Timestamp, Problem> {
    let wrong = || {
        Problem::field(path, "must be a day or a time such as 2026-01-31 or 2026-01-31T12:00:00Z")
    };
    parse_when(text).ok_or_else(wrong)
}

/// Single facts are put right where they are kept.
fn in_store(api: &Api) -> Result<(), Problem> {
    if api.engine().remembers_in_store() {
        return Ok(());
    }
    let detail =
        "What is remembered is not kept in this server's store: look at single facts where it is.";
    Err(Problem::new(Kind::WrongState, detail))
}

/// A fault of the memory.
fn failed(error: MemoryError) -> Problem {
    match error {
        MemoryError::Store(error) => Error::from(error).into(),
        error if error.is_passing() => {
            tracing::warn!(error = &error as &dyn std::error::Error, "memory does not answer");
            Problem::new(Kind::Unavailable, "What is remembered cannot be reached.")
        }
        error => Problem::internal(&error),
    }
}
