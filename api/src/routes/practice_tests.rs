//! Practice tests, never with an answer.

use actix_web::{HttpRequest, HttpResponse, web};
use bellwork_shared::ids::TestId;
use bellwork_shared::practice_tests;

use crate::app::App;
use crate::cursor::{Cursors, Page};
use crate::error::ApiError;
use crate::input::{self, Id};

/// `GET /api/tests`
pub(super) async fn list(app: web::Data<App>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let page: Page = input::query(&request)?;
    let limit = page.limit()?;
    let cursors = Cursors { key: &app.installation().await?.cursor_key, route: "/api/tests" };
    let after: Option<TestId> = cursors.position(&page)?;
    let tests = practice_tests::list(&mut *app.database.acquire().await?, after, limit + 1).await?;
    Ok(HttpResponse::Ok().json(cursors.listed(tests, limit, |test| test.id)))
}

/// `GET /api/tests/{id}`
pub(super) async fn sheet(app: web::Data<App>, id: Id<TestId>) -> Result<HttpResponse, ApiError> {
    let sheet = practice_tests::sheet(&mut *app.database.acquire().await?, id.0).await?;
    sheet.map(|sheet| HttpResponse::Ok().json(sheet)).ok_or(ApiError::NotFound)
}
