//! The caller's own profile and sessions.

use actix_web::{HttpResponse, web};
use bellwork_shared::ids::SessionId;
use bellwork_shared::sessions::{self, Ending, Session};
use bellwork_shared::users::User;
use serde::Serialize;

use crate::app::App;
use crate::auth::SignedIn;
use crate::cursor::Listed;
use crate::error::ApiError;
use crate::input::Id;

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

/// `GET /api/me/sessions`
pub(super) async fn sessions(app: web::Data<App>, caller: SignedIn) -> Result<HttpResponse, ApiError> {
    let sessions = sessions::list(&mut *app.database.acquire().await?, caller.user.id).await?;
    let own = |session: Session| OwnSession { current: session.id == caller.session, session };
    let items: Vec<_> = sessions.into_iter().map(own).collect();
    Ok(HttpResponse::Ok().json(Listed { items, next_cursor: None }))
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
