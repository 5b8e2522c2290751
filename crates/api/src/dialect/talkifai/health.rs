//! `GET /health`

use axum::{Json, extract::State};
use epilogue_engine::memory::Condition;
use serde::Serialize;

use crate::Api;

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
    message: String,
}

/// How memory is, as far as it is in Graphiti. What that says of itself is not asked for: it says that it
/// is well while it stores nothing. Whether this server is well is asked of `/health/ready`.
pub(super) async fn health(State(api): State<Api>) -> Json<Health> {
    let (status, message) = match api.engine().memory_condition() {
        Condition::Own => {
            ("skipped", "Memory is embedded in the server; Graphiti is not used".to_owned())
        }
        Condition::Well => ("healthy", "Graphiti stores what it takes".to_owned()),
        Condition::Stalled { since } => {
            let since = since.to_jiff().strftime("%Y-%m-%dT%H:%M:%SZ");
            ("unhealthy", format!("Since {since} Graphiti takes messages and stores none"))
        }
    };
    Json(Health { components: Components { graphiti: Component { status, message } } })
}
