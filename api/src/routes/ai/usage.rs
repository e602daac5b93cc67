//! What AI servers have used.

use actix_web::web;
use bellwork_shared::ai::usage::{self, AiUsage, Position};
use sqlx::PgConnection;

use crate::app::App;
use crate::auth::caller::SignedIn;
use crate::cursor::{Cursors, Listed, Page};
use crate::error::ApiError;
use crate::input::Query;
use crate::reply::Json;

/// `GET /api/me/ai-usage`, the latest day first
pub(in crate::routes) async fn own(
    app: web::Data<App>,
    caller: SignedIn,
    page: Query<Page>,
) -> Result<Json<Listed<AiUsage>>, ApiError> {
    let limit = page.0.limit()?;
    let cursors = Cursors::of(&app, "/api/me/ai-usage").await?;
    let after: Position = cursors.position(&page.0)?.unwrap_or_default();
    let list = async |conn: &mut PgConnection| usage::of_user(conn, caller.user.id, &after, limit + 1).await;
    let days = app.read(caller.reader(), list).await?;
    Ok(Json(cursors.listed(days, limit, |day| Position::from(day))))
}

/// `GET /api/admin/ai-usage`, of all users, the latest day first
pub(in crate::routes) async fn all(app: web::Data<App>, page: Query<Page>) -> Result<Json<Listed<AiUsage>>, ApiError> {
    let limit = page.0.limit()?;
    let cursors = Cursors::of(&app, "/api/admin/ai-usage").await?;
    let after: Position = cursors.position(&page.0)?.unwrap_or_default();
    let days = usage::of_all(&mut *app.database.acquire().await?, &after, limit + 1).await?;
    Ok(Json(cursors.listed(days, limit, |day| Position::from(day))))
}
