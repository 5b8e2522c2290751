//! What is said on the wire: routers, extractors, wire types and error bodies. Decides nothing:
//! every decision is the engine's.

pub mod auth;
mod body;
mod cors;
pub mod dialect;
mod gone;
pub mod native;
mod rate;
mod seal;
mod seat;
mod state;
pub mod token;
mod wording;

use axum::Router;

pub use gone::CallerGone;
pub use seat::Seat;
pub use state::{Api, Settings};
pub use wording::Dialects;

/// Every route of the server.
pub fn router(api: &Api) -> Router {
    dialect::talkifai::router(api)
        .merge(dialect::dasha::router(api))
        .merge(dialect::pathors::router(api))
        .merge(native::router(api))
        .fallback(native::no_such_path)
}
