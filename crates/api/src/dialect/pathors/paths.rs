//! Where each operation stands: below a project, at the places of three generations of this API, with
//! and without `/api` before them. All lead to one handler.

use axum::{
    Router,
    routing::{MethodRouter, any},
};

use super::error;
use crate::Api;

/// What may stand before every path.
pub const PREFIXES: [&str; 2] = ["", "/api"];
/// A project in the older generations.
pub const OLD: &str = "/project/{project}";
/// A project in the current one.
pub const CURRENT: &str = "/v1/projects/{project}";
/// All projects.
pub const PROJECTS: &str = "/v1/projects";

/// The places of one operation below a project.
#[derive(Debug)]
pub struct Place {
    /// Below [`OLD`]: the first generation, and the one that followed it.
    pub old: &'static [&'static str],
    /// Below [`CURRENT`].
    pub current: &'static [&'static str],
}

impl Place {
    /// Every path of the operation.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        let old = self.old.iter().map(|tail| format!("{OLD}{tail}"));
        let below = old.chain(self.current.iter().map(|tail| format!("{CURRENT}{tail}")));
        below.flat_map(|path| PREFIXES.map(|prefix| format!("{prefix}{path}")))
    }

    /// The operation at each of its places.
    pub fn to(&self, methods: &MethodRouter<Api>) -> Router<Api> {
        self.paths().fold(Router::new(), |router, path| router.route(&path, methods.clone()))
    }
}

/// Sessions: POST creates, DELETE ends.
pub const SESSIONS: Place =
    Place { old: &["/integration/api/session", "/session"], current: &["/sessions"] };
/// One session: GET queries.
pub const SESSION: Place = Place {
    old: &["/integration/api/session/{session}", "/session/{session}"],
    current: &["/sessions/{session}"],
};
/// POST terminates; GET queries the session of that name.
pub const TERMINATE: Place = Place {
    old: &["/integration/api/session/terminate", "/session/terminate"],
    current: &["/sessions/terminate"],
};
/// POST searches; GET queries the session of that name.
pub const SEARCH: Place = Place {
    old: &["/integration/api/session/search", "/session/search"],
    current: &["/sessions/search"],
};
/// A session's variables: PATCH.
pub const VARIABLES: Place = Place { old: &[], current: &["/sessions/{session}/variables"] };
/// What has been: GET lists.
pub const HISTORY: Place =
    Place { old: &["/session"], current: &["/session-history", "/sessions"] };
/// One of what has been: GET.
pub const HISTORY_ENTRY: Place = Place { old: &[], current: &["/session-history/{session}"] };
/// Figures: GET.
pub const STATS: Place =
    Place { old: &["/session/stats"], current: &["/session-history/stats", "/sessions/stats"] };
/// A turn: POST.
pub const COMPLETIONS: Place =
    Place { old: &["/integration/api/chat/completions"], current: &["/chat/completions"] };
/// Subscriptions: GET lists, POST adds.
pub const WEBHOOKS: Place = Place { old: &["/webhooks"], current: &["/webhooks"] };
/// Whether there is a subscription: POST.
pub const WEBHOOKS_CHECK: Place =
    Place { old: &["/webhooks/check"], current: &["/webhooks/check"] };
/// One subscription: DELETE.
pub const WEBHOOK: Place = Place { old: &["/webhooks/{id}"], current: &["/webhooks/{id}"] };
/// The project's agent: GET, PUT, PATCH.
pub const AGENT: Place = Place { old: &[], current: &["/agent"] };
/// An outbound call: POST.
pub const CALLS: Place =
    Place { old: &["/integration/phone/call/outbound"], current: &["/calls", "/calls/outbound"] };

/// Everything else below what is this dialect's.
pub(super) fn rest() -> Router<Api> {
    let tails =
        [OLD, CURRENT].into_iter().flat_map(|root| ["", "/{*rest}"].map(|tail| (root, tail)));
    let roots = [("/project", ""), ("/project", "/"), (PROJECTS, "/")];
    let paths = tails
        .chain(roots)
        .flat_map(|(root, tail)| PREFIXES.map(|prefix| format!("{prefix}{root}{tail}")));
    paths.fold(Router::new(), |router, path| router.route(&path, any(error::no_such_path)))
}

/// What a path is below, without what may stand before it.
fn bare(path: &str) -> &str {
    path.strip_prefix("/api").filter(|rest| rest.starts_with('/')).unwrap_or(path)
}

/// Whether a path is of an older generation.
pub(super) fn is_old(path: &str) -> bool {
    bare(path).starts_with("/project/")
}

/// Whether what stands at a path is about sessions or chats. Of the resources that are not, errors
/// look otherwise.
pub(super) fn is_of_sessions(path: &str) -> bool {
    let mut parts = bare(path).split('/').skip(1);
    let resource = if is_old(path) { parts.nth(2) } else { parts.nth(3) };
    match resource {
        Some("webhooks") => false,
        Some("sessions" | "session-history" | "chat") => true,
        _ => is_old(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_a_path_for_each_generation_and_prefix() {
        let paths: Vec<_> = SESSIONS.paths().collect();
        assert_eq!(
            paths,
            [
                "/project/{project}/integration/api/session",
                "/api/project/{project}/integration/api/session",
                "/project/{project}/session",
                "/api/project/{project}/session",
                "/v1/projects/{project}/sessions",
                "/api/v1/projects/{project}/sessions",
            ]
        );
    }

    #[test]
    fn a_path_says_its_generation_and_what_it_is_about() {
        for (path, old, of_sessions) in [
            ("/project/p/session", true, true),
            ("/api/project/p/integration/api/session/x", true, true),
            ("/api/project/p/nothing", true, true),
            ("/api/project/p/webhooks/check", true, false),
            ("/v1/projects/p/sessions/x", false, true),
            ("/api/v1/projects/p/session-history", false, true),
            ("/v1/projects/p/chat/completions", false, true),
            ("/v1/projects/p/agent", false, false),
            ("/v1/projects/p/webhooks", false, false),
            ("/v1/projects", false, false),
            ("/v1/projects/p/nothing", false, false),
        ] {
            assert_eq!((is_old(path), is_of_sessions(path)), (old, of_sessions), "{path}");
        }
    }
}
