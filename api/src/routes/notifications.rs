//! What a student was told.

use actix_web::web;
use bellwork_shared::ids::NotificationId;
use bellwork_shared::notifications::{self, Notification};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::SignedIn;
use crate::cursor::{Cursors, Listed, Page};
use crate::error::ApiError;
use crate::input::{Id, Query};
use crate::reply::Json;

/// How many notifications changed.
#[derive(Serialize, ToSchema)]
pub(super) struct Updated {
    updated: u64,
}

/// `GET /api/notifications`, the newest first
pub(super) async fn list(
    app: web::Data<App>,
    caller: SignedIn,
    page: Query<Page>,
) -> Result<Json<Listed<Notification>>, ApiError> {
    let limit = page.0.limit()?;
    let cursors = Cursors::of(&app, "/api/notifications").await?;
    let before = cursors.position(&page.0)?.unwrap_or(i64::MAX);
    let mut conn = app.database.acquire().await?;
    let notifications = notifications::list(&mut conn, caller.user.id, before, limit + 1).await?;
    Ok(Json(cursors.listed(notifications, limit, |notification| notification.seq)))
}

/// `POST /api/notifications/{id}/read`
pub(super) async fn read(
    app: web::Data<App>,
    caller: SignedIn,
    id: Id<NotificationId>,
) -> Result<Json<Notification>, ApiError> {
    let read = notifications::mark_read(&mut *app.database.acquire().await?, caller.user.id, id.0).await?;
    read.map(Json).ok_or(ApiError::NotFound)
}

/// `POST /api/notifications/read-all`
pub(super) async fn read_all(app: web::Data<App>, caller: SignedIn) -> Result<Json<Updated>, ApiError> {
    let updated = notifications::mark_all_read(&mut *app.database.acquire().await?, caller.user.id).await?;
    Ok(Json(Updated { updated }))
}
