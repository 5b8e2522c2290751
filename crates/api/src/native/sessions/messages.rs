//! `GET /epilogue/v1/sessions/{id}/messages`

use axum::{Json, extract::State};
use epilogue_core::Message;
use epilogue_engine::records::{Cursor, Page};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    Api,
    native::{
        access::Acting,
        input::{Params, Segment},
        page::{self, Listed},
        problem::Problem,
    },
};

/// Which part of a transcript.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MessageQuery {
    /// Only what the person saw, without tool traffic. A session's token gets nothing else.
    #[serde(default)]
    visible_only: bool,
    /// How many messages a page has: 1 to 500, 50 if absent.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// One message of a transcript.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MessageView {
    /// Its place in the transcript, from 0, without gaps.
    pub number: u32,
    /// The turn it belongs to; 0 is the greeting.
    pub turn: u32,
    /// Who speaks: `user`, `assistant`, `tool`, or `system` for instructions to the agent.
    #[schema(example = "user")]
    pub role: &'static str,
    /// The text; empty for a message that only calls tools.
    pub content: String,
    /// When it was said (RFC 3339, UTC).
    pub at: String,
    /// Tokens of the text, where they are known.
    pub tokens: Option<u32>,
    /// The tools it calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub tool_calls: Vec<ToolCallView>,
    /// Which call it answers, for the role `tool`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// The reply was stopped before the agent had finished.
    pub cut: bool,
}

/// A tool that the agent called.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ToolCallView {
    /// The call's id, which the result repeats.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// The arguments as the model wrote them.
    pub arguments: String,
}

impl MessageView {
    fn of(message: Message) -> Self {
        let body = message.body;
        let calls = body.tool_calls.into_iter().map(|call| ToolCallView {
            id: call.id,
            name: call.name,
            arguments: call.arguments,
        });
        Self {
            number: message.seq,
            turn: message.turn,
            role: body.role.as_str(),
            content: body.content,
            at: body.at.to_string(),
            tokens: body.tokens,
            tool_calls: calls.collect(),
            tool_call_id: body.tool_call_id,
            cut: body.cut,
        }
    }

    /// Without the agent's dealings with its tools.
    fn for_person(self) -> Self {
        Self { tool_calls: Vec::new(), tool_call_id: None, ..self }
    }
}

/// Read the transcript
///
/// Oldest first. What was purged is gone: the list is empty then.
#[utoipa::path(
    get, path = "/epilogue/v1/sessions/{id}/messages", tag = "sessions",
    params(("id" = String, Path, description = "The session's id or name."), MessageQuery),
    responses(
        (status = 200, description = "A page of messages.", body = Listed<MessageView>),
        (status = 404, description = "This organization has no such session."),
        (status = 410, description = "The session is over, and its token with it."),
    ),
)]
pub(super) async fn list_messages(
    State(api): State<Api>,
    acting: Acting,
    Segment(id): Segment,
    Params(query): Params<MessageQuery>,
) -> Result<Json<Listed<MessageView>>, Problem> {
    let session = acting.session(&api, &id).await?;
    super::living_token(&api, &acting, &session)?;
    let visible = query.visible_only || acting.is_person();
    let list = if visible { "visible_messages" } else { "messages" };
    let page = page::request(list, query.limit, query.cursor.as_deref())?;
    let from = match &page.after {
        Some(cursor) => u32::try_from(cursor.at)
            .map_err(|_| Problem::field("cursor", "must be a next_cursor of this list"))?,
        None => 0,
    };
    let (engine, one_more) = (api.engine(), page.limit + 1);
    let found = if visible {
        engine.visible_messages(&acting.org, session.id, from, one_more).await?
    } else {
        engine.messages(&acting.org, session.id, from, one_more).await?
    };
    let next = Cursor { at: i64::from(from) + i64::from(page.limit), key: String::new() };
    let found = Page::from_rows(found, page.limit, |_| next.clone());
    let view = |message| {
        let view = MessageView::of(message);
        if visible { view.for_person() } else { view }
    };
    Ok(Json(Listed::of(list, found, view)))
}
