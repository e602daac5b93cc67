//! The caller's sessions.

use actix_web::web;
use bellwork_shared::ids::SessionId;
use bellwork_shared::sessions::{self, Ending, Session};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::caller::InSession;
use crate::cursor::{Cursors, Listed, Page};
use crate::error::ApiError;
use crate::input::{Id, Query};
use crate::reply::{Json, NoContent};

/// A session of the caller.
#[derive(Serialize, ToSchema)]
pub(super) struct OwnSession {
    #[serde(flatten)]
    session: Session,
    /// Whether the request came by it.
    current: bool,
}

/// `GET /api/me/sessions`, the newest first
pub(super) async fn list(
    app: web::Data<App>,
    caller: InSession,
    page: Query<Page>,
) -> Result<Json<Listed<OwnSession>>, ApiError> {
    let limit = page.0.limit()?;
    let cursors = Cursors::of(&app, "/api/me/sessions").await?;
    let before: Option<SessionId> = cursors.position(&page.0)?;
    let sessions = sessions::list(&mut *app.database.acquire().await?, caller.user.id, before, limit + 1).await?;
    let own = |session: Session| OwnSession { current: session.id == caller.session, session };
    let sessions = sessions.into_iter().map(own).collect();
    Ok(Json(cursors.listed(sessions, limit, |own| own.session.id)))
}

/// `DELETE /api/me/sessions/{id}`
pub(super) async fn end(app: web::Data<App>, caller: InSession, id: Id<SessionId>) -> Result<NoContent, ApiError> {
    let mut conn = app.database.acquire().await?;
    let held = app.caches.hold_sessions(&mut conn, caller.user.id).await?;
    let ending = sessions::end(&mut conn, caller.user.id, id.0).await?;
    held.release().await;
    match ending {
        Ending::Unknown => Err(ApiError::NotFound),
        Ending::Ended => {
            app.hub.end_session(caller.user.id, id.0);
            Ok(NoContent)
        }
    }
}

/// `DELETE /api/me/sessions`
pub(super) async fn end_others(app: web::Data<App>, caller: InSession) -> Result<NoContent, ApiError> {
    let mut conn = app.database.acquire().await?;
    let held = app.caches.hold_sessions(&mut conn, caller.user.id).await?;
    let ended = sessions::end_others(&mut conn, caller.user.id, caller.session).await?;
    held.release().await;
    app.hub.end_sessions(caller.user.id, ended);
    Ok(NoContent)
}
