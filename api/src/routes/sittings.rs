//! Sittings: starting a timed test, and keeping the working state of one.

use actix_web::{HttpRequest, web};
use bellwork_jobs::kinds::close_sitting;
use bellwork_jobs::kinds::grade_attempt::GradeAttempt;
use bellwork_jobs::submit::{Options, new_job};
use bellwork_shared::answers::RawAnswer;
use bellwork_shared::catalogue::Sheet;
use bellwork_shared::ids::{JobId, SittingId, TestId, UserId};
use bellwork_shared::ledger::{self, NewJob};
use bellwork_shared::practice_tests::{AskedQuestion, TimeLimit};
use bellwork_shared::sittings::{self, Closing, Sitting, Taking};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::caller::SignedIn;
use crate::error::ApiError;
use crate::input::{Body, Id, Object};
use crate::observe::trace_parent;
use crate::paper;
use crate::reply::{Created, Json, NoContent};

/// A sitting with what is asked in it.
#[derive(Serialize, ToSchema)]
pub(super) struct SittingSheet {
    #[serde(flatten)]
    sitting: Sitting,
    /// A text that its questions are about.
    passage: Option<String>,
    /// In their order, without answers.
    questions: Vec<AskedQuestion>,
}

/// The working state of a sitting; it takes the place of what was saved before.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WorkingState {
    #[schema(max_items = 500, value_type = Vec<RawAnswer>)]
    answers: Vec<Object<RawAnswer>>,
}

/// `POST /api/tests/{id}/start`: however often and however concurrently, one sitting runs.
pub(super) async fn start(
    app: web::Data<App>,
    caller: SignedIn,
    request: HttpRequest,
    id: Id<TestId>,
) -> Result<Created<SittingSheet>, ApiError> {
    let sheet = app.catalogue.current(id.0).await?.ok_or(ApiError::NotFound)?;
    let limit = sheet.test.time_limit.as_ref().map(|limit| limit.0);
    let limit = limit.ok_or(ApiError::Conflict("This test is not timed; submit it directly."))?;
    let mut tx = app.database.begin().await?;
    let mut started = Started::new(trace_parent(&request));
    let sitting = started.sitting(&mut tx, caller.user.id, &sheet, limit).await?;
    ledger::insert(&mut tx, &started.jobs).await?;
    let sitting = sittings::find(&mut tx, caller.user.id, sitting).await?.ok_or(ApiError::NotFound)?;
    tx.commit().await?;
    app.push(&started.jobs).await;
    created(&app, sitting).await
}

/// The jobs that a start has caused.
struct Started {
    jobs: Vec<NewJob>,
    trace_parent: String,
}

impl Started {
    fn new(trace_parent: String) -> Self {
        Self { jobs: Vec::new(), trace_parent }
    }

    /// The sitting that runs: one from before, a new one, or that of another request which was faster.
    async fn sitting(
        &mut self,
        conn: &mut PgConnection,
        user: UserId,
        sheet: &Sheet,
        limit: TimeLimit,
    ) -> Result<SittingId, ApiError> {
        if let Some(before) = sittings::live(conn, user, sheet.test.id).await?
            && self.close(conn, before).await? == Closing::NotYet
        {
            return Ok(before);
        }
        if let Some(id) = sittings::start(conn, user, &sheet.test, limit).await? {
            self.jobs.push(closing(conn, user, id, &self.trace_parent).await?);
            return Ok(id);
        }
        let faster = sittings::live(conn, user, sheet.test.id).await?;
        faster.ok_or(ApiError::Conflict("Another request has started and ended a sitting; try again."))
    }

    /// Does what the closing job has not come to yet, if the sitting's time is over.
    async fn close(&mut self, conn: &mut PgConnection, id: SittingId) -> Result<Closing, ApiError> {
        let job = JobId::new();
        let closing = sittings::close(conn, id, job).await?;
        if let Closing::HandedIn(attempt_id, user) = closing {
            let trace_parent = Some(self.trace_parent.clone());
            let options = Options { id: Some(job), submitter: Some(user), trace_parent, ..Options::default() };
            self.jobs.push(new_job(&GradeAttempt { attempt_id }, options));
        }
        Ok(closing)
    }
}

/// The job that closes a sitting just started.
pub(super) async fn closing(
    conn: &mut PgConnection,
    user: UserId,
    id: SittingId,
    trace_parent: &str,
) -> Result<NewJob, ApiError> {
    let sitting = sittings::find(conn, user, id).await?.ok_or(ApiError::NotFound)?;
    Ok(close_sitting::closing(id, sitting.closes_at, Some(trace_parent.to_owned())))
}

/// The answer to a start.
pub(super) async fn created(app: &App, sitting: Sitting) -> Result<Created<SittingSheet>, ApiError> {
    let location = Some(format!("/api/sittings/{}", sitting.id));
    Ok(Created { location, body: with_sheet(app, sitting).await? })
}

async fn with_sheet(app: &App, sitting: Sitting) -> Result<SittingSheet, ApiError> {
    let sheet = app.catalogue.taken(sitting.taken()).await?.ok_or(ApiError::NotFound)?;
    let questions = sheet.questions.iter().map(AskedQuestion::from).collect();
    Ok(SittingSheet { sitting, passage: sheet.test.passage.clone(), questions })
}

/// `GET /api/sittings/{id}`
pub(super) async fn show(
    app: web::Data<App>,
    caller: SignedIn,
    id: Id<SittingId>,
) -> Result<Json<SittingSheet>, ApiError> {
    let find = async |conn: &mut PgConnection| sittings::find(conn, caller.user.id, id.0).await;
    let sitting = app.read(caller.reader(), find).await?;
    Ok(Json(with_sheet(&app, sitting.ok_or(ApiError::NotFound)?).await?))
}

/// `PUT /api/sittings/{id}/answers`: what is handed in for the student when the time is over.
pub(super) async fn save(
    app: web::Data<App>,
    caller: SignedIn,
    id: Id<SittingId>,
    body: Body<WorkingState>,
) -> Result<NoContent, ApiError> {
    let sitting = sittings::find(&mut *app.database.acquire().await?, caller.user.id, id.0).await?;
    let sheet = app.catalogue.taken(sitting.ok_or(ApiError::NotFound)?.taken()).await?.ok_or(ApiError::NotFound)?;
    let answers = paper::parse(body.value.answers, &sheet)?;
    match sittings::save(&mut *app.database.acquire().await?, id.0, &answers).await? {
        Taking::Taken(_) => Ok(NoContent),
        Taking::Over => Err(ApiError::SittingOver),
    }
}
