//! The organization that a key acts for.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{access::Acting, problem::Problem};
use crate::Api;

/// The operations on the organization.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(show_organization))
}

/// An organization.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct OrganizationView {
    /// Its id.
    #[schema(example = "org_acme")]
    id: String,
    /// Its name.
    name: String,
    /// Whether opening a session looks at its balance.
    metered: bool,
    /// How far below zero its balance may go before opens are refused, in millionths of a credit.
    grace_micro_credits: i64,
    /// The same in credits, as a decimal.
    grace: String,
}

/// Show the organization
///
/// The organization that the key acts for.
#[utoipa::path(
    get, path = "/epilogue/v1/organization", tag = "administration",
    responses((status = 200, description = "The organization.", body = OrganizationView)),
)]
async fn show_organization(
    State(api): State<Api>,
    acting: Acting,
) -> Result<Json<OrganizationView>, Problem> {
    let found = api.engine().organization(&acting.org).await?;
    let organization = found.ok_or_else(|| Problem::not_found("organization"))?;
    Ok(Json(OrganizationView {
        id: organization.id.to_string(),
        name: organization.name,
        metered: organization.metered,
        grace_micro_credits: organization.grace.0,
        grace: organization.grace.to_string(),
    }))
}
