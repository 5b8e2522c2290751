//! Who may do what: an organization's secret key reaches every project of the organization, a project's
//! key its own project. Widget keys and session tokens are for pages, and nobody here.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Path};
use epilogue_core::{KeyId, OrgId, ProjectId};
use epilogue_engine::records::{CredentialKind, Project, Role};
use http::request::Parts;

use super::error::Error;
use crate::{
    Api,
    auth::{self, Caller},
};

/// Someone with a key of this API, whatever project they ask about.
#[derive(Clone, Debug)]
pub(super) struct KeyHolder(pub Caller);

/// Someone whose key reaches the project that the path names.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// The key's public name, for the activity log.
    pub key: KeyId,
    /// The project.
    pub project: Project,
}

impl Member {
    /// The organization they act for.
    pub fn org(&self) -> &OrgId {
        &self.project.org
    }
}

/// Whoever may look.
#[derive(Clone, Debug)]
pub(super) struct Reads(pub Member);

/// Whoever may open, talk and end.
#[derive(Clone, Debug)]
pub(super) struct Operates(pub Member);

/// Whoever may change what the project is made of.
#[derive(Clone, Debug)]
pub(super) struct Owns(pub Member);

/// Whether the key reaches this project of its organization.
pub(super) fn reaches(caller: &Caller, project: &ProjectId) -> bool {
    match &caller.kind {
        CredentialKind::Secret => true,
        CredentialKind::Project { project: own } => own == project,
        CredentialKind::Widget { .. } => false,
    }
}

async fn caller(parts: &Parts, api: &Api, least: Role) -> Result<Caller, Error> {
    let key = auth::bearer(&parts.headers).ok_or_else(Error::unauthorized)?;
    let caller = api.caller(key).await?.ok_or_else(Error::unauthorized)?;
    let is_of_pages = matches!(caller.kind, CredentialKind::Widget { .. });
    if is_of_pages || caller.role < least {
        return Err(Error::unauthorized());
    }
    Ok(caller)
}

async fn member(parts: &mut Parts, api: &Api, least: Role) -> Result<Member, Error> {
    let caller = caller(parts, api, least).await?;
    // What does not even decode names nothing.
    let named = Path::<HashMap<String, String>>::from_request_parts(parts, api).await;
    let named = named.ok().and_then(|Path(mut parts)| parts.remove("project"));
    let id = ProjectId::from(named.ok_or_else(Error::no_session)?);
    if !reaches(&caller, &id) {
        return Err(Error::unauthorized());
    }
    // A project that is not there looks like one that is somebody else's.
    let project = api.engine().project(&caller.org, &id).await?.ok_or_else(Error::unauthorized)?;
    Ok(Member { key: caller.key, project })
}

impl FromRequestParts<Api> for KeyHolder {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Error> {
        caller(parts, api, Role::Read).await.map(Self)
    }
}

macro_rules! needs {
    ($who:ident, $role:expr) => {
        impl FromRequestParts<Api> for $who {
            type Rejection = Error;

            async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Error> {
                member(parts, api, $role).await.map(Self)
            }
        }
    };
}

needs!(Reads, Role::Read);
needs!(Operates, Role::Operate);
needs!(Owns, Role::Own);
