//! Attempts: handing answers in, and looking at the result.

use actix_web::{HttpRequest, web};
use bellwork_jobs::kinds::grade_attempt::GradeAttempt;
use bellwork_jobs::submit::{Options, new_job};
use bellwork_shared::answers::{self, RawAnswer};
use bellwork_shared::attempts::{self, Attempt, AttemptStatus, NewAttempt};
use bellwork_shared::idempotency::Answer;
use bellwork_shared::ids::{AttemptId, JobId, TestId};
use bellwork_shared::ledger::{self, NewJob};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::SignedIn;
use crate::cursor::{Cursors, Listed, Page};
use crate::error::{ApiError, InputError};
use crate::idempotency::{Effect, IdempotencyKey, Once, Remembered, once};
use crate::input::{Body, Id, Object, Query};
use crate::observe::trace_parent;
use crate::reply::{Accepted, Json};

/// The answers to a test.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Submission {
    test_id: TestId,
    /// At least one.
    #[schema(min_items = 1, value_type = Vec<RawAnswer>)]
    answers: Vec<Object<RawAnswer>>,
}

/// An attempt that waits to be graded.
#[derive(Serialize, ToSchema)]
pub(super) struct Submitted {
    id: AttemptId,
    status: AttemptStatus,
    job_id: JobId,
}

/// `POST /api/attempts`: what is answered with 202 is committed. The push after the commit may fail; the relay pushes then.
pub(super) async fn submit(
    app: web::Data<App>,
    caller: SignedIn,
    request: HttpRequest,
    key: IdempotencyKey,
    body: Body<Submission>,
) -> Result<Remembered<Accepted<Submitted>>, ApiError> {
    let checked = check(&app, body.value).await?;
    let id = AttemptId::new();
    let job = grading(id, &caller, &request);
    let submitted = Submitted { id, status: AttemptStatus::Queued, job_id: job.id };
    let answer = Answer { status: 202, location: Some(format!("/api/attempts/{id}")), body: json!(submitted) };
    let once_only = Once { caller: &caller, route: "POST /api/attempts", key: &key, body: &body.bytes };
    once(&app, once_only, async |conn| {
        attempts::insert(conn, &checked.as_attempt(id, &caller, &job)).await?;
        ledger::insert(conn, std::slice::from_ref(&job)).await?;
        Ok(Effect { answer, jobs: vec![job] })
    })
    .await
}

/// `GET /api/attempts`, the newest first
pub(super) async fn list(
    app: web::Data<App>,
    caller: SignedIn,
    page: Query<Page>,
) -> Result<Json<Listed<Attempt>>, ApiError> {
    let limit = page.0.limit()?;
    let cursors = Cursors::of(&app, "/api/attempts").await?;
    let before: Option<AttemptId> = cursors.position(&page.0)?;
    let attempts = attempts::list(&mut *app.database.acquire().await?, caller.user.id, before, limit + 1).await?;
    Ok(Json(cursors.listed(attempts, limit, |attempt| attempt.id)))
}

/// `GET /api/attempts/{id}`
pub(super) async fn show(app: web::Data<App>, caller: SignedIn, id: Id<AttemptId>) -> Result<Json<Attempt>, ApiError> {
    let attempt = attempts::find(&mut *app.database.acquire().await?, caller.user.id, id.0).await?;
    attempt.map(Json).ok_or(ApiError::NotFound)
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
    let sheet = sheet.ok_or_else(|| ApiError::missing("/test_id", "There is no such test."))?;
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
