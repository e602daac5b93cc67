//! The kinds of problems: the status of each, and its words. Types are a contract; titles and details are for people.

use actix_web::http::StatusCode;

use crate::error::ApiError;

/// Before the name of a type of problem that is ours.
const OURS: &str = "urn:bellwork:problem:";
/// Before the name of a type of problem that everybody knows.
const REGISTERED: &str = "https://iana.org/assignments/http-problem-types#";

/// One kind of problem.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// The status of the answer.
    pub(crate) status: StatusCode,
    /// Who has named it, as the beginning of its type.
    pub(crate) vocabulary: &'static str,
    /// The rest of its type.
    pub(crate) name: &'static str,
    /// What it is, in some words.
    pub(crate) title: &'static str,
    /// What to do about it, in a sentence.
    pub(crate) detail: &'static str,
}

impl Kind {
    fn saying(self, detail: &'static str) -> Self {
        Self { detail, ..self }
    }
}

const fn ours(status: StatusCode, name: &'static str, title: &'static str, detail: &'static str) -> Kind {
    Kind { status, vocabulary: OURS, name, title, detail }
}

const fn registered(status: StatusCode, name: &'static str, title: &'static str, detail: &'static str) -> Kind {
    Kind { status, vocabulary: REGISTERED, name, title, detail }
}

const MALFORMED: Kind = ours(StatusCode::BAD_REQUEST, "malformed-json", "Malformed JSON", "The body is not JSON.");
const FRAMEWORK: Kind =
    ours(StatusCode::BAD_REQUEST, "bad-request", "Bad request", "The request cannot be understood.");
const UNAUTHENTICATED: Kind = ours(
    StatusCode::UNAUTHORIZED,
    "unauthenticated",
    "Not signed in",
    "Sign in and send the token, or let your session cookie do so.",
);
const WRONG_CREDENTIALS: Kind = ours(
    StatusCode::UNAUTHORIZED,
    "wrong-credentials",
    "Wrong address or password",
    "The address and the password do not belong together.",
);
const FORBIDDEN: Kind = ours(StatusCode::FORBIDDEN, "forbidden", "Not allowed", "");
const NOT_YOUR_PASSWORD: Kind =
    ours(StatusCode::FORBIDDEN, "wrong-password", "Wrong password", "This needs your own password; see errors.");
const OUT_OF_SCOPE: Kind = ours(
    StatusCode::FORBIDDEN,
    "out-of-scope",
    "Not allowed with this token",
    "The API token lacks a scope; the header WWW-Authenticate names it.",
);
const NO_TOKEN: Kind = ours(
    StatusCode::FORBIDDEN,
    "out-of-scope",
    "Not allowed with a token",
    "This needs a session; no API token may do it.",
);
const NOT_FOUND: Kind = ours(StatusCode::NOT_FOUND, "not-found", "Not found", "Not found, or not yours.");
const METHOD_NOT_ALLOWED: Kind = ours(
    StatusCode::METHOD_NOT_ALLOWED,
    "method-not-allowed",
    "Method not allowed",
    "This path takes other methods; see the header Allow.",
);
const CONFLICT: Kind = ours(StatusCode::CONFLICT, "conflict", "Conflict", "");
const UNFITTING: Kind = ours(
    StatusCode::CONFLICT,
    "does-not-fit",
    "Does not fit",
    "Some of the input does not fit what is there, or the rest; see errors.",
);
const EMAIL_TAKEN: Kind =
    ours(StatusCode::CONFLICT, "email-taken", "Address taken", "Somebody has registered with this address.");
const STILL_RUNNING: Kind = ours(
    StatusCode::CONFLICT,
    "idempotency-key-in-use",
    "Still running",
    "A request with this idempotency key is still running; try again.",
);
const SITTING_REQUIRED: Kind = ours(
    StatusCode::CONFLICT,
    "sitting-required",
    "Not started",
    "This test has a time limit: start it, and hand in while it runs.",
);
const SITTING_OVER: Kind =
    ours(StatusCode::CONFLICT, "sitting-over", "Time is over", "This sitting has ended, or its time is over.");
const STALE: Kind = ours(
    StatusCode::PRECONDITION_FAILED,
    "stale-revision",
    "Changed meanwhile",
    "It was changed since you read it; read it again.",
);
const TOO_LARGE: Kind =
    ours(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Too large", "The body is larger than this path takes.");
const NOT_JSON: Kind =
    ours(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", "Unsupported media type", "Send application/json.");
const NOT_A_FILE: Kind = ours(
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    "not-a-file-of-questions",
    "Unsupported media type",
    "Send text/plain, text/csv, application/xml or application/json.",
);
const INVALID: Kind = ours(
    StatusCode::UNPROCESSABLE_ENTITY,
    "invalid-input",
    "Invalid input",
    "Some of the input cannot be used; see errors.",
);
const KEY_REUSED: Kind = ours(
    StatusCode::UNPROCESSABLE_ENTITY,
    "idempotency-key-reused",
    "Idempotency key reused",
    "This idempotency key was used with another body; choose a new one.",
);
const REVISION_REQUIRED: Kind = ours(
    StatusCode::UNPROCESSABLE_ENTITY,
    "revision-required",
    "Precondition required",
    "Send the ETag that you have read in the header If-Match, so that nobody's work is lost.",
);
const TOO_MANY_ATTEMPTS: Kind = ours(
    StatusCode::TOO_MANY_REQUESTS,
    "too-many-attempts",
    "Too many attempts",
    "There were too many failed attempts; wait as long as the header Retry-After says.",
);
const QUOTA_EXCEEDED: Kind = registered(
    StatusCode::TOO_MANY_REQUESTS,
    "quota-exceeded",
    "Too many requests",
    "Too many requests; see Retry-After and violated-policies.",
);
const OVERLOADED: Kind = registered(
    StatusCode::SERVICE_UNAVAILABLE,
    "temporary-reduced-capacity",
    "Too busy",
    "The service is overloaded; see Retry-After.",
);
const UNAVAILABLE: Kind =
    ours(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Unavailable", "A dependency is unavailable; try again.");
const INTERNAL: Kind = ours(
    StatusCode::INTERNAL_SERVER_ERROR,
    "internal",
    "Internal error",
    "Something went wrong here; it has been noted.",
);

impl ApiError {
    /// Which kind of problem it is.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Malformed(_) => MALFORMED,
            Self::Unauthenticated => UNAUTHENTICATED,
            Self::WrongCredentials => WRONG_CREDENTIALS,
            Self::Forbidden(detail) => FORBIDDEN.saying(detail),
            Self::NotYourPassword(_) => NOT_YOUR_PASSWORD,
            Self::OutOfScope(Some(_)) => OUT_OF_SCOPE,
            Self::OutOfScope(None) => NO_TOKEN,
            Self::NotFound | Self::Missing(_) => NOT_FOUND,
            Self::MethodNotAllowed(_) => METHOD_NOT_ALLOWED,
            Self::Conflict(detail) => CONFLICT.saying(detail),
            Self::Unfitting(_) => UNFITTING,
            Self::EmailTaken => EMAIL_TAKEN,
            Self::StillRunning => STILL_RUNNING,
            Self::SittingRequired => SITTING_REQUIRED,
            Self::SittingOver => SITTING_OVER,
            Self::Stale => STALE,
            Self::TooLarge => TOO_LARGE,
            Self::NotJson => NOT_JSON,
            Self::NotAFile => NOT_A_FILE,
            Self::Invalid(_) => INVALID,
            Self::KeyReused => KEY_REUSED,
            Self::TooManyAttempts(_) => TOO_MANY_ATTEMPTS,
            Self::RevisionRequired => REVISION_REQUIRED,
            Self::Framework(status) => Kind { status: *status, ..FRAMEWORK },
            Self::QuotaExceeded(_) => QUOTA_EXCEEDED,
            Self::Overloaded => OVERLOADED,
            Self::Unavailable(_) => UNAVAILABLE,
            Self::Internal(_) => INTERNAL,
        }
    }
}
