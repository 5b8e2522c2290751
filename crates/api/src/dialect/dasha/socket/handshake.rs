//! How a conversation over a socket begins: who is let in, what must be said first, and which session
//! it is.

use epilogue_core::{
    KeyId, OrgId, Session,
    integration::{Integration, Refusal},
};
use epilogue_engine::{
    records::TokenHolder,
    session::{Attached, Attachment},
};
use serde_json::{Value, json};

use super::{
    super::{
        error::Problem,
        find::within_limit,
        open::{Draft, WEB, open_session, refused},
    },
    INITIALIZE_WITHIN,
    fault::{self, Fault},
    frames::{Incoming, Initialize},
    line::{Heard, Left, Line},
    talk::Talk,
};
use crate::{Api, auth, rate::Subject};

/// The switch of an integration that lets pages chat.
pub const ALLOW_WEB_CHAT: &str = "AllowWebChat";

/// Who comes, and from where.
pub(super) struct Visit {
    /// The token they show.
    pub token: Option<String>,
    /// The page they come from, if a browser says so.
    pub origin: Option<String>,
}

impl Visit {
    /// Lets somebody in, or says why not. Asked again while the socket stands.
    pub async fn admit(&self, api: &Api) -> Result<TokenHolder, Fault> {
        let token = self.token.as_deref().ok_or(fault::MISSING_TOKEN)?;
        if token.len() > auth::KEY_BYTES_MAX {
            return Err(fault::INVALID_TOKEN);
        }
        let admitted = api.engine().admit(&auth::hash(token), self.origin.as_deref()).await;
        let admitted = admitted.map_err(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "a socket could not be let in");
            fault::OURS
        })?;
        let holder = match admitted.ok_or(fault::INVALID_TOKEN)? {
            Ok(holder) => holder,
            Err(Refusal::Expired) => return Err(fault::INVALID_TOKEN),
            Err(Refusal::Disabled) => return Err(fault::DISABLED),
            Err(Refusal::Origin) => return Err(fault::ORIGIN),
        };
        if allows_chat(&holder.integration) { Ok(holder) } else { Err(fault::NO_WEB_CHAT) }
    }
}

fn allows_chat(integration: &Integration) -> bool {
    let features = integration.document.get("features").and_then(Value::as_array);
    features.into_iter().flatten().any(|feature| {
        feature["name"] == ALLOW_WEB_CHAT && feature["enabled"].as_bool().unwrap_or(false)
    })
}

/// Lets somebody in, hears what they want, and opens a session for them or hands theirs back.
pub(super) async fn begin(api: &Api, line: &mut Line, visit: Visit) -> Result<Talk, Left> {
    let holder = visit.admit(api).await.map_err(Left::Fault)?;
    let mut first = first_message(api, line).await?;
    line.channel = first.channel.take();
    let begun = match &first.record {
        Some(record) => take_up(api, &holder, record).await?,
        None => match open(api, &holder, first).await {
            Ok(opened) => opened,
            Err(fault) => {
                let data = json!({ "message": fault.message });
                line.tell("event", json!({ "name": "failedOpen", "data": data })).await?;
                return Err(Left::Fault(fault));
            }
        },
    };
    let (session, attachment) = begun;
    let mut talk = Talk::new(api.clone(), (visit, holder), *session, attachment);
    talk.greet(line).await?;
    Ok(talk)
}

async fn first_message(api: &Api, line: &mut Line) -> Result<Initialize, Left> {
    let mut too_late = api.engine().clock().sleep(INITIALIZE_WITHIN);
    loop {
        tokio::select! {
            heard = line.hear() => match heard {
                Heard::Said(Incoming::Initialize(first)) => return Ok(first),
                Heard::Said(_) => return Err(Left::Fault(fault::NO_INIT)),
                Heard::Alive => {}
                Heard::Left(left) => return Err(left),
            },
            () = &mut too_late => return Err(Left::Fault(fault::NO_INIT)),
            () = api.engine().drain_begins() => return Err(Left::Draining),
        }
    }
}

type Begun = (Box<Session>, Attachment);

async fn open(api: &Api, holder: &TokenHolder, first: Initialize) -> Result<Begun, Fault> {
    let (org, token) = (&holder.org, &holder.token.id);
    let subject = Subject::Opens(org.clone(), KeyId::from(token.as_str()));
    let per_minute = api.settings().opens_per_minute;
    within_limit(api, &subject, per_minute).map_err(|_| fault::TOO_MANY_OPENS)?;
    let grace = api.settings().disconnect_grace;
    let draft = Draft {
        agent: holder.integration.agent.to_string(),
        channel: Some(WEB.to_owned()),
        bag: first.bag,
        connection: Some(api.engine().new_connection(token, grace)),
        metadata: json!({
            "integrationId": holder.integration.id,
            "tokenId": token,
            "endpoint": first.endpoint,
        }),
        ..Draft::default()
    };
    let opened = open_session(api, org, draft).await.map_err(|error| {
        let problem = refused(error);
        fault::not_opened(problem.detail().to_owned(), is_passing(&problem))
    })?;
    let attachment = api.engine().hold(&opened.session).ok_or(fault::OURS)?;
    Ok((Box::new(opened.session), attachment))
}

fn is_passing(problem: &Problem) -> bool {
    problem.status().is_server_error() || problem.status().as_u16() == 429
}

/// The session of this record id, for the token that opened it and no other.
async fn take_up(api: &Api, holder: &TokenHolder, record: &str) -> Result<Begun, Left> {
    let unknown = || Left::Fault(fault::UNKNOWN_RECORD);
    let id = record.parse().map_err(|_| unknown())?;
    let attached = attach(api, &holder.org, id, &holder.token.id).await;
    match attached.map_err(Left::Fault)? {
        Attached::To(session, attachment) => Ok((session, attachment)),
        Attached::Over(session) => Err(Left::Over(session)),
        Attached::NotYours => Err(unknown()),
    }
}

async fn attach(
    api: &Api,
    org: &OrgId,
    id: epilogue_core::SessionId,
    token: &str,
) -> Result<Attached, Fault> {
    api.engine().attach(org, id, token).await.map_err(|error| {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, session = %id, "a session could not be taken up");
        fault::OURS
    })
}
