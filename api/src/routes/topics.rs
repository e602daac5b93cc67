//! What the caller knows of each topic.

use actix_web::web;
use bellwork_shared::topics::{self, TopicStanding};
use sqlx::PgConnection;

use crate::app::App;
use crate::auth::caller::SignedIn;
use crate::cursor::{Cursors, Listed, Page};
use crate::error::ApiError;
use crate::input::Query;
use crate::reply::Json;

/// `GET /api/me/topics`, by subject and topic
pub(super) async fn list(
    app: web::Data<App>,
    caller: SignedIn,
    page: Query<Page>,
) -> Result<Json<Listed<TopicStanding>>, ApiError> {
    let limit = page.0.limit()?;
    let cursors = Cursors::of(&app, "/api/me/topics").await?;
    let after: Option<(String, String)> = cursors.position(&page.0)?;
    let list = async |conn: &mut PgConnection| topics::list(conn, caller.user.id, after.clone(), limit + 1).await;
    let topics = app.read(caller.reader(), list).await?;
    Ok(Json(cursors.listed(topics, limit, |topic| (topic.subject.clone(), topic.topic.clone()))))
}
