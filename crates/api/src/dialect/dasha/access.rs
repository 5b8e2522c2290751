//! Who may do what: every operation needs an organization's secret key as a bearer. Widget keys and
//! session tokens are for pages, and nobody here.

use axum::extract::FromRequestParts;
use epilogue_core::OrgId;
use epilogue_engine::records::{CredentialKind, Role};
use http::{StatusCode, request::Parts};

use super::error::Problem;
use crate::{
    Api,
    auth::{self, Caller},
};

/// Whoever may look.
#[derive(Clone, Debug)]
pub(super) struct Reads(pub Caller);

/// Whoever may open, talk and end.
#[derive(Clone, Debug)]
pub(super) struct Operates(pub Caller);

/// Whoever may change what the organization is made of.
#[derive(Clone, Debug)]
pub(super) struct Owns(pub Caller);

impl Reads {
    /// The organization they act for.
    pub fn org(&self) -> &OrgId {
        &self.0.org
    }
}

async fn caller(parts: &Parts, api: &Api, least: Role) -> Result<Caller, Problem> {
    let key = auth::bearer(&parts.headers).ok_or_else(Problem::unauthorized)?;
    let caller = api.caller(key).await?.ok_or_else(Problem::unauthorized)?;
    if caller.kind != CredentialKind::Secret {
        return Err(Problem::unauthorized());
    }
    if caller.role < least {
        return Err(Problem::new(StatusCode::FORBIDDEN, "This API key does not allow that."));
    }
    Ok(caller)
}

macro_rules! needs {
    ($who:ident, $role:expr) => {
        impl FromRequestParts<Api> for $who {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
                caller(parts, api, $role).await.map(Self)
            }
        }
    };
}

needs!(Reads, Role::Read);
needs!(Operates, Role::Operate);
needs!(Owns, Role::Own);
