//! Practice tests, never with an answer.

use actix_web::web;
use bellwork_shared::ids::TestId;
use bellwork_shared::practice_tests::{self, TestSheet, TestSummary};

use crate::app::App;
use crate::cursor::{Cursors, Listed, Page};
use crate::error::ApiError;
use crate::input::{Id, Query};
use crate::reply::Json;

/// `GET /api/tests`
pub(super) async fn list(app: web::Data<App>, page: Query<Page>) -> Result<Json<Listed<TestSummary>>, ApiError> {
    let limit = page.0.limit()?;
    let cursors = Cursors::of(&app, "/api/tests").await?;
    let after: Option<TestId> = cursors.position(&page.0)?;
    let tests = practice_tests::list(&mut *app.database.acquire().await?, after, limit + 1).await?;
    Ok(Json(cursors.listed(tests, limit, |test| test.id)))
}

/// `GET /api/tests/{id}`
pub(super) async fn sheet(app: web::Data<App>, id: Id<TestId>) -> Result<Json<TestSheet>, ApiError> {
    let sheet = practice_tests::sheet(&mut *app.database.acquire().await?, id.0).await?;
    sheet.map(Json).ok_or(ApiError::NotFound)
}
