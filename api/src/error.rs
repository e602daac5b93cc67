//! How errors are treated.
//!
//! Everything that can go wrong while a request is answered becomes one [`ApiError`]. Each variant has a status and a
//! sentence for the client; what caused it stays inside. [`crate::observe`] is the only place that turns it into an
//! answer: there the cause is logged, once, beside the request's id, and the client gets `application/problem+json`
//! (RFC 9457) without it. Below the handlers, functions return the errors of their crates and `?` converts: a database
//! that may come back is 503, any other failure 500. Nothing is logged on the way up.

use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderValue;
use actix_web::{HttpResponse, ResponseError};
use bellwork_jobs::steering::Refusal;
use bellwork_shared::api_tokens::scopes::Scope;
use bellwork_shared::cache::Failed;
use bellwork_shared::database::{is_transient, took_too_long};

use crate::limits::Exceeded;
use crate::problem::InputError;
use crate::throttle::Wait;

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

    /// What went wrong inside, for the log.
    #[must_use]
    pub(crate) fn cause(&self) -> Option<&anyhow::Error> {
        match self {
            Self::Unavailable(cause) | Self::Internal(cause) => Some(cause),
            _ => None,
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().title)
    }
}

/// So that handlers can return it. The answer made here names no instance; [`crate::observe`] makes it again with one.
impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.kind().status
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
