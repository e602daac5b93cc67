//! What a student was told.

use actix_web::web;
use bellwork_shared::cache::{Key, Scope};
use bellwork_shared::ids::NotificationId;
use bellwork_shared::notifications::{self, Notification};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::caller::SignedIn;
use crate::cached::{Audience, Cached, cached};
use crate::cursor::{Cursors, Listed, Page};
use crate::error::ApiError;
use crate::input::{Id, Query};
use crate::reply::Json;

const ROUTE: &str = "/api/notifications";

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
) -> Result<Cached<Listed<Notification>>, ApiError> {
    let (user, limit) = (caller.user.id, page.0.limit()?);
    let before: Option<i64> = Cursors::of(&app, ROUTE).await?.position(&page.0)?;
    let source = app.clone();
    let load = async move || {
        let cursors = Cursors::of(&source, ROUTE).await?;
        let mut conn = source.database.acquire().await?;
        let notifications = notifications::list(&mut conn, user, before.unwrap_or(i64::MAX), limit + 1).await?;
        Ok(Some(cursors.listed(notifications, limit, |notification| notification.seq)))
    };
    // Clients ask for the first page again and again, and for the others once.
    if before.is_some() {
        return Cached::once(Box::pin(load()).await?, Audience::Caller);
    }
    let key = Key { scope: Scope::Notifications(user), name: page.0.name() };
    cached(&app.caches, key, Audience::Caller, load).await
}

/// `POST /api/notifications/{id}/read`
pub(super) async fn read(
    app: web::Data<App>,
    caller: SignedIn,
    id: Id<NotificationId>,
) -> Result<Json<Notification>, ApiError> {
    let read = notifications::mark_read(&mut *app.database.acquire().await?, caller.user.id, id.0).await?;
    app.caches.forget(&[Scope::Notifications(caller.user.id)]).await;
    read.map(Json).ok_or(ApiError::NotFound)
}

/// `POST /api/notifications/read-all`
pub(super) async fn read_all(app: web::Data<App>, caller: SignedIn) -> Result<Json<Updated>, ApiError> {
    let updated = notifications::mark_all_read(&mut *app.database.acquire().await?, caller.user.id).await?;
    app.caches.forget(&[Scope::Notifications(caller.user.id)]).await;
    Ok(Json(Updated { updated }))
}
