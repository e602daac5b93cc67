//! The OpenAPI document, made of the table of routes and of the types of the handlers.

mod links;

use std::collections::BTreeMap;

use bellwork_shared::api_tokens::scopes::Scope;
use utoipa::ToSchema;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, PathItemBuilder, PathsBuilder};
use utoipa::openapi::schema::{ComponentsBuilder, Object, Schema, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, License, OpenApi, OpenApiBuilder, Ref, RefOr, Response, ResponseBuilder, ServerBuilder,
};

use self::links::Finders;
use crate::auth::Access;
use crate::describe::Description;
use crate::limits::Limit;
use crate::problem::{PROBLEM_JSON, Problem};
use crate::routes::path::{Method, Operation, Path};

/// What every answer of a status means; the detail of the problem says more.
const REFUSALS: &[(u16, &str)] = &[
    (400, "The body is not JSON, or broke off."),
    (401, "Nobody is signed in, or the address and the password do not belong together."),
    (403, "Signed in, but not allowed to; or the request comes from another site."),
    (404, "Not found, or somebody else's."),
    (408, "The body did not arrive in time."),
    (409, "The thing is not in a state for this."),
    (412, "The thing has changed since it was read."),
    (413, "The body is larger than the path takes."),
    (415, "The body is of another type than the path takes."),
    (422, "Understood, but wrong: `errors` says where."),
    (429, "Too many requests; `Retry-After` says when to try again."),
    (500, "A mistake of ours."),
    (503, "Overloaded, or a dependency is unavailable; `Retry-After` says when to try again."),
];
/// What any request can meet.
const ALWAYS: &[u16] = &[422, 429, 500, 503];
const BEARER: &str = "bearer";
const COOKIE: &str = "cookie";

/// The document of `paths`, of an installation whose session cookie has that name.
pub(crate) fn document(paths: &[Path], cookie: &str) -> OpenApi {
    let mut schemas = BTreeMap::new();
    let finders = Finders::of(paths);
    let mut items = PathsBuilder::new();
    for path in paths {
        let mut item = PathItemBuilder::new();
        for operation in path.operations() {
            let mut description = describe(operation);
            finders.link(path.pattern(), operation, &mut description);
            schemas.extend(std::mem::take(&mut description.schemas));
            item = item.operation(method(operation.method), described(operation, description));
        }
        items = items.path(path.pattern(), item.build());
    }
    let mut problem = Description::default();
    problem.schema::<Problem<'_>>();
    schemas.extend(problem.schemas);
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .responses_from_iter(REFUSALS.iter().map(|(status, says)| (status.to_string(), refusal(*status, says))))
        .security_scheme(BEARER, SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()))
        .security_scheme(COOKIE, SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(cookie))))
        .build();
    let info = InfoBuilder::new()
        .title("Bellwork")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Exam preparation: attempts in, results out, at once."))
        .license(Some(License::new("MIT OR Apache-2.0")))
        .build();
    let server = ServerBuilder::new().url("/").build();
    OpenApiBuilder::new().info(info).servers(Some([server])).paths(items.build()).components(Some(components)).build()
}

/// What its types tell, and what all its kind refuse.
fn describe(operation: &Operation) -> Description {
    let mut description = Description::default();
    (operation.describe)(&mut description);
    description.refuses(operation.also);
    description.refuses(ALWAYS);
    match (operation.access, operation.method) {
        (Access::Anyone, Method::Get) => {}
        (Access::Anyone, _) => description.refuses(&[403]),
        _ => description.refuses(&[401, 403]),
    }
    description
}

fn described(operation: &Operation, description: Description) -> utoipa::openapi::path::Operation {
    let mut described = OperationBuilder::new()
        .operation_id(Some(operation_id(operation)))
        .tag(names(operation.handler).0)
        .summary(Some(operation.summary))
        .parameters((!description.parameters.is_empty()).then_some(description.parameters))
        .request_body(description.body);
    for (status, answer) in description.answers {
        let answer = if matches!(operation.limit, Limit::Exempt) { answer } else { with_standing(answer) };
        described = described.response(status.to_string(), with_request_id(answer));
    }
    for status in &description.refusals {
        described = described.response(status.to_string(), Ref::from_response_name(status.to_string()));
    }
    if operation.access != Access::Anyone {
        // The scopes are what an API token needs; a session's token needs none. Without one, no API token will do.
        let bearer = SecurityRequirement::new(BEARER, operation.scope().map(Scope::name));
        described = described.securities(Some([bearer, SecurityRequirement::new(COOKIE, [] as [&str; 0])]));
    }
    described.build()
}

/// Its name in the document, such as `attempts.list`.
fn operation_id(operation: &Operation) -> String {
    let (file, function) = names(operation.handler);
    format!("{file}.{function}")
}

/// The file and the function of a handler, such as `attempts` and `list`.
fn names(handler: &'static str) -> (&'static str, &'static str) {
    let mut parts = handler.rsplit("::");
    let function = parts.next().unwrap_or_default();
    (parts.next().unwrap_or_default(), function)
}

fn refusal(status: u16, says: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    let mut response = ResponseBuilder::new().description(says).content(PROBLEM_JSON, content);
    if matches!(status, 429 | 503) {
        response = response.header("Retry-After", header("So many seconds to wait."));
    }
    if status == 401 {
        response = response.header("WWW-Authenticate", header("The scheme to use: Bearer."));
    }
    let response = response.build();
    with_request_id(if status == 429 { with_standing(response) } else { response })
}

fn with_standing(mut response: Response) -> Response {
    for (name, says) in [
        ("RateLimit", "How the client stands with each limit: r requests left, more after t seconds."),
        ("RateLimit-Policy", "The limits that apply: q requests in any w seconds."),
    ] {
        response.headers.insert(name.to_owned(), header(says).into());
    }
    response
}

fn with_request_id(mut response: Response) -> Response {
    let says = "The client's own, or a new UUIDv7; also in our logs.";
    response.headers.insert("X-Request-Id".to_owned(), header(says).into());
    response
}

fn header(says: &str) -> utoipa::openapi::Header {
    let text: RefOr<Schema> = Object::with_type(Type::String).into();
    HeaderBuilder::new().description(Some(says)).schema(Some(text)).build()
}

fn method(method: Method) -> HttpMethod {
    match method {
        Method::Get => HttpMethod::Get,
        Method::Post => HttpMethod::Post,
        Method::Put => HttpMethod::Put,
        Method::Patch => HttpMethod::Patch,
        Method::Delete => HttpMethod::Delete,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write;

    use utoipa::PartialSchema;

    use super::*;
    use crate::routes;

    const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    const BEGIN: &str = "<!-- routes -->\n";
    const END: &str = "<!-- end of routes -->\n";

    fn written() -> serde_json::Value {
        serde_json::to_value(document(&routes::all(), "bellwork_session")).unwrap()
    }

    fn verb(method: Method) -> &'static str {
        match method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }

    fn table() -> String {
        let mut table = String::from("| route | for | what it does |\n|---|---|---|\n");
        for path in routes::all() {
            for operation in path.operations() {
                let whom = match operation.access {
                    Access::Anyone => "anyone",
                    Access::SignedIn => "signed in",
                    Access::Admins => "admins",
                };
                let (verb, pattern) = (verb(operation.method), path.pattern());
                writeln!(table, "| `{verb} {pattern}` | {whom} | {} |", operation.summary).unwrap();
            }
        }
        table
    }

    #[test]
    fn the_readme_lists_the_table_of_routes() {
        let readme = std::fs::read_to_string(README).unwrap();
        let (head, rest) = readme.split_once(BEGIN).expect("README.md marks where the routes begin");
        let (listed, tail) = rest.split_once(END).expect("README.md marks where the routes end");
        if std::env::var_os("UPDATE_README").is_some() {
            std::fs::write(README, [head, BEGIN, &table(), END, tail].concat()).unwrap();
            return;
        }
        assert_eq!(listed, table(), "run UPDATE_README=1 cargo test -p bellwork-api the_readme");
    }

    #[test]
    fn the_document_describes_the_table_of_routes_and_nothing_else() {
        let document = written();
        let described: BTreeSet<_> = document["paths"].as_object().unwrap().iter().flat_map(operations).collect();
        let paths = routes::all();
        let of = |path: &Path| {
            let pattern = path.pattern();
            path.operations().iter().map(|o| (pattern.to_owned(), verb(o.method).to_lowercase())).collect::<Vec<_>>()
        };
        let in_table: Vec<_> = paths.iter().flat_map(of).collect();
        assert_eq!(described.len(), in_table.len(), "a path stands in the table twice");
        assert_eq!(described, in_table.into_iter().collect());
    }

    fn operations((path, item): (&String, &serde_json::Value)) -> Vec<(String, String)> {
        item.as_object().unwrap().keys().map(|method| (path.clone(), method.clone())).collect()
    }

    #[test]
    fn operations_have_ids_of_their_own_and_say_what_they_do() {
        let document = written();
        let items = document["paths"].as_object().unwrap().values();
        let mut ids = BTreeSet::new();
        for operation in items.flat_map(|item| item.as_object().unwrap().values()) {
            assert!(ids.insert(operation["operationId"].to_string()), "{operation}");
            assert!(operation["summary"].as_str().unwrap().ends_with('.'), "{operation}");
        }
    }

    #[test]
    fn no_two_types_share_a_name() {
        let mut schemas = BTreeMap::from([("Problem".to_owned(), Problem::schema())]);
        for path in routes::all() {
            for operation in path.operations() {
                let mut description = Description::default();
                (operation.describe)(&mut description);
                for (name, schema) in description.schemas {
                    let known = schemas.entry(name.clone()).or_insert_with(|| schema.clone());
                    assert!(*known == schema, "{name} of {}", path.pattern());
                }
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = written();
        let mut references = Vec::new();
        collect(&document, &mut references);
        assert!(references.len() > 100);
        for reference in references {
            assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
        }
    }

    fn collect(value: &serde_json::Value, references: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(object) => {
                references.extend(object.get("$ref").and_then(|to| to.as_str()).map(ToOwned::to_owned));
                object.values().for_each(|value| collect(value, references));
            }
            serde_json::Value::Array(array) => array.iter().for_each(|value| collect(value, references)),
            _ => {}
        }
    }
}
