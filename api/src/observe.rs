//! What happens around every request: its id, its metrics, the one place where an error becomes an answer, and the coding in
//! which that goes out.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse};
use foldhash::fast::RandomState;
use futures_util::FutureExt;
use metrics::Histogram;
use uuid::Uuid;

use crate::compression::compress;
use crate::error::ApiError;
use crate::limits;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_REQUEST_ID: usize = 128;
/// The route of a request that matched none.
const UNMATCHED: &str = "unmatched";

/// Headers of every answer but a 304: no guessing of types, no frames, no addresses to other sites, no use of our answers by them.
static SECURITY_HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
];
/// What an answer to a browser may do, and how long it may be kept: nothing, unless its route says otherwise.
static UNLESS_THE_ROUTE_SAYS: [(HeaderName, HeaderValue); 2] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// The id of a request.
#[derive(Clone, Debug)]
enum RequestId {
    /// The client's own, if it is sane.
    Sent(HeaderValue),
    /// Else a new UUIDv7.
    Made(Uuid),
}

/// The path pattern of a route, for metrics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoutePattern(pub(crate) &'static str);

impl RequestId {
    fn of(headers: &HeaderMap) -> Self {
        match headers.get(&REQUEST_ID).filter(|id| is_sane(id.as_bytes())) {
            Some(id) => Self::Sent(id.clone()),
            None => Self::random(),
        }
    }

    /// By the thread's own generator: `Uuid::now_v7` asks the kernel each time, which costs more than the rest of an id.
    fn random() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let milliseconds = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Self::Made(uuid::Builder::from_unix_timestamp_millis(milliseconds, &rand::random()).into_uuid())
    }

    fn uuid(&self) -> Option<Uuid> {
        match self {
            Self::Sent(id) => Uuid::try_parse_ascii(id.as_bytes()).ok(),
            Self::Made(id) => Some(*id),
        }
    }

    fn header(&self) -> HeaderValue {
        match self {
            Self::Sent(id) => id.clone(),
            Self::Made(id) => HeaderValue::from_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
                .expect("a UUID is a valid header value"),
        }
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sent(id) => f.write_str(id.to_str().unwrap_or_default()),
            Self::Made(id) => id.fmt(f),
        }
    }
}

fn is_sane(id: &[u8]) -> bool {
    (1..=MAX_REQUEST_ID).contains(&id.len()) && id.iter().all(|c| c.is_ascii_alphanumeric() || b"-_.:+/=".contains(c))
}

/// The middleware around all routes.
///
/// # Errors
/// None: each becomes an answer here.
pub(crate) async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    let answered = AssertUnwindSafe(next.call(request)).catch_unwind().await;
    let Ok(answered) = answered else { return Err(panicked(uri.path(), &id)) };
    let answer = answered?.map_into_boxed_body();
    let route = answer.request().app_data::<RoutePattern>().map_or(UNMATCHED, |pattern| pattern.0);
    let (request, response) = answer.into_parts();
    let mut response = finish(response, uri.path(), &id);
    limits::add_headers(&request, response.headers_mut());
    record(route, name(&method), response.status(), started.elapsed());
    Ok(compress(ServiceResponse::new(request, response)).await)
}

thread_local! {
    /// The histograms that this thread has recorded in: looking one up by its labels costs four times as much.
    static HISTOGRAMS: RefCell<HashMap<(&'static str, &'static str, StatusCode), Histogram, RandomState>> =
        RefCell::default();
}

fn record(route: &'static str, method: &'static str, status: StatusCode, took: Duration) {
    let look_up = || {
        let status = status.as_str().to_owned();
        metrics::histogram!("bellwork_http_request_seconds", "route" => route, "method" => method, "status" => status)
    };
    HISTOGRAMS.with_borrow_mut(|known| known.entry((route, method, status)).or_insert_with(look_up).record(took));
}

/// Turns an error into a problem, logs its cause, and adds the headers that answers have.
fn finish(mut response: HttpResponse, path: &str, id: &RequestId) -> HttpResponse {
    if let Some(error) = response.error() {
        let framework;
        let error = if let Some(error) = error.as_error::<ApiError>() {
            error
        } else {
            framework = ApiError::Framework(error.as_response_error().status_code());
            &framework
        };
        if let Some(cause) = error.cause() {
            tracing::error!(request = %id, path, cause = format!("{cause:#}"), "{error}");
        }
        response = error.respond(path);
    }
    add_headers(&mut response, id);
    response
}

/// A client that has an answer keeps the headers that came with it (RFC 9111, 4.3.4): a 304 does not repeat them.
fn add_headers(response: &mut HttpResponse, id: &RequestId) {
    let is_unchanged = response.status() == StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.header());
    if is_unchanged {
        return;
    }
    for (name, value) in &SECURITY_HEADERS {
        headers.insert(name.clone(), value.clone());
    }
    for (name, value) in &UNLESS_THE_ROUTE_SAYS {
        if !headers.contains_key(name) {
            headers.insert(name.clone(), value.clone());
        }
    }
}

/// The panic's message is on standard error already; the client learns nothing of it.
fn panicked(path: &str, id: &RequestId) -> Error {
    let error = ApiError::Internal(anyhow::anyhow!("a handler panicked"));
    tracing::error!(request = %id, path, "a handler panicked");
    let mut response = error.respond(path);
    add_headers(&mut response, id);
    actix_web::error::InternalError::from_response("a handler panicked", response).into()
}

/// Only methods that some route takes, so that a client cannot invent labels.
fn name(method: &actix_web::http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "OTHER",
    }
}

/// The W3C trace context for what `request` causes: the caller's trace if it sent one, else one made of the request's id.
#[must_use]
pub(crate) fn trace_parent(request: &HttpRequest) -> String {
    let sent = request.headers().get("traceparent").and_then(|value| value.to_str().ok()).and_then(trace_of);
    let trace = sent.unwrap_or_else(|| {
        let extensions = request.extensions();
        let id = extensions.get::<RequestId>().and_then(RequestId::uuid);
        id.unwrap_or_else(Uuid::now_v7).simple().to_string()
    });
    format!("00-{trace}-{:016x}-01", rand::random_range(1..=u64::MAX))
}

/// The trace id of a well-formed `traceparent` of version 00.
fn trace_of(header: &str) -> Option<String> {
    let mut parts = header.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
    };
    let well_formed = version == "00" && hex(trace, 32) && hex(parent, 16) && hex(flags, 2) && parts.next().is_none();
    let zero = |text: &str| text.bytes().all(|c| c == b'0');
    (well_formed && !zero(trace) && !zero(parent)).then(|| trace.to_owned())
}

#[cfg(test)]
mod tests {
    use actix_web::middleware::from_fn;
    use actix_web::{App, test, web};

    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_problem_that_tells_nothing() {
        let handler = web::get().to(async || -> HttpResponse { panic!("the secret") });
        let app = test::init_service(App::new().route("/here", handler).wrap(from_fn(observe))).await;
        let request = test::TestRequest::get().uri("/here").to_request();
        let response = test::try_call_service(&app, request).await.unwrap_err().error_response();
        assert_eq!(response.status(), 500);
        assert!(response.headers().contains_key(REQUEST_ID));
        let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&problem["instance"], &problem["status"]), (&"/here".into(), &500.into()));
        assert!(!problem.to_string().contains("secret"));
    }

    #[test]
    fn only_a_well_formed_trace_is_continued() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(trace_of(&format!("00-{trace}-00f067aa0ba902b7-01")).as_deref(), Some(trace));
        for header in [
            "",
            "00",
            &format!("01-{trace}-00f067aa0ba902b7-01"),
            &format!("00-{trace}-0000000000000000-01"),
            "00-x-y-z",
        ] {
            assert_eq!(trace_of(header), None, "{header}");
        }
    }

    #[test]
    fn a_request_without_an_id_gets_one_of_its_own() {
        let ids = [0; 2].map(|_| RequestId::of(&HeaderMap::new()));
        let [one, other] = ids.map(|id| id.uuid().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.get_version_num(), 7);
        let (seconds, _) = one.get_timestamp().unwrap().to_unix();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!(now.abs_diff(seconds) <= 1, "{one}");
    }

    #[test]
    fn a_request_id_is_short_and_printable() {
        assert!(is_sane(b"01890a5d-ac96-774b-bcce-b302099a8057"));
        for id in [&b""[..], b"a b", b"a\"b", &[b'a'; 129]] {
            assert!(!is_sane(id));
        }
    }
}
