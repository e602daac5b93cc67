//! What a student was told.

use actix_web::{HttpRequest, HttpResponse, web};
use bellwork_shared::ids::NotificationId;
use bellwork_shared::notifications;
use serde_json::json;

use crate::app::App;
use crate::auth::SignedIn;
use crate::cursor::{Cursors, Page};
use crate::error::ApiError;
use crate::input::{self, Id};

/// `GET /api/notifications`, the newest first
pub(super) async fn list(
    app: web::Data<App>,
    caller: SignedIn,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let page: Page = input::query(&request)?;
    let limit = page.limit()?;
    let cursors = Cursors { key: &app.installation().await?.cursor_key, route: "/api/notifications" };
    let before = cursors.position(&page)?.unwrap_or(i64::MAX);
    let mut conn = app.database.acquire().await?;
    let notifications = notifications::list(&mut conn, caller.user.id, before, limit + 1).await?;
    Ok(HttpResponse::Ok().json(cursors.listed(notifications, limit, |notification| notification.seq)))
}

/// `POST /api/notifications/{id}/read`
pub(super) async fn read(
    app: web::Data<App>,
    caller: SignedIn,
    id: Id<NotificationId>,
) -> Result<HttpResponse, ApiError> {
    let read = notifications::mark_read(&mut *app.database.acquire().await?, caller.user.id, id.0).await?;
    read.map(|notification| HttpResponse::Ok().json(notification)).ok_or(ApiError::NotFound)
}

/// `POST /api/notifications/read-all`
pub(super) async fn read_all(app: web::Data<App>, caller: SignedIn) -> Result<HttpResponse, ApiError> {
    let updated = notifications::mark_all_read(&mut *app.database.acquire().await?, caller.user.id).await?;
    Ok(HttpResponse::Ok().json(json!({ "updated": updated })))
}
