//! Jobs, as operators see and steer them.

use actix_web::{HttpResponse, web};
use anyhow::Context;
use bellwork_jobs::kinds;
use bellwork_shared::ids::JobId;
use bellwork_shared::ledger::{self, OpenJob};
use serde_json::value::to_raw_value;
use sqlx::PgConnection;

use super::jobs::view;
use crate::app::App;
use crate::error::ApiError;
use crate::input::Id;

/// `GET /api/admin/jobs/{id}`
pub(super) async fn show(app: web::Data<App>, id: Id<JobId>) -> Result<HttpResponse, ApiError> {
    let row = ledger::find(&mut *app.database.acquire().await?, id.0).await?.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::Ok().json(view(&app, row).await))
}

/// `POST /api/admin/jobs/{id}/retry`: opens a dead or cancelled job again with its attempts at zero.
pub(super) async fn retry(app: web::Data<App>, id: Id<JobId>) -> Result<HttpResponse, ApiError> {
    let mut tx = app.database.begin().await?;
    let job = reopen(&mut tx, id.0).await?;
    let row = ledger::find(&mut tx, id.0).await?.ok_or(ApiError::NotFound)?;
    tx.commit().await?;
    // What the engine still holds of its former life would make the push look like a second one.
    if let Err(error) = app.inspector.remove(&job.queue, job.id.0).await {
        tracing::warn!(%error, job = %job.id, "not removed from Redis before its push");
    }
    app.push(std::slice::from_ref(&job)).await;
    Ok(HttpResponse::Ok().json(view(&app, row).await))
}

/// Opens the job's row, and undoes what was written when it was given up.
async fn reopen(conn: &mut PgConnection, id: JobId) -> Result<OpenJob, ApiError> {
    let Some(job) = ledger::reopen(conn, id).await? else {
        return Err(match ledger::find(conn, id).await? {
            None => ApiError::NotFound,
            Some(_) => ApiError::Conflict("Only a dead or cancelled job can be retried."),
        });
    };
    let Some(kind) = kinds::find(&job.kind) else {
        return Err(ApiError::Conflict("This release does not know the job's kind."));
    };
    let payload = to_raw_value(&job.payload).context("a JSON value is valid JSON")?;
    let decoded =
        (kind.decode)(&payload).map_err(|_| ApiError::Conflict("This release cannot read the job's payload."))?;
    decoded.reopened(conn).await?;
    Ok(job)
}
