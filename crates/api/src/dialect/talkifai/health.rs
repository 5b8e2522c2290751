//! `GET /health`

use axum::Json;
use serde::Serialize;

/// How the parts are that this API's operators watch.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    components: Components,
}

#[derive(Debug, Serialize)]
struct Components {
    graphiti: Component,
}

#[derive(Debug, Serialize)]
struct Component {
    status: &'static str,
    message: &'static str,
}

/// Memory is the server's own, so that there is no Graphiti to be well. Whether the server itself
/// is well is asked of `/health/ready`.
pub(super) async fn health() -> Json<Health> {
    let message = "Memory is embedded in the server; Graphiti is not used";
    Json(Health { components: Components { graphiti: Component { status: "skipped", message } } })
}
