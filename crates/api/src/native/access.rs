//! Who may do what. Every operation stands in [`TABLE`] with what it needs; a layer in front of the
//! handlers holds requests to it, so that none is reached without a credential.

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::request::Parts,
    middleware::Next,
    response::Response,
};
use epilogue_core::{OrgId, Session};
use epilogue_engine::records::{CredentialKind, Role, SessionName};
use http::{HeaderMap, Method};

use super::problem::{Kind, Problem};
use crate::{
    Api,
    auth::{self, Caller},
    token::Claims,
};

/// The header by which the operator's key says for which organization it acts.
pub const ORGANIZATION_HEADER: &str = "epilogue-organization";

/// What an operation needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A secret key with this role or more, or the operator's key.
    Key(Role),
    /// A secret key with this role or more, the operator's key, or a widget key from its domains.
    KeyOrWidget(Role),
    /// A secret key with this role or more, the operator's key, or the session's own token.
    KeyOrToken(Role),
}

impl Need {
    const fn role(self) -> Role {
        match self {
            Self::Key(role) | Self::KeyOrWidget(role) | Self::KeyOrToken(role) => role,
        }
    }
}

/// Every operation that needs a credential: method, path, and what it needs.
pub const TABLE: [(&str, &str, Need); 31] = [
    ("POST", "/epilogue/v1/sessions", Need::KeyOrWidget(Role::Operate)),
    ("GET", "/epilogue/v1/sessions", Need::Key(Role::Read)),
    ("GET", "/epilogue/v1/sessions/{id}", Need::Key(Role::Read)),
    ("POST", "/epilogue/v1/sessions/{id}/turns", Need::KeyOrToken(Role::Operate)),
    ("GET", "/epilogue/v1/sessions/{id}/messages", Need::KeyOrToken(Role::Read)),
    ("POST", "/epilogue/v1/sessions/{id}/end", Need::KeyOrToken(Role::Operate)),
    ("POST", "/epilogue/v1/sessions/{id}/keep-alive", Need::KeyOrToken(Role::Operate)),
    ("GET", "/epilogue/v1/sessions/{id}/why", Need::Key(Role::Read)),
    ("GET", "/epilogue/v1/steps", Need::Key(Role::Read)),
    ("POST", "/epilogue/v1/steps/{id}/retry", Need::Key(Role::Operate)),
    ("GET", "/epilogue/v1/inbox", Need::Key(Role::Read)),
    ("POST", "/epilogue/v1/inbox/{id}/retry", Need::Key(Role::Operate)),
    ("GET", "/epilogue/v1/deliveries", Need::Key(Role::Read)),
    ("GET", "/epilogue/v1/deliveries/{id}", Need::Key(Role::Read)),
    ("POST", "/epilogue/v1/deliveries/{id}/resend", Need::Key(Role::Operate)),
    ("GET", "/epilogue/v1/ledger", Need::Key(Role::Read)),
    ("GET", "/epilogue/v1/balance", Need::Key(Role::Read)),
    ("GET", "/epilogue/v1/activity", Need::Key(Role::Read)),
    ("GET", "/epilogue/v1/agents", Need::Key(Role::Read)),
    ("GET", "/epilogue/v1/agents/{id}", Need::Key(Role::Read)),
    ("GET", "/epilogue/v1/keys", Need::Key(Role::Own)),
    ("POST", "/epilogue/v1/keys", Need::Key(Role::Own)),
    ("DELETE", "/epilogue/v1/keys/{id}", Need::Key(Role::Own)),
    ("GET", "/epilogue/v1/memory/{person}", Need::Key(Role::Read)),
    ("GET", "/epilogue/v1/memory/{person}/export", Need::Key(Role::Read)),
    ("GET", "/epilogue/v1/memory/{person}/facts/{id}", Need::Key(Role::Read)),
    ("PATCH", "/epilogue/v1/memory/{person}/facts/{id}", Need::Key(Role::Operate)),
    ("DELETE", "/epilogue/v1/memory/{person}/facts/{id}", Need::Key(Role::Operate)),
    ("DELETE", "/epilogue/v1/memory/{person}", Need::Key(Role::Own)),
    ("POST", "/epilogue/v1/erasures", Need::Key(Role::Own)),
    ("GET", "/epilogue/v1/organization", Need::Key(Role::Read)),
];

/// Whoever makes a request, for one organization.
#[derive(Clone, Debug)]
pub(super) struct Acting {
    pub org: OrgId,
    pub by: By,
}

/// With which credential.
#[derive(Clone, Debug)]
pub(super) enum By {
    Key(Caller),
    Operator,
    Token(Claims),
}

impl Acting {
    /// The credential's public name, for the activity log.
    pub fn name(&self) -> String {
        match &self.by {
            By::Key(caller) => caller.key.to_string(),
            By::Operator => "operator".to_owned(),
            By::Token(_) => "session_token".to_owned(),
        }
    }

    /// Whether it is the person, or the page acting for them.
    pub const fn is_person(&self) -> bool {
        matches!(self.by, By::Token(_))
    }

    /// Whether it comes from a page, where only the person's own business belongs.
    pub fn is_page(&self) -> bool {
        let widget = |caller: &Caller| matches!(caller.kind, CredentialKind::Widget { .. });
        self.is_person() || matches!(&self.by, By::Key(caller) if widget(caller))
    }

    /// The session with this name, in the core or in any API. A session's token knows of no other.
    pub async fn session(&self, api: &Api, name: &str) -> Result<Session, Problem> {
        let name = SessionName::Any(name.to_owned());
        let found = api.engine().find(&self.org, &name).await?;
        let visible = |session: &Session| match &self.by {
            By::Token(claims) => session.id == claims.sid,
            By::Key(_) | By::Operator => true,
        };
        found.filter(visible).ok_or_else(|| Problem::not_found("session"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Acting {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        // Absent only where the layer below was forgotten: then nobody gets in.
        parts.extensions.get().cloned().ok_or_else(unauthorized)
    }
}

/// What the operation at `path` needs. `None`: there is none.
pub fn need(method: &Method, path: &str) -> Option<Need> {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let found = TABLE.iter().find(|(known, at, _)| *known == method && *at == path);
    found.map(|(.., need)| *need)
}

/// Lets a request through to its handler if its credential is good for it.
pub(super) async fn authorize(
    State(api): State<Api>,
    path: MatchedPath,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    // A method that the path does not have goes on to be told so.
    if let Some(need) = need(request.method(), path.as_str()) {
        let acting = acting(&api, need, request.headers()).await?;
        request.extensions_mut().insert(acting);
    }
    Ok(next.run(request).await)
}

async fn acting(api: &Api, need: Need, headers: &HeaderMap) -> Result<Acting, Problem> {
    let key = auth::bearer(headers).ok_or_else(unauthorized)?;
    if api.is_operator(key) {
        return Ok(Acting { org: operated(api, headers).await?, by: By::Operator });
    }
    if let Some(claims) = api.tokens().read(key, api.engine().now()) {
        return match need {
            Need::KeyOrToken(_) => {
                Ok(Acting { org: claims.organization_id.clone(), by: By::Token(claims) })
            }
            Need::Key(_) | Need::KeyOrWidget(_) => {
                Err(forbidden("A session's token is good for that session alone."))
            }
        };
    }
    let caller = api.caller(key).await?.ok_or_else(unauthorized)?;
    may(&caller, need, headers)?;
    Ok(Acting { org: caller.org.clone(), by: By::Key(caller) })
}

fn may(caller: &Caller, need: Need, headers: &HeaderMap) -> Result<(), Problem> {
    match (&caller.kind, need) {
        (CredentialKind::Widget { .. }, Need::KeyOrWidget(_)) => {
            if caller.may_come_from(headers) {
                Ok(())
            } else {
                Err(forbidden("This widget key is not for pages of that origin."))
            }
        }
        (CredentialKind::Widget { .. }, _) => {
            Err(forbidden("A widget key opens sessions and does nothing else."))
        }
        (CredentialKind::Project { .. }, _) => {
            Err(forbidden("A project's key is good for that project's own API alone."))
        }
        (CredentialKind::Secret, need) if caller.role >= need.role() => Ok(()),
        (CredentialKind::Secret, need) => {
            let (needed, has) = (word(need.role()), word(caller.role));
            Err(forbidden(&format!("This needs a key with role {needed}; this one has {has}.")))
        }
    }
}

/// The role's word.
pub(super) const fn word(role: Role) -> &'static str {
    match role {
        Role::Read => "read",
        Role::Operate => "operate",
        Role::Own => "own",
    }
}

/// The organization that the operator's key acts for: the one it names, or the only one there is.
async fn operated(api: &Api, headers: &HeaderMap) -> Result<OrgId, Problem> {
    let organizations = api.engine().organizations().await?;
    let named = headers.get(ORGANIZATION_HEADER).map(|value| value.to_str().unwrap_or_default());
    let only = || match &organizations[..] {
        [only] => Some(only.id.clone()),
        _ => None,
    };
    let found = match named {
        Some(name) => organizations.iter().find(|o| o.id.as_str() == name).map(|o| o.id.clone()),
        None => only(),
    };
    found.ok_or_else(|| {
        let known: Vec<_> = organizations.iter().map(|o| o.id.as_str()).collect();
        let detail =
            format!("Set the Epilogue-Organization header to one of: {}.", known.join(", "));
        Problem::new(Kind::OrganizationRequired, detail)
    })
}

fn unauthorized() -> Problem {
    let detail = "Send `Authorization: Bearer <key>` with a key that is valid.";
    Problem::new(Kind::Unauthorized, detail)
}

fn forbidden(detail: &str) -> Problem {
    Problem::new(Kind::Forbidden, detail)
}
