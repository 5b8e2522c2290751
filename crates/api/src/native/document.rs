//! The OpenAPI document, generated from the handlers. What holds for every operation (its credential, the
//! errors anyone can meet) is added here, from the table that the server itself obeys.

use utoipa::{
    OpenApi,
    openapi::{
        self, Content, Ref, RefOr, Response,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use super::{
    access::{self, Need},
    problem::{Kind, MEDIA_TYPE, ProblemDetails},
};

const DESCRIPTION: &str = "\
Opens, holds and ends conversations between people and AI agents.

Times are RFC 3339 in UTC; money is millionths of a credit, one credit being one US dollar. Lists have \
`limit` and `cursor` and answer `items` and `next_cursor`. Errors are RFC 9457 problem details: decide by \
`status` and `type`, show `detail` to people. Unknown members of a body and unknown query keys are errors.";

#[derive(OpenApi)]
#[openapi(
    components(schemas(ProblemDetails)),
    tags(
        (name = "sessions", description = "Conversations: open, talk, read, end."),
        (name = "finalization", description = "What ended sessions owe, and what was told to webhooks."),
        (name = "memory", description = "What is remembered of people: look, ask why, correct, hand out, forget."),
        (name = "billing", description = "Credits."),
        (name = "administration", description = "The organization, its agents, its keys, its log."),
        (name = "health", description = "For whatever watches the server. No credential needed."),
    ),
)]
struct Base;

/// The whole document.
pub fn document() -> openapi::OpenApi {
    let mut document = Base::openapi();
    document.info = openapi::InfoBuilder::new()
        .title("Epilogue native API")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(openapi::LicenseBuilder::new().name("Apache-2.0").build()))
        .build();
    document.merge(super::routes().into_openapi());
    let components = document.components.get_or_insert_default();
    for (name, what) in [
        (
            "organization_key",
            "An organization's secret key (`tk_live_…`), or a widget key where an operation says so.",
        ),
        ("session_token", "A session's own token, from its open. Dead once the session has ended."),
        (
            "operator_key",
            "The key of whoever runs the server. With several organizations, `Epilogue-Organization` says which.",
        ),
    ] {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(what));
        components.add_security_scheme(name, SecurityScheme::Http(scheme.build()));
    }
    for (path, item) in &mut document.paths.paths {
        let operations = [
            ("GET", &mut item.get),
            ("POST", &mut item.post),
            ("PATCH", &mut item.patch),
            ("DELETE", &mut item.delete),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                complete(operation, needed(method, path));
            }
        }
    }
    document
}

fn needed(method: &str, path: &str) -> Option<Need> {
    access::need(&method.parse().ok()?, path)
}

/// Adds to an operation what follows from what it needs, and what every error looks like.
fn complete(operation: &mut Operation, need: Option<Need>) {
    if let Some(need) = need {
        demand(operation, need);
    }
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.as_str() >= "400"
            && response.content.is_empty()
        {
            let schema = Ref::from_schema_name("ProblemDetails");
            let content = RefOr::T(Content::new(Some(schema)));
            response.content.insert(MEDIA_TYPE.to_owned(), content);
        }
    }
}

/// Adds the credential that an operation needs, and the errors that anyone can meet.
fn demand(operation: &mut Operation, need: Need) {
    let (role, also) = match need {
        Need::Key(role) => (role, ""),
        Need::KeyOrWidget(role) => (role, ", or a widget key from its domains"),
        Need::KeyOrToken(role) => (role, ", or the session's own token"),
    };
    let needs = format!("Needs a key with role `{}`{also}.", access::word(role));
    let description = operation.description.take().unwrap_or_default();
    operation.description = Some(format!("{description}\n\n{needs}"));
    let mut schemes = vec!["organization_key", "operator_key"];
    if matches!(need, Need::KeyOrToken(_)) {
        schemes.push("session_token");
    }
    let requirement = |name: &str| SecurityRequirement::new(name, Vec::<String>::new());
    operation.security = Some(schemes.into_iter().map(requirement).collect());
    let mut problems = vec![
        (
            Kind::InvalidRequest,
            "The request is not valid, or the operator's key did not say for which organization.",
        ),
        (Kind::Unauthorized, "There is no credential, or it opens nothing."),
        (Kind::Forbidden, "The credential is good, but not for this."),
        (Kind::Internal, "Something went wrong here. The cause is in the server's log."),
        (
            Kind::Unavailable,
            "The server is shutting down or overloaded. `Retry-After` says when to try again.",
        ),
    ];
    if operation.request_body.is_some() {
        problems.push((Kind::TooLarge, "The body is longer than the server takes."));
    }
    for (kind, description) in problems {
        let status = kind.status().as_str().to_owned();
        let response = Response::new(description);
        operation.responses.responses.entry(status).or_insert(RefOr::T(response));
    }
}
