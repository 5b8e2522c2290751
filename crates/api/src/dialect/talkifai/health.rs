//! `GET /health`

use axum::Json;
use serde_json::{Value, json};

/// How the parts are that this API's operators watch. Whether the server itself is well is asked of
/// `/health/ready`.
pub(super) async fn health() -> Json<Value> {
    let message = "Memory is embedded in the server; Graphiti is not used";
    Json(json!({ "components": { "graphiti": { "status": "skipped", "message": message } } }))
}
