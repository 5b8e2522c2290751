//! Keys: made here and shown once, or written in the configuration; revoked for good.

use axum::{Json, extract::State, response::IntoResponse};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use epilogue_core::{KeyId, ProjectId, Timestamp};
use epilogue_engine::records::{Credential, CredentialKind, Role};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{self, Acting},
    input::{self, JsonBody, Segment},
    page::Listed,
    problem::{Kind, Problem},
};
use crate::{Api, auth};

/// The longest name of a key, in characters.
pub const NAME_CHARS_MAX: usize = 50;
/// How many domains a widget key may have.
pub const DOMAINS_MAX: usize = 32;
/// The longest domain, in characters.
pub const DOMAIN_CHARS_MAX: usize = 253;
/// How much randomness a key has, in bytes.
const KEY_BYTES: usize = 32;

/// The operations on keys.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_keys, create_key)).routes(routes!(revoke_key))
}

/// What a key is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyKind {
    /// Secret, for servers.
    #[default]
    Secret,
    /// Safe in a page: may open sessions from pages of its domains, and nothing else.
    Widget,
    /// Secret, for one project and nothing else.
    Project,
}

/// What a key for servers may do. Each role includes the ones before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RoleWord {
    /// Look.
    Read,
    /// Open, end, retry, resend.
    #[default]
    Operate,
    /// Keys too.
    Own,
}

impl RoleWord {
    const fn role(self) -> Role {
        match self {
            Self::Read => Role::Read,
            Self::Operate => Role::Operate,
            Self::Own => Role::Own,
        }
    }
}

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyBody {
    /// What its owner calls it: 1 to 50 characters.
    name: String,
    /// What it is for; `secret` if absent.
    #[serde(default)]
    #[schema(required = false)]
    kind: KeyKind,
    /// What it may do; `operate` if absent. A widget key has none.
    role: Option<RoleWord>,
    /// A widget key's domains, each with its subdomains: 1 to 32. Other keys have none.
    #[serde(default)]
    #[schema(required = false)]
    domains: Vec<String>,
    /// The project of a project's key. Other keys have none.
    project: Option<String>,
    /// When it stops working by itself (RFC 3339); absent: never.
    expires_at: Option<String>,
}

/// A key as it is known here: everything but the key.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct KeyView {
    /// Its public name, which the activity log uses.
    id: String,
    /// What its owner calls it.
    name: String,
    /// What it is for.
    kind: KeyKind,
    /// What it may do: `read`, `operate` or `own`.
    #[schema(example = "operate")]
    role: &'static str,
    /// A widget key's domains, each with its subdomains.
    domains: Vec<String>,
    /// A project key's project; null: it is not a project's.
    project: Option<String>,
    /// When it was made (RFC 3339, UTC).
    created_at: String,
    /// When it stops working by itself; null: never.
    expires_at: Option<String>,
    /// When it was revoked; null: it was not.
    revoked_at: Option<String>,
    /// Whether it stands in the configuration, which is then the place to remove it.
    configured: bool,
}

impl KeyView {
    fn of(credential: &Credential) -> Self {
        let (kind, domains, project) = match &credential.kind {
            CredentialKind::Secret => (KeyKind::Secret, Vec::new(), None),
            CredentialKind::Widget { domains } => (KeyKind::Widget, domains.clone(), None),
            CredentialKind::Project { project } => {
                (KeyKind::Project, Vec::new(), Some(project.to_string()))
            }
        };
        Self {
            id: credential.id.to_string(),
            name: credential.name.clone(),
            kind,
            role: access::word(credential.role),
            domains,
            project,
            created_at: credential.created_at.to_string(),
            expires_at: credential.expires_at.map(|at| at.to_string()),
            revoked_at: credential.revoked_at.map(|at| at.to_string()),
            configured: credential.configured,
        }
    }
}

/// A key that has just been made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewKey {
    /// What is known of it from now on.
    #[serde(flatten)]
    about: KeyView,
    /// The key. Shown this once: only its hash is kept.
    key: String,
}

/// List keys
///
/// Every key of the organization, the revoked ones included, by id, on one page.
#[utoipa::path(
    get, path = "/epilogue/v1/keys", tag = "administration",
    responses((status = 200, description = "All keys.", body = Listed<KeyView>)),
)]
async fn list_keys(
    State(api): State<Api>,
    acting: Acting,
) -> Result<Json<Listed<KeyView>>, Problem> {
    let keys = api.engine().credentials(&acting.org).await?;
    Ok(Json(Listed { items: keys.iter().map(KeyView::of).collect(), next_cursor: None }))
}

/// Make a key
///
/// The answer is the only place where the key itself is ever shown.
#[utoipa::path(
    post, path = "/epilogue/v1/keys", tag = "administration", request_body = KeyBody,
    responses((status = 201, description = "The key.", body = NewKey)),
)]
async fn create_key(
    State(api): State<Api>,
    acting: Acting,
    JsonBody(body): JsonBody<KeyBody>,
) -> Result<impl IntoResponse, Problem> {
    let now = api.engine().now();
    input::chars("name", &body.name, 1, NAME_CHARS_MAX)?;
    let expires_at = expiry(body.expires_at.as_deref(), now)?;
    let (kind, role, prefix) = match body.kind {
        KeyKind::Secret => secret(&body)?,
        KeyKind::Widget => widget(&body)?,
        KeyKind::Project => project(&api, &acting, &body).await?,
    };
    let ids = api.engine().ids();
    let key = format!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(ids.bytes::<KEY_BYTES>()));
    let credential = Credential {
        id: KeyId::new(format!("key_{:032x}", u128::from_be_bytes(ids.bytes()))),
        hash: auth::hash(&key),
        org: acting.org,
        kind,
        role,
        name: body.name,
        created_at: now,
        expires_at,
        revoked_at: None,
        configured: false,
    };
    let about = KeyView::of(&credential);
    api.engine().add_credential(credential).await?;
    let never_kept = [(header::CACHE_CONTROL, "no-store")];
    Ok((StatusCode::CREATED, never_kept, Json(NewKey { about, key })))
}

fn secret(body: &KeyBody) -> Result<(CredentialKind, Role, &'static str), Problem> {
    no_domains(body)?;
    no_project(body)?;
    Ok((CredentialKind::Secret, body.role.unwrap_or_default().role(), "tk_live_"))
}

async fn project(
    api: &Api,
    acting: &Acting,
    body: &KeyBody,
) -> Result<(CredentialKind, Role, &'static str), Problem> {
    no_domains(body)?;
    let named = body.project.as_deref().map(ProjectId::from);
    let named =
        named.ok_or_else(|| Problem::field("project", "is required for a project's key"))?;
    let found = api.engine().project(&acting.org, &named).await?;
    let found = found.ok_or_else(|| Problem::field("project", "is no project of yours"))?;
    let role = body.role.unwrap_or_default().role();
    Ok((CredentialKind::Project { project: found.id }, role, "sk_"))
}

fn no_domains(body: &KeyBody) -> Result<(), Problem> {
    if body.domains.is_empty() {
        return Ok(());
    }
    Err(Problem::field("domains", "are for widget keys"))
}

fn no_project(body: &KeyBody) -> Result<(), Problem> {
    if body.project.is_none() {
        return Ok(());
    }
    Err(Problem::field("project", "is for keys of kind project"))
}

fn widget(body: &KeyBody) -> Result<(CredentialKind, Role, &'static str), Problem> {
    no_project(body)?;
    if body.role.is_some() {
        return Err(Problem::field("role", "is for secret keys; a widget key only opens sessions"));
    }
    if !(1..=DOMAINS_MAX).contains(&body.domains.len()) {
        return Err(Problem::field("domains", format!("must be 1 to {DOMAINS_MAX}")));
    }
    for (index, domain) in body.domains.iter().enumerate() {
        let path = format!("domains[{index}]");
        input::chars(&path, domain, 1, DOMAIN_CHARS_MAX)?;
        if !domain.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c)) {
            return Err(Problem::field(path, "must be a name such as example.com"));
        }
    }
    let kind = CredentialKind::Widget { domains: body.domains.clone() };
    Ok((kind, Role::Operate, "tk_widget_"))
}

fn expiry(text: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    let read = |text| Timestamp::parse(text).filter(|at| *at > now);
    let wrong =
        || Problem::field("expires_at", "must be a time to come such as 2030-01-31T12:00:00Z");
    text.map(|text| read(text).ok_or_else(wrong)).transpose()
}

/// Revoke a key
///
/// It opens nothing from then on, on any node. Sessions that it opened go on. Harmless to repeat. A key
/// that stands in the configuration is to be removed there: it would return with the next start.
#[utoipa::path(
    delete, path = "/epilogue/v1/keys/{id}", tag = "administration",
    params(("id" = String, Path, description = "The key's id: never the key itself.")),
    responses(
        (status = 200, description = "The key, revoked.", body = KeyView),
        (status = 404, description = "This organization has no such key."),
        (status = 409, description = "It stands in the configuration."),
    ),
)]
async fn revoke_key(
    State(api): State<Api>,
    acting: Acting,
    Segment(id): Segment,
) -> Result<Json<KeyView>, Problem> {
    let id = KeyId::from(id);
    if find(&api, &acting, &id).await?.configured {
        let detail = "This key stands in the configuration: remove it there, and start again.";
        return Err(Problem::new(Kind::WrongState, detail));
    }
    if !api.engine().revoke_credential(&acting.org, &id, Some(acting.name())).await? {
        return Err(Problem::not_found("key"));
    }
    Ok(Json(KeyView::of(&find(&api, &acting, &id).await?)))
}

async fn find(api: &Api, acting: &Acting, id: &KeyId) -> Result<Credential, Problem> {
    let keys = api.engine().credentials(&acting.org).await?;
    keys.into_iter().find(|key| key.id == *id).ok_or_else(|| Problem::not_found("key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widget_for(domains: Vec<String>) -> bool {
        let (name, kind) = (String::from("w"), KeyKind::Widget);
        widget(&KeyBody { name, kind, role: None, domains, project: None, expires_at: None })
            .is_ok()
    }

    #[test]
    fn domains_at_the_limits_and_one_past_them() {
        let domain = || "example.com".to_owned();
        assert!(!widget_for(vec![]) && widget_for(vec![domain()]));
        assert!(widget_for(vec![domain(); DOMAINS_MAX]));
        assert!(!widget_for(vec![domain(); DOMAINS_MAX + 1]));
        assert!(widget_for(vec!["x".repeat(DOMAIN_CHARS_MAX)]));
        assert!(!widget_for(vec!["x".repeat(DOMAIN_CHARS_MAX + 1)]));
        for wrong in ["", "https://example.com", "example.com/", "a b"] {
            assert!(!widget_for(vec![wrong.to_owned()]), "{wrong}");
        }
    }

    #[test]
    fn a_key_expires_in_the_time_to_come() {
        let now = Timestamp::parse("2026-01-31T12:00:00Z").expect("a time");
        assert!(expiry(Some("2026-01-31T12:00:00Z"), now).is_err());
        assert!(expiry(Some("soon"), now).is_err());
        assert!(expiry(Some("2026-01-31T12:00:00.001Z"), now).is_ok_and(|at| at.is_some()));
    }
}
