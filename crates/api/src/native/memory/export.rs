//! `GET /epilogue/v1/memory/{person}/export`

use axum::{body::Body, extract::State, response::IntoResponse};
use bytes::Bytes;
use epilogue_core::OrgId;
use epilogue_engine::memory::{ExportPlace, Exported, MemoryError};
use futures::stream;
use http::header;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    Named, failed,
    view::{EntityView, FactView},
};
use crate::{
    Api,
    native::{access::Acting, problem::Problem},
};

/// Everything that is remembered of a person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExportView {
    /// The person, as everybody writes them.
    person: String,
    /// When this was handed out (RFC 3339, UTC).
    exported_at: String,
    /// Entities, facts and conversations, one memory after the other.
    items: Vec<ItemView>,
}

/// Something that is remembered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ItemView {
    /// Somebody or something.
    Entity(EntityView),
    /// A fact with all its sources.
    Fact(Box<FactView>),
    /// A conversation, as it is remembered.
    Episode(RememberedView),
}

/// A conversation, as it is remembered.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RememberedView {
    /// Which agent remembers it; null: one that is not there any more.
    agent_id: Option<String>,
    /// The session.
    session_id: String,
    /// When it ended (RFC 3339, UTC).
    at: String,
    /// What was said, a line for each message.
    text: String,
}

impl From<Exported> for ItemView {
    fn from(exported: Exported) -> Self {
        match exported {
            Exported::Entity(entity) => Self::Entity(entity.into()),
            Exported::Fact(fact) => Self::Fact(Box::new((*fact).into())),
            Exported::Episode(agent, episode) => Self::Episode(RememberedView {
                agent_id: agent.map(|agent| agent.to_string()),
                session_id: episode.session.to_string(),
                at: episode.at.to_string(),
                text: episode.text,
            }),
        }
    }
}

/// Hand out everything that is remembered of a person
///
/// One JSON document, however long, written part by part. What changes meanwhile may or may not be in it. If
/// the server fails on the way the answer breaks off, and is no JSON. Transcripts are not in it:
/// `GET /epilogue/v1/sessions?person=` names the sessions.
#[utoipa::path(
    get, path = "/epilogue/v1/memory/{person}/export", tag = "memory",
    params(("person" = String, Path, description = "The person, as sessions name them.")),
    responses((status = 200, description = "Everything that is remembered.", body = ExportView)),
)]
pub(super) async fn export_memory(
    State(api): State<Api>,
    acting: Acting,
    Named(person): Named,
) -> Result<impl IntoResponse, Problem> {
    let mut place = api.engine().export_begin(&acting.org, &person).await.map_err(failed)?;
    // Whatever fails first is answered as what it is.
    let first = api.engine().export_part(&acting.org, &mut place).await.map_err(failed)?;
    let head = json!({ "person": person.as_str(), "exported_at": api.engine().now().to_string() });
    // An object with members, left open.
    let mut head = head.to_string();
    head.truncate(head.len() - 1);
    head.push_str(",\"items\":[");
    let writing = Writing {
        api,
        org: acting.org,
        place,
        ready: Some((head, first)),
        is_first: true,
        is_done: false,
    };
    let body = Body::from_stream(stream::try_unfold(writing, Writing::next));
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, body))
}

/// An export on its way.
struct Writing {
    api: Api,
    org: OrgId,
    place: ExportPlace,
    /// The beginning, and the first part.
    ready: Option<(String, Option<Vec<Exported>>)>,
    is_first: bool,
    is_done: bool,
}

impl Writing {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, MemoryError> {
        if self.is_done {
            return Ok(None);
        }
        let (mut text, part) = if let Some(ready) = self.ready.take() {
            ready
        } else {
            let part = self.api.engine().export_part(&self.org, &mut self.place).await;
            let part = part.inspect_err(|error| {
                let error: &dyn std::error::Error = error;
                tracing::error!(error, "an export broke off");
            })?;
            (String::new(), part)
        };
        if let Some(items) = part {
            for item in items {
                self.write(item, &mut text);
            }
        } else {
            text.push_str("]}");
            self.is_done = true;
        }
        Ok(Some((Bytes::from(text), self)))
    }

    fn write(&mut self, item: Exported, text: &mut String) {
        // Texts and numbers: they always serialize.
        let Ok(item) = serde_json::to_string(&ItemView::from(item)) else { return };
        if !std::mem::take(&mut self.is_first) {
            text.push(',');
        }
        text.push_str(&item);
    }
}
