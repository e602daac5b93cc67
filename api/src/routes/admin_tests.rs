//! Tests, as their authors write and publish them. Bodies are what the files of `content/` hold.

use std::borrow::Cow;

use actix_web::web;
use bellwork_shared::authoring::{self, AuthoredTest, TestOverview, Unchanged};
use bellwork_shared::cache::Scope;
use bellwork_shared::content::{self, Finding, Flaw, TestFile};
use bellwork_shared::ids::TestId;
use bellwork_shared::versions::{self, EditionSummary};
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgConnection;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use crate::app::App;
use crate::auth::caller::SignedIn;
use crate::cursor::{Cursors, Listed, Page};
use crate::error::ApiError;
use crate::input::{Body, Id, Query};
use crate::problem::InputError;
use crate::reply::{Created, Json, NoContent};
use crate::revision::{IfMatch, MustMatch, Revised};

/// A test file, not validated yet: all that is wrong with it is told at once.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Content(Value);

impl Content {
    fn check(&self) -> Result<TestFile, ApiError> {
        content::check(&self.0).map_err(invalid)
    }
}

impl PartialSchema for Content {
    fn schema() -> RefOr<Schema> {
        content::schema()
    }
}

impl ToSchema for Content {
    fn name() -> Cow<'static, str> {
        "TestContent".into()
    }
}

/// `GET /api/admin/tests`
pub(super) async fn list(app: web::Data<App>, page: Query<Page>) -> Result<Json<Listed<TestOverview>>, ApiError> {
    let limit = page.0.limit()?;
    let cursors = Cursors::of(&app, "/api/admin/tests").await?;
    let after: Option<TestId> = cursors.position(&page.0)?;
    let tests = authoring::list(&mut *app.database.acquire().await?, after, limit + 1).await?;
    Ok(Json(cursors.listed(tests, limit, |test| test.id)))
}

/// `POST /api/admin/tests`: its first draft.
pub(super) async fn create(
    app: web::Data<App>,
    caller: SignedIn,
    body: Body<Content>,
) -> Result<Revised<Created<AuthoredTest>>, ApiError> {
    let content = body.value.check()?;
    let mut tx = app.database.begin().await?;
    let id = authoring::create(&mut tx, &content, caller.user.id).await?;
    let id = id.ok_or(ApiError::Conflict("Another test has this slug."))?;
    let body = read(&mut tx, id).await?;
    tx.commit().await?;
    let (revision, location) = (body.overview.revision, Some(format!("/api/admin/tests/{id}")));
    Ok(Revised { reply: Created { location, body }, revision })
}

/// `GET /api/admin/tests/{id}`
pub(super) async fn show(app: web::Data<App>, id: Id<TestId>) -> Result<Revised<Json<AuthoredTest>>, ApiError> {
    let test = read(&mut *app.database.acquire().await?, id.0).await?;
    Ok(revised(test))
}

/// `PUT /api/admin/tests/{id}`: the draft of its next version.
pub(super) async fn save(
    app: web::Data<App>,
    caller: SignedIn,
    id: Id<TestId>,
    seen: MustMatch,
    body: Body<Content>,
) -> Result<Revised<Json<AuthoredTest>>, ApiError> {
    let content = body.value.check()?;
    let mut tx = app.database.begin().await?;
    authoring::save(&mut tx, id.0, &seen.0, &content, caller.user.id).await?;
    let test = read(&mut tx, id.0).await?;
    tx.commit().await?;
    Ok(revised(test))
}

/// `POST /api/admin/tests/{id}/publish`: its draft becomes what students get; an archived test is open again.
pub(super) async fn publish(
    app: web::Data<App>,
    id: Id<TestId>,
    seen: IfMatch,
) -> Result<Revised<Json<AuthoredTest>>, ApiError> {
    let mut tx = app.database.begin().await?;
    authoring::publish(&mut tx, id.0, &seen.0).await?;
    let test = read(&mut tx, id.0).await?;
    tx.commit().await?;
    app.catalogue.forget(id.0);
    app.caches.forget(&[Scope::Tests, Scope::QuestionBank]).await;
    Ok(revised(test))
}

/// `POST /api/admin/tests/{id}/archive`
pub(super) async fn archive(
    app: web::Data<App>,
    id: Id<TestId>,
    seen: IfMatch,
) -> Result<Revised<Json<AuthoredTest>>, ApiError> {
    let mut tx = app.database.begin().await?;
    authoring::archive(&mut tx, id.0, &seen.0).await?;
    let test = read(&mut tx, id.0).await?;
    tx.commit().await?;
    app.catalogue.forget(id.0);
    app.caches.forget(&[Scope::Tests, Scope::QuestionBank]).await;
    Ok(revised(test))
}

/// `DELETE /api/admin/tests/{id}`: nothing that a student took is ever deleted, so this archives.
pub(super) async fn remove(app: web::Data<App>, id: Id<TestId>, seen: IfMatch) -> Result<NoContent, ApiError> {
    archive(app, id, seen).await.map(|_| NoContent)
}

/// `GET /api/admin/tests/{id}/versions`, the newest first
pub(super) async fn versions(
    app: web::Data<App>,
    id: Id<TestId>,
    page: Query<Page>,
) -> Result<Json<Listed<EditionSummary>>, ApiError> {
    let limit = page.0.limit()?;
    let cursors = Cursors::of(&app, "/api/admin/tests/{id}/versions").await?;
    let before: Option<i32> = cursors.position(&page.0)?;
    let mut conn = app.database.acquire().await?;
    let versions = versions::list(&mut conn, id.0, before, limit + 1).await?;
    if versions.is_empty() {
        read(&mut conn, id.0).await?;
    }
    Ok(Json(cursors.listed(versions, limit, |edition| edition.version)))
}

async fn read(conn: &mut PgConnection, id: TestId) -> Result<AuthoredTest, ApiError> {
    authoring::find(conn, id).await?.ok_or(ApiError::NotFound)
}

fn revised(test: AuthoredTest) -> Revised<Json<AuthoredTest>> {
    let revision = test.overview.revision;
    Revised { reply: Json(test), revision }
}

/// 422 for what nobody can use; 409 if all of it could be used, but not together.
fn invalid(findings: Vec<Finding>) -> ApiError {
    let misfits = findings.iter().all(|finding| finding.flaw == Flaw::Fit);
    let errors = findings.into_iter().map(|finding| InputError::at(finding.pointer, finding.detail)).collect();
    if misfits { ApiError::Unfitting(errors) } else { ApiError::Invalid(errors) }
}

impl From<Unchanged> for ApiError {
    fn from(unchanged: Unchanged) -> Self {
        match unchanged {
            Unchanged::Missing => Self::NotFound,
            Unchanged::Stale => Self::Stale,
            Unchanged::OtherSlug => Self::unfitting("/slug", "The slug names the test for ever; it cannot change."),
            Unchanged::NothingToPublish => Self::Conflict("There is nothing to publish."),
            Unchanged::Invalid(findings) => invalid(findings),
            Unchanged::Database(error) => error.into(),
        }
    }
}
