//! Attempts: handing answers in, and looking at the result.

use actix_web::{HttpRequest, web};
use bellwork_jobs::kinds::grade_attempt::GradeAttempt;
use bellwork_jobs::submit::{Options, new_job};
use bellwork_shared::answers::{Answer, RawAnswer};
use bellwork_shared::attempts::{self, Attempt, AttemptStatus, NewAttempt, Sat};
use bellwork_shared::idempotency;
use bellwork_shared::ids::{AttemptId, JobId, SittingId, TestId};
use bellwork_shared::ledger::{self, NewJob};
use bellwork_shared::reviews::{self, Review};
use bellwork_shared::sittings::{self, Taking};
use bellwork_shared::versions::Taken;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::caller::SignedIn;
use crate::cursor::{Cursors, Listed, Page};
use crate::error::ApiError;
use crate::idempotency::{Effect, IdempotencyKey, Once, Remembered, once};
use crate::input::{Body, Id, Object, Query};
use crate::observe::trace_parent;
use crate::paper::Paper;
use crate::reply::{Accepted, Json};

/// The answers to a test.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Submission {
    /// The test; for a practice set its own id.
    test_id: TestId,
    /// The sitting, for a test with a time limit; without it the one that runs.
    sitting_id: Option<SittingId>,
    /// At least one.
    #[schema(min_items = 1, max_items = 500, value_type = Vec<RawAnswer>)]
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
    // What is wrong counts only if the request was not answered before: its sitting has ended then, and rightly.
    let checked = match check(&app, &caller, body.value).await {
        Err(busy @ (ApiError::Overloaded | ApiError::Unavailable(_))) => return Err(busy),
        checked => checked,
    };
    let id = AttemptId::new();
    let job = grading(id, &caller, &request);
    let submitted = Submitted { id, status: AttemptStatus::Queued, job_id: job.id };
    let answer =
        idempotency::Answer { status: 202, location: Some(format!("/api/attempts/{id}")), body: json!(submitted) };
    let once_only = Once { caller: &caller, route: "POST /api/attempts", key: &key, body: &body.bytes };
    once(&app, once_only, async |conn| {
        let checked = checked?;
        let sat = checked.end_sitting(conn, id).await?;
        attempts::insert(conn, &checked.as_attempt(id, &caller, &job, sat)).await?;
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
    let list = async |conn: &mut PgConnection| attempts::list(conn, caller.user.id, before, limit + 1).await;
    let attempts = app.read(caller.reader(), list).await?;
    Ok(Json(cursors.listed(attempts, limit, |attempt| attempt.id)))
}

/// `GET /api/attempts/{id}`
pub(super) async fn show(app: web::Data<App>, caller: SignedIn, id: Id<AttemptId>) -> Result<Json<Attempt>, ApiError> {
    let find = async |conn: &mut PgConnection| attempts::find(conn, caller.user.id, id.0).await;
    let attempt = app.read(caller.reader(), find).await?;
    attempt.map(Json).ok_or(ApiError::NotFound)
}

/// `GET /api/attempts/{id}/review`: with the texts and keys of the version that was taken.
pub(super) async fn review(app: web::Data<App>, caller: SignedIn, id: Id<AttemptId>) -> Result<Json<Review>, ApiError> {
    let find = async |conn: &mut PgConnection| reviews::find(conn, caller.user.id, id.0).await;
    let attempt = app.read(caller.reader(), find).await?;
    let attempt = attempt.ok_or(ApiError::NotFound)?;
    if attempt.status != AttemptStatus::Graded {
        return Err(ApiError::Conflict("The attempt is not graded yet."));
    }
    let sheet = app.catalogue.taken(attempt.taken).await?.ok_or(ApiError::NotFound)?;
    Ok(Json(reviews::review(id.0, attempt, &sheet)))
}

/// A submission that fits what was taken.
struct Checked {
    paper: Paper,
    answers: Vec<Answer>,
}

impl Checked {
    /// Ends the sitting with the attempt, unless there is none.
    async fn end_sitting(&self, conn: &mut PgConnection, attempt: AttemptId) -> Result<Option<Sat>, ApiError> {
        let Some(sitting) = self.paper.sitting else { return Ok(None) };
        match sittings::hand_in(conn, sitting, attempt).await? {
            Taking::Taken(punctuality) => Ok(Some(Sat { sitting, punctuality })),
            Taking::Over => Err(ApiError::SittingOver),
        }
    }

    fn as_attempt(&self, id: AttemptId, caller: &SignedIn, job: &NewJob, sat: Option<Sat>) -> NewAttempt<'_> {
        let test = &self.paper.sheet.test;
        let (taken, max_score) = (Taken::new(test.id, test.version), test.max_score);
        NewAttempt { id, user: caller.user.id, taken, job: job.id, answers: &self.answers, max_score, sat }
    }
}

async fn check(app: &App, caller: &SignedIn, submission: Submission) -> Result<Checked, ApiError> {
    if submission.answers.is_empty() {
        return Err(ApiError::invalid("/answers", "Answer at least one question."));
    }
    let asked: Vec<_> = submission.answers.iter().map(|Object(answer)| answer.question_id).collect();
    let paper = Paper::of(app, caller, submission.test_id, submission.sitting_id, &asked).await?;
    let answers = paper.parse(submission.answers)?;
    Ok(Checked { paper, answers })
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
