//! The books: every movement of credits, and what is left.

use axum::{Json, extract::State};
use epilogue_core::ledger::Account;
use epilogue_engine::records::LedgerRow;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Acting,
    input::Params,
    page::{self, Listed},
    problem::Problem,
};
use crate::Api;

/// The operations on the books.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_ledger)).routes(routes!(show_balance))
}

/// Which part of the ledger.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LedgerQuery {
    /// Of this session, by id or name.
    session: Option<String>,
    /// How many transactions a page has: 1 to 500, 50 if absent. Each is 2 or 3 rows, never torn.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// One line of the ledger.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LedgerRowView {
    /// Its transaction. A transaction's rows sum to zero.
    pub transaction_id: String,
    /// The session it belongs to, if any.
    pub session_id: Option<String>,
    /// The account that changed: `balance` (what may be spent), `held` (set aside for open sessions),
    /// `revenue` (what ended sessions have cost) or `granted` (where credits come from).
    #[schema(example = "balance")]
    pub account: &'static str,
    /// By how much, in millionths of a credit.
    #[schema(example = -4500)]
    pub amount_micro_credits: i64,
    /// The same in credits, as a decimal.
    #[schema(example = "-0.0045")]
    pub amount: String,
    /// Why: `grant`, `hold` or `settlement`.
    #[schema(example = "settlement")]
    pub kind: &'static str,
    /// When (RFC 3339, UTC).
    pub created_at: String,
}

impl LedgerRowView {
    fn of(row: LedgerRow) -> Self {
        Self {
            transaction_id: row.transaction_id,
            session_id: row.session.map(|id| id.to_string()),
            account: row.account.as_str(),
            amount_micro_credits: row.amount.0,
            amount: row.amount.to_string(),
            kind: row.kind.as_str(),
            created_at: row.created_at.to_string(),
        }
    }
}

/// What an organization has.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct BalanceView {
    /// What it may spend, in millionths of a credit. One credit is one US dollar.
    balance_micro_credits: i64,
    /// The same in credits, as a decimal.
    #[schema(example = "99.9955")]
    balance: String,
    /// What is set aside for open sessions, in millionths of a credit.
    held_micro_credits: i64,
    /// The same in credits, as a decimal.
    held: String,
}

/// List the ledger
///
/// Double entry and append-only, the latest transaction first. Each session has exactly one
/// transaction of the kind `settlement`, written with its end.
#[utoipa::path(
    get, path = "/epilogue/v1/ledger", tag = "billing", params(LedgerQuery),
    responses(
        (status = 200, description = "A page of whole transactions.", body = Listed<LedgerRowView>),
        (status = 404, description = "This organization has no such session."),
    ),
)]
async fn list_ledger(
    State(api): State<Api>,
    acting: Acting,
    Params(query): Params<LedgerQuery>,
) -> Result<Json<Listed<LedgerRowView>>, Problem> {
    let page = page::request("ledger", query.limit, query.cursor.as_deref())?;
    let session = match &query.session {
        Some(session) => Some(acting.session(&api, session).await?.id),
        None => None,
    };
    let found = api.engine().ledger(&acting.org, session, &page).await?;
    Ok(Json(Listed::of("ledger", found, LedgerRowView::of)))
}

/// Show the balance
///
/// What the organization may spend, and what is set aside for open sessions.
#[utoipa::path(
    get, path = "/epilogue/v1/balance", tag = "billing",
    responses((status = 200, description = "The balance.", body = BalanceView)),
)]
async fn show_balance(
    State(api): State<Api>,
    acting: Acting,
) -> Result<Json<BalanceView>, Problem> {
    let balance = api.engine().balance(&acting.org, Account::Balance).await?;
    let held = api.engine().balance(&acting.org, Account::Held).await?;
    Ok(Json(BalanceView {
        balance_micro_credits: balance.0,
        balance: balance.to_string(),
        held_micro_credits: held.0,
        held: held.to_string(),
    }))
}
