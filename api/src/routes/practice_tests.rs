//! Practice tests, never with an answer.

use actix_web::web;
use bellwork_shared::cache::{Key, Scope};
use bellwork_shared::ids::TestId;
use bellwork_shared::practice_tests::{self, TestSheet, TestSummary};

use crate::app::App;
use crate::cached::{Audience, Cached, cached};
use crate::cursor::{Cursors, Listed, Page};
use crate::error::ApiError;
use crate::input::{Id, Query};

/// `GET /api/tests`
pub(super) async fn list(app: web::Data<App>, page: Query<Page>) -> Result<Cached<Listed<TestSummary>>, ApiError> {
    let limit = page.0.limit()?;
    let after: Option<TestId> = Cursors::of(&app, "/api/tests").await?.position(&page.0)?;
    let name = format!("list:{limit}:{}", after.map(|id| id.to_string()).unwrap_or_default()).into();
    let source = app.clone();
    let load = async move || {
        let cursors = Cursors::of(&source, "/api/tests").await?;
        let tests = practice_tests::list(&mut *source.database.acquire().await?, after, limit + 1).await?;
        Ok(Some(cursors.listed(tests, limit, |test| test.id)))
    };
    cached(&app.caches, Key { scope: Scope::Tests, name }, Audience::Everybody, load).await
}

/// `GET /api/tests/{id}`
pub(super) async fn sheet(app: web::Data<App>, id: Id<TestId>) -> Result<Cached<TestSheet>, ApiError> {
    let key = Key { scope: Scope::Tests, name: format!("sheet:{}", id.0).into() };
    let source = app.clone();
    let load = async move || Ok(practice_tests::sheet(&mut *source.database.acquire().await?, id.0).await?);
    cached(&app.caches, key, Audience::Everybody, load).await
}
