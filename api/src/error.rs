//! How errors are treated.
//!
//! Everything that can go wrong while a request is answered becomes one [`ApiError`]. Each variant has a status and a
//! sentence for the client; what caused it stays inside. [`crate::observe`] is the only place that turns it into an
//! answer: there the cause is logged, once, beside the request's id, and the client gets `application/problem+json`
//! (RFC 9457) without it. Below the handlers, functions return the errors of their crates and `?` converts: a database
//! that may come back is 503, any other failure 500. Nothing is logged on the way up.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use bellwork_jobs::steering::Refusal;
use bellwork_shared::api_tokens::scopes::Scope;
use bellwork_shared::cache::Failed;
use bellwork_shared::database::{is_transient, took_too_long};
use serde::Serialize;
use utoipa::ToSchema;

use crate::limits::Exceeded;
use crate::throttle::Wait;

/// What is sent as `Content-Type` of a problem.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";
/// Before the name of a type of problem that is ours.
const OURS: &str = "urn:bellwork:problem:";
/// Before the name of a type of problem that everybody knows.
const REGISTERED: &str = "https://iana.org/assignments/http-problem-types#";
/// How long a client is asked to wait while there is too much to do or a store is away, in seconds: random, so that
/// clients do not all come back at once.
const COME_BACK_SECONDS: RangeInclusive<u64> = 1..=4;
/// How long a client is asked to wait for the answer to its own request, in seconds.
const STILL_RUNNING_SECONDS: u64 = 1;

/// A part of the input that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct InputError {
    /// A JSON pointer into the body, or `/` and the name of a query parameter; empty: the whole.
    pub(crate) pointer: String,
    /// A sentence for the client.
    pub(crate) detail: String,
}

impl InputError {
    /// What is wrong at `pointer`.
    pub(crate) fn at(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

/// Why a request is not answered as asked.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// 400: the body is not JSON.
    Malformed(InputError),
    /// 401: nobody is signed in.
    Unauthenticated,
    /// 401: the address and the password do not belong together.
    WrongCredentials,
    /// 403: signed in, but not allowed to.
    Forbidden(&'static str),
    /// 403: the password at this place of the body is not the caller's.
    NotYourPassword(&'static str),
    /// 403: the API token may not do this; with this scope it might, or no token may.
    OutOfScope(Option<Scope>),
    /// 404: not found, or somebody else's.
    NotFound,
    /// 404: the body or the query names something that is not there.
    Missing(Vec<InputError>),
    /// 405, with the methods that are allowed.
    MethodNotAllowed(HeaderValue),
    /// 409: the thing is not in a state for this.
    Conflict(&'static str),
    /// 409: each part can be used, but not with what is there, or not with each other.
    Unfitting(Vec<InputError>),
    /// 409: another student has registered with this address.
    EmailTaken,
    /// 409: a request with this idempotency key is being worked on.
    StillRunning,
    /// 409: the test has a time limit and was not started.
    SittingRequired,
    /// 409: the sitting has ended, or its time is over.
    SittingOver,
    /// 412: the thing was changed since it was read.
    Stale,
    /// 413: the body is too large.
    TooLarge,
    /// 415: the body is not announced as JSON.
    NotJson,
    /// 415: the body is not announced as a file of questions.
    NotAFile,
    /// 422: understood, but wrong.
    Invalid(Vec<InputError>),
    /// 422: the idempotency key was used with another body.
    KeyReused,
    /// 429: too many attempts at a password, or at what is registered; this long to wait.
    TooManyAttempts(Duration),
    /// 422: the request does not say which revision it means to change.
    RevisionRequired,
    /// Another status that the web framework chose, such as 400 for a body that broke off.
    Framework(StatusCode),
    /// 429: too many requests.
    QuotaExceeded(Exceeded),
    /// 503: overloaded.
    Overloaded,
    /// 503: a store is unavailable for now.
    Unavailable(anyhow::Error),
    /// 500: a mistake of ours.
    Internal(anyhow::Error),
}

/// The body of every answer that is an error (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [InputError],
    /// The limits that the request would exceed.
    #[serde(rename = "violated-policies", skip_serializing_if = "<[_]>::is_empty")]
    violated_policies: &'a [&'a str],
}

impl ApiError {
    /// Wrong input at one place.
    pub(crate) fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![InputError::at(pointer, detail)])
    }

    /// Something at one place of the input that is not there.
    pub(crate) fn missing(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Missing(vec![InputError::at(pointer, detail)])
    }

    /// Something at one place of the input that does not fit what is there.
    pub(crate) fn unfitting(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Unfitting(vec![InputError::at(pointer, detail)])
    }

    /// The answer to a request for the path `instance`.
    #[must_use]
    pub(crate) fn respond(&self, instance: &str) -> HttpResponse {
        let (name, title, detail) = self.words();
        let status = self.status();
        let (taken, unproved);
        let errors = match self {
            Self::Invalid(errors) | Self::Missing(errors) | Self::Unfitting(errors) => &errors[..],
            Self::Malformed(error) => std::slice::from_ref(error),
            Self::NotYourPassword(pointer) => {
                unproved = [InputError::at(*pointer, "This is not your password.")];
                &unproved
            }
            Self::EmailTaken => {
                taken = [InputError::at("/email", "This address is registered already.")];
                &taken
            }
            _ => &[],
        };
        let registered = matches!(self, Self::QuotaExceeded(_) | Self::Overloaded);
        let kind = format!("{}{name}", if registered { REGISTERED } else { OURS });
        let violated_policies = if let Self::QuotaExceeded(exceeded) = self { &exceeded.policies[..] } else { &[] };
        let problem = Problem { kind, title, status: status.as_u16(), detail, instance, errors, violated_policies };
        let mut response = HttpResponse::build(status);
        response.insert_header((header::CONTENT_TYPE, PROBLEM_JSON));
        match self {
            Self::Unauthenticated | Self::WrongCredentials => {
                response.insert_header((header::WWW_AUTHENTICATE, "Bearer"))
            }
            Self::OutOfScope(scope) => response.insert_header((header::WWW_AUTHENTICATE, insufficient_scope(*scope))),
            Self::TooManyAttempts(wait) => {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                response.insert_header((header::RETRY_AFTER, seconds.max(1).to_string()))
            }
            Self::MethodNotAllowed(allow) => response.insert_header((header::ALLOW, allow.clone())),
            Self::QuotaExceeded(exceeded) => response.insert_header((header::RETRY_AFTER, exceeded.retry_after)),
            Self::Overloaded | Self::Unavailable(_) => {
                response.insert_header((header::RETRY_AFTER, rand::random_range(COME_BACK_SECONDS)))
            }
            Self::StillRunning => response.insert_header((header::RETRY_AFTER, STILL_RUNNING_SECONDS)),
            _ => &mut response,
        };
        response.body(serde_json::to_vec(&problem).expect("a problem holds only strings and a number"))
    }

    /// What went wrong inside, for the log.
    #[must_use]
    pub(crate) fn cause(&self) -> Option<&anyhow::Error> {
        match self {
            Self::Unavailable(cause) | Self::Internal(cause) => Some(cause),
            _ => None,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Unauthenticated | Self::WrongCredentials => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::NotYourPassword(_) | Self::OutOfScope(_) => StatusCode::FORBIDDEN,
            Self::NotFound | Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_)
            | Self::Unfitting(_)
            | Self::EmailTaken
            | Self::StillRunning
            | Self::SittingRequired
            | Self::SittingOver => StatusCode::CONFLICT,
            Self::Stale => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJson | Self::NotAFile => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid(_) | Self::KeyReused | Self::RevisionRequired => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyAttempts(_) | Self::QuotaExceeded(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Framework(status) => *status,
            Self::Overloaded | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The last part of its type, its title and its detail. Types are a contract; the other two are for people.
    fn words(&self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Malformed(_) => ("malformed-json", "Malformed JSON", "The body is not JSON."),
            Self::Unauthenticated => {
                ("unauthenticated", "Not signed in", "Sign in and send the token, or let your session cookie do so.")
            }
            Self::WrongCredentials => (
                "wrong-credentials",
                "Wrong address or password",
                "The address and the password do not belong together.",
            ),
            Self::Forbidden(detail) => ("forbidden", "Not allowed", detail),
            Self::NotYourPassword(_) => {
                ("wrong-password", "Wrong password", "This needs your own password; see errors.")
            }
            Self::OutOfScope(Some(_)) => (
                "out-of-scope",
                "Not allowed with this token",
                "The API token lacks a scope; the header WWW-Authenticate names it.",
            ),
            Self::OutOfScope(None) => {
                ("out-of-scope", "Not allowed with a token", "This needs a session; no API token may do it.")
            }
            Self::NotFound | Self::Missing(_) => ("not-found", "Not found", "Not found, or not yours."),
            Self::MethodNotAllowed(_) => {
                ("method-not-allowed", "Method not allowed", "This path takes other methods; see the header Allow.")
            }
            Self::Conflict(detail) => ("conflict", "Conflict", detail),
            Self::Unfitting(_) => (
                "does-not-fit",
                "Does not fit",
                "Some of the input does not fit what is there, or the rest; see errors.",
            ),
            Self::EmailTaken => ("email-taken", "Address taken", "Somebody has registered with this address."),
            Self::StillRunning => (
                "idempotency-key-in-use",
                "Still running",
                "A request with this idempotency key is still running; try again.",
            ),
            Self::SittingRequired => {
                ("sitting-required", "Not started", "This test has a time limit: start it, and hand in while it runs.")
            }
            Self::SittingOver => ("sitting-over", "Time is over", "This sitting has ended, or its time is over."),
            Self::Stale => ("stale-revision", "Changed meanwhile", "It was changed since you read it; read it again."),
            Self::RevisionRequired => (
                "revision-required",
                "Which revision?",
                "Send the ETag that you have read in the header If-Match, so that nobody's work is lost.",
            ),
            Self::TooLarge => ("too-large", "Too large", "The body is larger than this path takes."),
            Self::NotJson => ("not-json", "Unsupported media type", "Send application/json."),
            Self::NotAFile => (
                "not-a-file-of-questions",
                "Unsupported media type",
                "Send text/plain, text/csv, application/xml or application/json.",
            ),
            Self::Invalid(_) => ("invalid-input", "Invalid input", "Some of the input cannot be used; see errors."),
            Self::KeyReused => (
                "idempotency-key-reused",
                "Idempotency key reused",
                "This idempotency key was used with another body; choose a new one.",
            ),
            Self::TooManyAttempts(_) => (
                "too-many-attempts",
                "Too many attempts",
                "There were too many failed attempts; wait as long as the header Retry-After says.",
            ),
            Self::Framework(_) => ("bad-request", "Bad request", "The request cannot be understood."),
            Self::QuotaExceeded(_) => {
                ("quota-exceeded", "Too many requests", "Too many requests; see Retry-After and violated-policies.")
            }
            Self::Overloaded => {
                ("temporary-reduced-capacity", "Too busy", "The service is overloaded; see Retry-After.")
            }
            Self::Unavailable(_) => ("unavailable", "Unavailable", "A dependency is unavailable; try again."),
            Self::Internal(_) => ("internal", "Internal error", "Something went wrong here; it has been noted."),
        }
    }
}

/// The challenge of RFC 6750, 3.1.
fn insufficient_scope(scope: Option<Scope>) -> String {
    let scope = scope.map(|scope| format!(", scope=\"{}\"", scope.name())).unwrap_or_default();
    format!("Bearer error=\"insufficient_scope\"{scope}")
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words().1)
    }
}

/// So that handlers can return it. The answer made here names no instance; [`crate::observe`] makes it again with one.
impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse {
        self.respond("")
    }
}

/// So that a load can fail with it, and all who wait for the load.
impl std::error::Error for ApiError {}

/// All who waited for the same load are told the same.
impl From<Failed> for ApiError {
    fn from(failed: Failed) -> Self {
        let cause = failed.cause();
        let again = anyhow::anyhow!("{cause:#}");
        match (cause.downcast_ref::<Self>(), cause.downcast_ref::<sqlx::Error>()) {
            (Some(Self::Overloaded), _) => Self::Overloaded,
            (Some(Self::Unavailable(cause)), _) => Self::Unavailable(anyhow::anyhow!("{cause:#}")),
            (Some(Self::Internal(cause)), _) => Self::Internal(anyhow::anyhow!("{cause:#}")),
            (_, Some(sqlx::Error::PoolTimedOut)) => Self::Overloaded,
            (_, Some(error)) if is_transient(error) || took_too_long(error) => Self::Unavailable(again),
            _ if cause.is::<tokio::time::error::Elapsed>() => Self::Unavailable(again),
            _ => Self::Internal(again),
        }
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            error if names_a_user_that_is_gone(&error) => Self::Unauthenticated,
            sqlx::Error::PoolTimedOut => Self::Overloaded,
            error if is_transient(&error) || took_too_long(&error) => Self::Unavailable(error.into()),
            error => Self::Internal(error.into()),
        }
    }
}

/// A request can outlive its caller, who is being erased; by its next one they are nobody.
fn names_a_user_that_is_gone(error: &sqlx::Error) -> bool {
    let refused = error.as_database_error().filter(|error| error.is_foreign_key_violation());
    refused.and_then(|error| error.constraint()).is_some_and(|constraint| constraint.ends_with("user_id_fkey"))
}

impl From<bellwork_queue::Error> for ApiError {
    fn from(error: bellwork_queue::Error) -> Self {
        if error.is_transient() { Self::Unavailable(error.into()) } else { Self::Internal(error.into()) }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown(_) => Self::NotFound,
            Refusal::NotGivenUp(_) => Self::Conflict("Only a dead or cancelled job can be retried."),
            Refusal::Ended => Self::Conflict("The job has ended."),
            Refusal::Running => Self::Conflict("The job is running."),
            Refusal::Unreadable(_) => Self::Conflict("This release cannot read the job."),
            Refusal::Database(error) => error.into(),
            Refusal::Queue(error) => error.into(),
        }
    }
}

impl From<Wait> for ApiError {
    fn from(Wait(wait): Wait) -> Self {
        Self::TooManyAttempts(wait)
    }
}

impl From<anyhow::Error> for ApiError {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}
