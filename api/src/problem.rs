//! What an error looks like to clients: `application/problem+json` (RFC 9457).

use std::ops::RangeInclusive;

use actix_web::HttpResponse;
use actix_web::http::header;
use bellwork_shared::api_tokens::scopes::Scope;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;

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

impl ApiError {
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

    /// The last part of its type, its title and its detail. Types are a contract; the other two are for people.
    pub(crate) fn words(&self) -> (&'static str, &'static str, &'static str) {
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
                "Precondition required",
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
