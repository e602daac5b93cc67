//! Attempts: handing answers in, and looking at the result.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};
use bellwork_jobs::kinds::grade_attempt::GradeAttempt;
use bellwork_jobs::submit::{Options, new_job};
use bellwork_shared::answers::{self, RawAnswer};
use bellwork_shared::attempts::{self, AttemptStatus, NewAttempt};
use bellwork_shared::idempotency::{self, Answer, Claim, Key};
use bellwork_shared::ids::{AttemptId, JobId, TestId};
use bellwork_shared::ledger::{self, NewJob};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::auth::SignedIn;
use crate::cursor::{Cursors, Page};
use crate::error::{ApiError, InputError};
use crate::input::{self, Body, Id, Object};
use crate::observe::trace_parent;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const MAX_IDEMPOTENCY_KEY: usize = 255;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Submission {
    test_id: TestId,
    answers: Vec<Object<RawAnswer>>,
}

#[derive(Serialize)]
struct Accepted {
    id: AttemptId,
    status: AttemptStatus,
    job_id: JobId,
}

/// `POST /api/attempts`: what is answered with 202 is committed. The push after the commit may fail; the relay pushes then.
pub(super) async fn submit(
    app: web::Data<App>,
    caller: SignedIn,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let key = idempotency_key(request.headers())?;
    let fingerprint = Sha256::digest(body.bytes());
    let key = key.map(|key| Key { user: caller.user.id, route: "POST /api/attempts", key, fingerprint: &fingerprint });
    let checked = check(&app, body.parse()?).await?;
    let id = AttemptId::new();
    let job = grading(id, &caller, &request);

    let mut tx = app.database.begin().await?;
    if let Some(key) = &key {
        let claim = idempotency::claim(&mut tx, key).await?;
        if claim != Claim::Ours {
            // Now and not some time after the answer: until then the key would seem to be in use.
            tx.rollback().await?;
            return answered(claim);
        }
    }
    let accepted = Accepted { id, status: AttemptStatus::Queued, job_id: job.id };
    let answer = Answer { status: 202, location: Some(format!("/api/attempts/{id}")), body: json!(accepted) };
    attempts::insert(&mut tx, &checked.as_attempt(id, &caller, &job)).await?;
    ledger::insert(&mut tx, std::slice::from_ref(&job)).await?;
    if let Some(key) = &key {
        idempotency::keep(&mut tx, key, &answer).await?;
    }
    tx.commit().await?;

    app.push(std::slice::from_ref(&job)).await;
    Ok(response(&answer))
}

/// `GET /api/attempts`, the newest first
pub(super) async fn list(
    app: web::Data<App>,
    caller: SignedIn,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let page: Page = input::query(&request)?;
    let limit = page.limit()?;
    let cursors = Cursors { key: &app.installation().await?.cursor_key, route: "/api/attempts" };
    let before: Option<AttemptId> = cursors.position(&page)?;
    let attempts = attempts::list(&mut *app.database.acquire().await?, caller.user.id, before, limit + 1).await?;
    Ok(HttpResponse::Ok().json(cursors.listed(attempts, limit, |attempt| attempt.id)))
}

/// `GET /api/attempts/{id}`
pub(super) async fn show(app: web::Data<App>, caller: SignedIn, id: Id<AttemptId>) -> Result<HttpResponse, ApiError> {
    let attempt = attempts::find(&mut *app.database.acquire().await?, caller.user.id, id.0).await?;
    attempt.map(|attempt| HttpResponse::Ok().json(attempt)).ok_or(ApiError::NotFound)
}

/// A submission that fits its test.
struct Checked {
    test: TestId,
    answers: Vec<answers::Answer>,
    max_score: bellwork_shared::points::Points,
}

impl Checked {
    fn as_attempt(&self, id: AttemptId, caller: &SignedIn, job: &NewJob) -> NewAttempt<'_> {
        let (user, test, max_score) = (caller.user.id, self.test, self.max_score);
        NewAttempt { id, user, test, job: job.id, answers: &self.answers, max_score }
    }
}

async fn check(app: &App, submission: Submission) -> Result<Checked, ApiError> {
    if submission.answers.is_empty() {
        return Err(ApiError::invalid("/answers", "Answer at least one question."));
    }
    let sheet = app.catalogue.find(submission.test_id).await?;
    let sheet = sheet.ok_or_else(|| ApiError::invalid("/test_id", "There is no such test."))?;
    let raw = submission.answers.into_iter().map(|Object(answer)| answer).collect();
    let answers = answers::parse(raw, &sheet.questions).map_err(|errors| {
        let within = |error: answers::AnswerError| InputError::at(format!("/answers{}", error.pointer), error.detail);
        ApiError::Invalid(errors.into_iter().map(within).collect())
    })?;
    Ok(Checked { test: submission.test_id, answers, max_score: sheet.test.max_score })
}

fn grading(attempt_id: AttemptId, caller: &SignedIn, request: &HttpRequest) -> NewJob {
    let options = Options {
        submitter: Some(caller.user.id),
        group: Some(caller.user.id.to_string()),
        trace_parent: Some(trace_parent(request)),
        ..Options::default()
    };
    new_job(&GradeAttempt { attempt_id }, options)
}

/// The key of the header, quoted (as the draft has it) or bare.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(header) = headers.get(&IDEMPOTENCY_KEY) else { return Ok(None) };
    let text = header.to_str().unwrap_or_default().trim();
    let key = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let visible = key.bytes().all(|c| c.is_ascii_graphic() && c != b'"');
    if (1..=MAX_IDEMPOTENCY_KEY).contains(&key.len()) && visible {
        return Ok(Some(key));
    }
    let detail = format!("The header Idempotency-Key has 1 to {MAX_IDEMPOTENCY_KEY} visible characters.");
    Err(ApiError::invalid("", detail))
}

/// The answer to a request whose key is somebody else's, or has been answered.
fn answered(claim: Claim) -> Result<HttpResponse, ApiError> {
    match claim {
        Claim::Answered(answer) => Ok(replayed(&answer)),
        Claim::OtherRequest => Err(ApiError::KeyReused),
        Claim::Ours | Claim::InProgress => Err(ApiError::StillRunning),
    }
}

fn replayed(answer: &Answer) -> HttpResponse {
    let mut response = response(answer);
    response.headers_mut().insert(IDEMPOTENCY_REPLAYED, header::HeaderValue::from_static("true"));
    response
}

fn response(answer: &Answer) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::build(status);
    if let Some(location) = &answer.location {
        response.insert_header((header::LOCATION, location.as_str()));
    }
    response.json(&answer.body)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn key(value: &str) -> Result<Option<String>, ApiError> {
        let headers = [(IDEMPOTENCY_KEY, HeaderValue::from_str(value).unwrap())].into_iter().collect();
        idempotency_key(&headers).map(|key| key.map(str::to_owned))
    }

    #[test]
    fn a_key_is_quoted_or_bare_and_the_same_either_way() {
        assert_eq!(key("\"abc-1\"").unwrap(), key("abc-1").unwrap());
        assert!(idempotency_key(&HeaderMap::new()).unwrap().is_none());
        for value in ["", "\"\"", "a b", "a\"b", &"x".repeat(256)] {
            assert!(matches!(key(value), Err(ApiError::Invalid(_))), "{value:?}");
        }
    }
}
