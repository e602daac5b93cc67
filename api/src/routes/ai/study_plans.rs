//! Study plans from what one knows least.

use actix_web::{HttpRequest, web};
use bellwork_jobs::kinds::plan_study::PlanStudy;
use bellwork_shared::ai::aids::StudyAid;
use bellwork_shared::ai::forms::{Name, StudyPlan, StudyPlanAsked};
use bellwork_shared::ids::AidId;
use bellwork_shared::topics;

use super::{AidOrdered, Order};
use crate::app::App;
use crate::auth::caller::SignedIn;
use crate::cursor::{Listed, Page};
use crate::error::ApiError;
use crate::idempotency::{IdempotencyKey, Remembered};
use crate::input::{Body, Id, Query};
use crate::reply::{Accepted, Json};

/// `POST /api/ai/study-plans`
pub(in crate::routes) async fn ask(
    app: web::Data<App>,
    caller: SignedIn,
    request: HttpRequest,
    key: IdempotencyKey,
    body: Body<StudyPlanAsked>,
) -> Result<Remembered<Accepted<AidOrdered>>, ApiError> {
    check(&app, &caller, &body.value).await?;
    let (route, path) = ("POST /api/ai/study-plans", "/api/ai/study-plans");
    let order = Order { app: &app, caller: &caller, request: &request, key: &key, body: &body, route, path };
    order.accept(|aid_id| PlanStudy { aid_id }).await
}

/// `GET /api/ai/study-plans`, the newest first
pub(in crate::routes) async fn list(
    app: web::Data<App>,
    caller: SignedIn,
    page: Query<Page>,
) -> Result<Json<Listed<StudyAid<StudyPlanAsked, StudyPlan>>>, ApiError> {
    super::list::<StudyPlanAsked>(&app, &caller, &page.0, "/api/ai/study-plans").await
}

/// `GET /api/ai/study-plans/{id}`
pub(in crate::routes) async fn show(
    app: web::Data<App>,
    caller: SignedIn,
    id: Id<AidId>,
) -> Result<Json<StudyAid<StudyPlanAsked, StudyPlan>>, ApiError> {
    super::show::<StudyPlanAsked>(&app, &caller, id.0).await
}

async fn check(app: &App, caller: &SignedIn, asked: &StudyPlanAsked) -> Result<(), ApiError> {
    let mut conn = app.database.acquire().await?;
    let subject = asked.subject.as_ref().map(Name::as_str);
    if topics::weakest(&mut conn, caller.user.id, subject, 1).await?.is_empty() {
        return Err(ApiError::Conflict("A plan is made from results: take a test of this subject first."));
    }
    Ok(())
}
