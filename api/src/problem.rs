//! What an error looks like to clients: `application/problem+json` (RFC 9457).

mod kinds;

use std::ops::RangeInclusive;

use actix_web::HttpResponse;
use actix_web::http::header;
use bellwork_shared::api_tokens::scopes::Scope;
use serde::Serialize;
use utoipa::ToSchema;

use self::kinds::Kind;
use crate::error::ApiError;

/// What is sent as `Content-Type` of a problem.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";
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
        let Kind { status, vocabulary, name, title, detail } = self.kind();
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
        let kind = format!("{vocabulary}{name}");
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
}

/// The challenge of RFC 6750, 3.1.
fn insufficient_scope(scope: Option<Scope>) -> String {
    let scope = scope.map(|scope| format!(", scope=\"{}\"", scope.name())).unwrap_or_default();
    format!("Bearer error=\"insufficient_scope\"{scope}")
}
