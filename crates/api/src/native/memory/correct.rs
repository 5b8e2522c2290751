//! `PATCH` and `DELETE /epilogue/v1/memory/{person}/facts/{id}`

use axum::{Json, extract::State};
use epilogue_core::memory::{
    EntityKind, FactCorrection, HINT_CHARS_MAX, Impossible, Mention, NAME_CHARS_MAX,
    SENTENCE_CHARS_MAX, name_key,
};
use epilogue_engine::memory::Correction;
use http::StatusCode;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::{NamedFact, failed, in_store, unknown_fact, view::FactView, when};
use crate::{
    Api,
    native::{
        access::Acting,
        input::{self, JsonBody},
        problem::{Kind, Problem},
    },
};

/// What is corrected about a fact. What is absent stays as it was; something must be there.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CorrectionBody {
    /// The fact in words, one sentence: 1 to 500 characters.
    sentence: Option<String>,
    /// The other end. The sentence has to be given with it.
    object: Option<ObjectBody>,
    /// Since when it has been true in the world: a day, or a time (RFC 3339).
    valid_from: Option<String>,
    /// Until when, not included; null: it still is.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    #[expect(clippy::option_option, reason = "absent, null and a time are three things")]
    valid_until: Option<Option<String>>,
}

/// Somebody or something, by name: whoever is known by it already, else somebody new.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ObjectBody {
    /// The name: 1 to 200 characters. `user` is the person.
    name: String,
    /// `person`, `place`, `organization`, `animal`, `thing`, `event`, `value` or `other`; `other` if absent.
    kind: Option<String>,
    /// What tells it from another of the same name: up to 100 characters.
    hint: Option<String>,
}

/// What is there is given, null included.
#[expect(clippy::option_option, reason = "absent, null and a time are three things")]
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl CorrectionBody {
    fn correction(self) -> Result<FactCorrection, Problem> {
        let Self { sentence, object, valid_from, valid_until } = self;
        if let Some(sentence) = &sentence {
            input::chars("sentence", sentence.trim(), 1, SENTENCE_CHARS_MAX)?;
        }
        if object.is_some() && sentence.is_none() {
            return Err(Problem::field("sentence", "is required with another object"));
        }
        let until = |text: Option<String>| text.map(|text| when("valid_until", &text)).transpose();
        let correction = FactCorrection {
            sentence: sentence.map(|sentence| sentence.trim().to_owned()),
            object: object.map(ObjectBody::mention).transpose()?,
            valid_from: valid_from.map(|text| when("valid_from", &text)).transpose()?,
            valid_until: valid_until.map(until).transpose()?,
        };
        if correction == FactCorrection::default() {
            return Err(Problem::field(".", "The body must say what is corrected."));
        }
        Ok(correction)
    }
}

impl ObjectBody {
    fn mention(self) -> Result<Mention, Problem> {
        let Self { name, kind, hint } = self;
        input::chars("object.name", name.trim(), 1, NAME_CHARS_MAX)?;
        if name_key(&name).is_empty() {
            return Err(Problem::field("object.name", "must have something in it"));
        }
        if let Some(hint) = &hint {
            input::chars("object.hint", hint, 0, HINT_CHARS_MAX)?;
        }
        let kind = match kind {
            None => EntityKind::Other,
            Some(word) => EntityKind::parse(&word).ok_or_else(|| {
                let words = EntityKind::ALL.map(EntityKind::as_str).join(", ");
                Problem::field("object.kind", format!("must be one of {words}"))
            })?,
        };
        Ok(Mention { name, kind, hint })
    }
}

/// Correct a fact
///
/// Another fact takes its place, with this key as its source. The old one stays as something that was
/// believed for a while: as far as is known now, it never was true. What is told later may change the new
/// one like any other.
#[utoipa::path(
    patch, path = "/epilogue/v1/memory/{person}/facts/{id}", tag = "memory",
    request_body = CorrectionBody,
    params(
        ("person" = String, Path, description = "The person, as sessions name them."),
        ("id" = String, Path, description = "The fact's id."),
    ),
    responses(
        (status = 200, description = "The fact that has taken its place.", body = FactView),
        (status = 404, description = "No such fact is known of this person."),
        (status = 409, description = "Another fact has taken its place before, or what is remembered \
            is not in this server's store."),
    ),
)]
pub(super) async fn correct_fact(
    State(api): State<Api>,
    acting: Acting,
    NamedFact(person, id): NamedFact,
    JsonBody(body): JsonBody<CorrectionBody>,
) -> Result<Json<FactView>, Problem> {
    in_store(&api)?;
    let correction = body.correction()?;
    let (org, by) = (&acting.org, Some(acting.name()));
    match api.engine().correct_fact(org, &person, &id, correction, by).await.map_err(failed)? {
        Correction::Corrected(fact) => Ok(Json(FactView::from(*fact))),
        Correction::Unknown => Err(unknown_fact()),
        Correction::Superseded(by) => {
            let detail =
                format!("Another fact has taken its place before: {by}. Correct that one.");
            Err(Problem::new(Kind::WrongState, detail))
        }
        Correction::Impossible(Impossible::OneEnd) => {
            Err(Problem::field("object", "cannot be the fact's subject as well"))
        }
        Correction::Impossible(Impossible::OverBefore) => {
            Err(Problem::field("valid_until", "must come after valid_from"))
        }
    }
}

/// Delete a fact
///
/// Gone for good, with the words by which it was found, its embedding and its sources. The conversations it
/// came from stay, and are not read again. A fact that never was true is better corrected, and a person who
/// wants to be forgotten is better forgotten.
#[utoipa::path(
    delete, path = "/epilogue/v1/memory/{person}/facts/{id}", tag = "memory",
    params(
        ("person" = String, Path, description = "The person, as sessions name them."),
        ("id" = String, Path, description = "The fact's id."),
    ),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "No such fact is known of this person."),
        (status = 409, description = "What is remembered is not in this server's store."),
    ),
)]
pub(super) async fn delete_fact(
    State(api): State<Api>,
    acting: Acting,
    NamedFact(person, id): NamedFact,
) -> Result<StatusCode, Problem> {
    in_store(&api)?;
    let by = Some(acting.name());
    let gone = api.engine().drop_fact(&acting.org, &person, &id, by).await.map_err(failed)?;
    if gone { Ok(StatusCode::NO_CONTENT) } else { Err(unknown_fact()) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(body: Value) -> Option<FactCorrection> {
        serde_json::from_value::<CorrectionBody>(body).ok()?.correction().ok()
    }

    #[test]
    fn an_absent_end_stays_and_null_takes_it_away() {
        let sentence = json!({ "sentence": "a" });
        assert_eq!(read(sentence).expect("read").valid_until, None);
        let open = json!({ "valid_until": null });
        assert_eq!(read(open).expect("read").valid_until, Some(None));
        let over = read(json!({ "valid_until": "2026-01-31" })).expect("read");
        assert_eq!(over.valid_until, Some(when("x", "2026-01-31").ok()));
    }

    #[test]
    fn lengths_at_the_limits_and_one_past_them() {
        let sentence = |chars: usize| read(json!({ "sentence": "é".repeat(chars) })).is_some();
        assert!(sentence(1) && sentence(SENTENCE_CHARS_MAX));
        assert!(!sentence(0) && !sentence(SENTENCE_CHARS_MAX + 1));
        let named = |name: usize, hint: usize| {
            let object = json!({ "name": "é".repeat(name), "hint": "é".repeat(hint) });
            read(json!({ "sentence": "a", "object": object })).is_some()
        };
        assert!(named(1, 0) && named(NAME_CHARS_MAX, HINT_CHARS_MAX));
        assert!(!named(0, 0) && !named(NAME_CHARS_MAX + 1, 0) && !named(1, HINT_CHARS_MAX + 1));
    }

    #[test]
    fn what_corrects_nothing_is_refused() {
        for wrong in [
            json!({}),
            json!({ "sentence": " \t" }),
            json!({ "object": { "name": "Ulm" } }),
            json!({ "sentence": "a", "object": { "name": "Ulm", "kind": "city" } }),
            json!({ "sentence": "a", "object": { "name": "\u{a0}" } }),
            json!({ "valid_from": "yesterday" }),
            json!({ "relation": "lives_in" }),
        ] {
            assert_eq!(read(wrong.clone()), None, "{wrong}");
        }
    }
}
