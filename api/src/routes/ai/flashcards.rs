//! Flashcards from questions that one has answered.

use actix_web::{HttpRequest, web};
use bellwork_jobs::kinds::make_flashcards::MakeFlashcards;
use bellwork_shared::ai::aids::StudyAid;
use bellwork_shared::ai::forms::{Flashcards, FlashcardsAsked, Name};
use bellwork_shared::ai::seen_questions::{self, Choosing};
use bellwork_shared::attempts::{self, AttemptStatus};
use bellwork_shared::ids::AidId;
use sqlx::PgConnection;

use super::{AidOrdered, Order};
use crate::app::App;
use crate::auth::caller::SignedIn;
use crate::cursor::{Listed, Page};
use crate::error::ApiError;
use crate::idempotency::{IdempotencyKey, Remembered};
use crate::input::{Body, Id, Query};
use crate::reply::{Accepted, Json};

/// `POST /api/ai/flashcards`
pub(in crate::routes) async fn ask(
    app: web::Data<App>,
    caller: SignedIn,
    request: HttpRequest,
    key: IdempotencyKey,
    body: Body<FlashcardsAsked>,
) -> Result<Remembered<Accepted<AidOrdered>>, ApiError> {
    check(&app, &caller, &body.value).await?;
    let (route, path) = ("POST /api/ai/flashcards", "/api/ai/flashcards");
    let order = Order { app: &app, caller: &caller, request: &request, key: &key, body: &body, route, path };
    order.accept(|aid_id| MakeFlashcards { aid_id }).await
}

/// `GET /api/ai/flashcards`, the newest first
pub(in crate::routes) async fn list(
    app: web::Data<App>,
    caller: SignedIn,
    page: Query<Page>,
) -> Result<Json<Listed<StudyAid<FlashcardsAsked, Flashcards>>>, ApiError> {
    super::list::<FlashcardsAsked>(&app, &caller, &page.0, "/api/ai/flashcards").await
}

/// `GET /api/ai/flashcards/{id}`
pub(in crate::routes) async fn show(
    app: web::Data<App>,
    caller: SignedIn,
    id: Id<AidId>,
) -> Result<Json<StudyAid<FlashcardsAsked, Flashcards>>, ApiError> {
    super::show::<FlashcardsAsked>(&app, &caller, id.0).await
}

async fn check(app: &App, caller: &SignedIn, asked: &FlashcardsAsked) -> Result<(), ApiError> {
    match (asked.attempt_id, &asked.subject, &asked.topic) {
        (Some(_), None, None) | (None, Some(_), _) => {}
        (Some(_), _, _) => return Err(ApiError::invalid("/attempt_id", "Name an attempt, or a subject, not both.")),
        (None, None, _) => return Err(ApiError::invalid("/subject", "Name an attempt, or a subject.")),
    }
    let mut conn = app.database.acquire().await?;
    check_attempt(&mut conn, caller, asked).await?;
    let (subject, topic) = (asked.subject.as_ref().map(Name::as_str), asked.topic.as_ref().map(Name::as_str));
    let choosing = Choosing { attempt: asked.attempt_id, subject, topic };
    if seen_questions::worst(&mut conn, caller.user.id, choosing, 1).await?.is_empty() {
        return Err(ApiError::Conflict("Cards are made from questions that you have answered: take a test first."));
    }
    Ok(())
}

async fn check_attempt(conn: &mut PgConnection, caller: &SignedIn, asked: &FlashcardsAsked) -> Result<(), ApiError> {
    let Some(id) = asked.attempt_id else { return Ok(()) };
    let attempt = attempts::find(conn, caller.user.id, id).await?;
    let attempt = attempt.ok_or_else(|| ApiError::missing("/attempt_id", "There is no such attempt of yours."))?;
    if attempt.status == AttemptStatus::Graded {
        return Ok(());
    }
    Err(ApiError::Conflict("The attempt is not graded yet."))
}
