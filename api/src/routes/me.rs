//! The caller's own profile and sessions.

use actix_web::{HttpRequest, HttpResponse, web};
use bellwork_shared::ids::SessionId;
use bellwork_shared::sessions::{self, Ending, Session};
use bellwork_shared::users::User;
use serde::Serialize;

use crate::app::App;
use crate::auth::SignedIn;
use crate::cursor::{Cursors, Page};
use crate::error::ApiError;
use crate::input::{self, Id};

#[derive(Serialize)]
struct OwnSession {
    #[serde(flatten)]
    session: Session,
    /// Whether the request came by it.
    current: bool,
}

/// `GET /api/me`
pub(super) async fn profile(caller: SignedIn) -> web::Json<User> {
    web::Json(caller.user.clone())
}

/// `GET /api/me/sessions`, the newest first
pub(super) async fn sessions(
    app: web::Data<App>,
    caller: SignedIn,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let page: Page = input::query(&request)?;
    let limit = page.limit()?;
    let cursors = Cursors { key: &app.installation().await?.cursor_key, route: "/api/me/sessions" };
    let before: Option<SessionId> = cursors.position(&page)?;
    let sessions = sessions::list(&mut *app.database.acquire().await?, caller.user.id, before, limit + 1).await?;
    let own = |session: Session| OwnSession { current: session.id == caller.session, session };
    let sessions = sessions.into_iter().map(own).collect();
    Ok(HttpResponse::Ok().json(cursors.listed(sessions, limit, |own| own.session.id)))
}

/// `DELETE /api/me/sessions/{id}`
pub(super) async fn end_session(
    app: web::Data<App>,
    caller: SignedIn,
    id: Id<SessionId>,
) -> Result<HttpResponse, ApiError> {
    match sessions::end(&mut *app.database.acquire().await?, caller.user.id, id.0).await? {
        Ending::Unknown => Err(ApiError::NotFound),
        Ending::Ended => {
            app.hub.end_session(caller.user.id, id.0);
            Ok(HttpResponse::NoContent().finish())
        }
    }
}
