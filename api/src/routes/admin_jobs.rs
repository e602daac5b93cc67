//! Jobs, as operators see and steer them.

use std::time::Duration;

use actix_web::web;
use bellwork_jobs::running;
use bellwork_jobs::steering::{self, WhenRunning};
use bellwork_shared::ids::{JobId, UserId};
use bellwork_shared::ledger::failures::{self, FailedAttempt};
use bellwork_shared::ledger::search::{Filter, Search, Standing, search};
use bellwork_shared::ledger::{self, JobState};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};

use super::jobs::{JobView, shown, view};
use crate::app::App;
use crate::cursor::{Cursors, Listed, Page};
use crate::error::ApiError;
use crate::input::{Id, Query};
use crate::problem::InputError;
use crate::reply::Json;

/// How long an answer waits for Redis to say what runs.
const RUNNING_TIMEOUT: Duration = Duration::from_millis(500);
/// The longest name of a queue or a kind, in characters.
const MAX_NAME: usize = 100;
/// The longest text to look for, in characters.
const MAX_TEXT: usize = 200;
/// The longest normalised error, in characters.
const MAX_ERROR: usize = 300;

/// Which jobs to list. A part of the list may be short, or empty, and not the last: a search looks at 3,000 jobs at a time.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Those of this queue.
    #[param(max_length = 100, pattern = "^[^\\u0000]*$")]
    queue: Option<String>,
    /// Those in this state.
    #[param(inline)]
    state: Option<JobState>,
    /// Those of this kind, by its stored name.
    #[param(max_length = 100, pattern = "^[^\\u0000]*$")]
    kind: Option<String>,
    /// At least eight hexadecimal digits are the beginning of an id; anything else is looked for in the kind and in the last
    /// error, whatever its case. One answer looks at 3,000 jobs at the most, so it may be short, or empty, and have a cursor.
    #[param(max_length = 200, pattern = "^[^\\u0000]*$")]
    q: Option<String>,
    /// Those whose last error is this one but for its ids and numbers, as the list of dead letters shows it.
    #[param(max_length = 300, pattern = "^[^\\u0000]*$")]
    error: Option<String>,
    /// How many items at the most; 20 unless told.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// Where the last answer said that the list goes on.
    #[param(format = "cursor")]
    cursor: Option<String>,
}

/// A job with what only operators see.
#[derive(Serialize, ToSchema)]
pub(super) struct Inspected {
    #[serde(flatten)]
    job: JobView,
    submitter: Option<UserId>,
    failures: Vec<FailedAttempt>,
}

/// A job of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct ListedJob {
    #[serde(flatten)]
    job: JobView,
    submitter: Option<UserId>,
}

/// `GET /api/admin/jobs`, the newest first
pub(super) async fn list(app: web::Data<App>, query: Query<Which>) -> Result<Json<Listed<ListedJob>>, ApiError> {
    let Which { queue, state, kind, q, error, limit, cursor } = query.0;
    let filter = checked("", Filter { queue, state, kind, q, error })?;
    let page = Page::of(limit, cursor);
    let limit = page.limit()?;
    let cursors = Cursors::of(&app, "/api/admin/jobs").await?;
    let before = cursors.position(&page)?;
    let running = running(&app, filter.state).await?;
    let wanted = Search { filter: &filter, standing: Standing::Any, among: None, running: &running, before };
    let found = search(&mut *app.database.acquire().await?, wanted, limit).await?;
    let item = |row: ledger::JobRow| ListedJob { submitter: row.submitter, job: shown(row, None) };
    let items = found.jobs.into_iter().map(item).collect();
    Ok(Json(Listed { items, next_cursor: found.next.map(|next| cursors.seal(&next)) }))
}

/// The jobs that run, as Redis says. Without it the ledger says what it knows, unless just the running ones are wanted.
///
/// # Errors
/// 503 then.
pub(super) async fn running(app: &App, wanted: Option<JobState>) -> Result<Vec<JobId>, ApiError> {
    match timeout(RUNNING_TIMEOUT, running::ids(&app.inspector)).await {
        Ok(Ok(running)) => Ok(running),
        _ if wanted != Some(JobState::Running) => Ok(Vec::new()),
        Ok(Err(error)) => Err(error.into()),
        Err(late) => Err(ApiError::Unavailable(late.into())),
    }
}

/// A filter that the database can take; what stands at `at` of the input. What is empty says nothing.
///
/// # Errors
/// 422 if a text is too long, or holds NUL.
pub(super) fn checked(at: &str, filter: Filter) -> Result<Filter, ApiError> {
    let mut errors = Vec::new();
    let mut check = |name: &str, text: Option<String>, most: usize| {
        let text = text.filter(|text| !text.is_empty())?;
        if text.contains('\0') || text.chars().count() > most {
            let detail = format!("It has at most {most} characters, and not NUL.");
            errors.push(InputError::at(format!("{at}/{name}"), detail));
        }
        Some(text)
    };
    let filter = Filter {
        queue: check("queue", filter.queue, MAX_NAME),
        kind: check("kind", filter.kind, MAX_NAME),
        q: check("q", filter.q, MAX_TEXT),
        error: check("error", filter.error, MAX_ERROR),
        ..filter
    };
    if errors.is_empty() { Ok(filter) } else { Err(ApiError::Invalid(errors)) }
}

/// `GET /api/admin/jobs/{id}`
pub(super) async fn show(app: web::Data<App>, id: Id<JobId>) -> Result<Json<Inspected>, ApiError> {
    let mut conn = app.database.acquire().await?;
    let row = ledger::find(&mut conn, id.0).await?.ok_or(ApiError::NotFound)?;
    let failures = failures::list(&mut conn, id.0).await?;
    drop(conn);
    let submitter = row.submitter;
    Ok(Json(Inspected { job: view(&app, row).await, submitter, failures }))
}

/// `POST /api/admin/jobs/{id}/retry`: opens a dead or cancelled job again with its attempts at zero.
pub(super) async fn retry(app: web::Data<App>, id: Id<JobId>) -> Result<Json<JobView>, ApiError> {
    steering::retry(&app.database, &app.inspector, &app.submitter, id.0).await?;
    let row = ledger::find(&mut *app.database.acquire().await?, id.0).await?.ok_or(ApiError::NotFound)?;
    Ok(Json(view(&app, row).await))
}

/// `POST /api/admin/jobs/{id}/cancel`: a running job is told to end, and nothing of it is recorded.
pub(super) async fn cancel(app: web::Data<App>, id: Id<JobId>) -> Result<Json<JobView>, ApiError> {
    steering::cancel(&app.database, &app.inspector, id.0, WhenRunning::End).await?;
    let row = ledger::find(&mut *app.database.acquire().await?, id.0).await?.ok_or(ApiError::NotFound)?;
    Ok(Json(view(&app, row).await))
}
