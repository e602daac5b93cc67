//! Explanations of one's own answers.

use actix_web::{HttpRequest, web};
use bellwork_jobs::kinds::explain_answer::ExplainAnswer;
use bellwork_shared::ai::aids::StudyAid;
use bellwork_shared::ai::forms::{Explanation, ExplanationAsked};
use bellwork_shared::attempts::{self, AttemptStatus};
use bellwork_shared::ids::AidId;

use super::{AidOrdered, Order};
use crate::app::App;
use crate::auth::caller::SignedIn;
use crate::cursor::{Listed, Page};
use crate::error::ApiError;
use crate::idempotency::{IdempotencyKey, Remembered};
use crate::input::{Body, Id, Query};
use crate::reply::{Accepted, Json};

/// `POST /api/ai/explanations`: of an answer that has been graded; before that it would give the right one away.
pub(in crate::routes) async fn ask(
    app: web::Data<App>,
    caller: SignedIn,
    request: HttpRequest,
    key: IdempotencyKey,
    body: Body<ExplanationAsked>,
) -> Result<Remembered<Accepted<AidOrdered>>, ApiError> {
    check(&app, &caller, &body.value).await?;
    let (route, path) = ("POST /api/ai/explanations", "/api/ai/explanations");
    let order = Order { app: &app, caller: &caller, request: &request, key: &key, body: &body, route, path };
    order.accept(|aid_id| ExplainAnswer { aid_id }).await
}

/// `GET /api/ai/explanations`, the newest first
pub(in crate::routes) async fn list(
    app: web::Data<App>,
    caller: SignedIn,
    page: Query<Page>,
) -> Result<Json<Listed<StudyAid<ExplanationAsked, Explanation>>>, ApiError> {
    super::list::<ExplanationAsked>(&app, &caller, &page.0, "/api/ai/explanations").await
}

/// `GET /api/ai/explanations/{id}`
pub(in crate::routes) async fn show(
    app: web::Data<App>,
    caller: SignedIn,
    id: Id<AidId>,
) -> Result<Json<StudyAid<ExplanationAsked, Explanation>>, ApiError> {
    super::show::<ExplanationAsked>(&app, &caller, id.0).await
}

async fn check(app: &App, caller: &SignedIn, asked: &ExplanationAsked) -> Result<(), ApiError> {
    let attempt = attempts::find(&mut *app.database.acquire().await?, caller.user.id, asked.attempt_id).await?;
    let attempt = attempt.ok_or_else(|| ApiError::missing("/attempt_id", "There is no such attempt of yours."))?;
    if attempt.status != AttemptStatus::Graded {
        return Err(ApiError::Conflict("The attempt is not graded yet."));
    }
    if attempt.feedback.iter().any(|line| line.question_id == asked.question_id) {
        return Ok(());
    }
    Err(ApiError::missing("/question_id", "The attempt has no such question."))
}
