//! Jobs, as operators see and steer them.

use actix_web::web;
use bellwork_jobs::steering::{self, WhenRunning};
use bellwork_shared::failures::{self, FailedAttempt};
use bellwork_shared::ids::{JobId, UserId};
use bellwork_shared::ledger;
use serde::Serialize;
use utoipa::ToSchema;

use super::jobs::{JobView, view};
use crate::app::App;
use crate::error::ApiError;
use crate::input::Id;
use crate::reply::Json;

/// A job with what only operators see.
#[derive(Serialize, ToSchema)]
pub(super) struct Inspected {
    #[serde(flatten)]
    job: JobView,
    submitter: Option<UserId>,
    failures: Vec<FailedAttempt>,
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
