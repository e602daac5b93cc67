//! Jobs, as their submitters see them.

use actix_web::web;
use bellwork_jobs::steering::{self, WhenRunning};
use bellwork_queue::{Place, Priority};
use bellwork_shared::api_tokens::scopes::Scope;
use bellwork_shared::ids::JobId;
use bellwork_shared::ledger::{self, JobRow, JobState};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::caller::SignedIn;
use crate::error::ApiError;
use crate::input::Id;
use crate::reply::{Json, NoContent};

/// A job, as it goes out over HTTP.
#[derive(Serialize, ToSchema)]
#[schema(as = Job)]
pub(super) struct JobView {
    id: JobId,
    kind: String,
    queue: String,
    #[schema(value_type = String)]
    priority: Priority,
    state: JobState,
    /// The number of the run that is under way or was the last; 0 before the first.
    attempt: i16,
    max_attempts: i16,
    /// In hundredths, while it runs and says so, and at the end; more often on the live stream.
    progress: Option<u8>,
    run_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    /// What failed in the last run that did; operators are told why, too.
    error: Option<String>,
    result: Option<Value>,
}

/// `GET /api/jobs/{id}`
pub(super) async fn show(app: web::Data<App>, caller: SignedIn, id: Id<JobId>) -> Result<Json<JobView>, ApiError> {
    let row = ledger::find(&mut *app.database.acquire().await?, id.0).await?;
    let row = visible(row, &caller, Scope::AdminRead)?;
    let view = view(&app, row).await;
    Ok(Json(if caller.operates(Scope::AdminRead) { view } else { view.for_its_submitter() }))
}

/// `DELETE /api/jobs/{id}`: the row decides. A job that starts at the same moment finds it closed and leaves nothing behind.
pub(super) async fn cancel(app: web::Data<App>, caller: SignedIn, id: Id<JobId>) -> Result<NoContent, ApiError> {
    let row = ledger::find(&mut *app.database.acquire().await?, id.0).await?;
    let row = visible(row, &caller, Scope::AdminWrite)?;
    steering::cancel(&app.database, &app.inspector, row.id, WhenRunning::Refuse).await?;
    Ok(NoContent)
}

/// Somebody else's job is none, but for operators.
fn visible(row: Option<JobRow>, caller: &SignedIn, scope: Scope) -> Result<JobRow, ApiError> {
    let own = |row: &JobRow| row.submitter == Some(caller.user.id) || caller.operates(scope);
    row.filter(own).ok_or(ApiError::NotFound)
}

impl JobView {
    /// A failure reads `what: why`, and the why may name hosts, processes and settings: it is for operators.
    fn for_its_submitter(self) -> Self {
        let what = |error: String| error.split([':', '(', '{']).next().unwrap_or_default().trim().to_owned();
        Self { error: self.error.map(what), ..self }
    }
}

/// The job with what Redis knows of it.
pub(super) async fn view(app: &App, row: JobRow) -> JobView {
    let queued = steering::look(&app.inspector, &row).await;
    let running = queued.as_ref().filter(|job| job.place == Place::Leased);
    let state = if running.is_some() { JobState::Running } else { row.state };
    let reported = running.and_then(steering::progress).map(|progress| progress.percent);
    shown(JobRow { state, ..row }, reported)
}

/// The job as its row says, whose state may say that it runs.
pub(super) fn shown(row: JobRow, reported: Option<u8>) -> JobView {
    let state = row.state;
    let in_a_run = matches!(state, JobState::Running | JobState::Done);
    JobView {
        id: row.id,
        kind: row.kind,
        queue: row.queue,
        priority: Priority::try_from(row.priority).unwrap_or_default(),
        state,
        attempt: row.attempts.saturating_add(i16::from(in_a_run)),
        max_attempts: row.max_attempts,
        progress: reported.or((state == JobState::Done).then_some(100)),
        run_at: row.run_at,
        created_at: row.created_at,
        finished_at: row.finished_at,
        error: row.last_error,
        result: row.result,
    }
}
