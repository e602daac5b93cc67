//! Study aids: asking for one, and looking at it. Each is made by a job, which streams what it writes.

pub(super) mod explanations;
pub(super) mod flashcards;
pub(super) mod study_plans;
pub(super) mod usage;

use actix_web::{HttpRequest, web};
use bellwork_jobs::job::Job;
use bellwork_jobs::submit::{Options, new_job};
use bellwork_shared::ai::aids::{self, AidStatus, NewAid, StudyAid};
use bellwork_shared::ai::budget;
use bellwork_shared::ai::forms::Aid;
use bellwork_shared::idempotency::Answer;
use bellwork_shared::ids::{AidId, JobId};
use bellwork_shared::ledger;
use chrono::Utc;
use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::caller::SignedIn;
use crate::cursor::{Cursors, Listed, Page};
use crate::error::ApiError;
use crate::idempotency::{Effect, IdempotencyKey, Once, Remembered, once};
use crate::input::Body;
use crate::limits::Exceeded;
use crate::observe::trace_parent;
use crate::reply::{Accepted, Json};

/// The name of the daily budget among the policies that a request can violate.
const BUDGET: &str = "ai-daily-budget";

/// A study aid that waits to be made.
#[derive(Serialize, ToSchema)]
pub(super) struct AidOrdered {
    id: AidId,
    status: AidStatus,
    job_id: JobId,
}

/// A request for a study aid.
struct Order<'a, A> {
    app: &'a App,
    caller: &'a SignedIn,
    request: &'a HttpRequest,
    key: &'a IdempotencyKey,
    body: &'a Body<A>,
    /// The route, and where its aids are.
    route: &'static str,
    path: &'static str,
}

impl<A: Aid> Order<'_, A> {
    /// Accepts it: the aid's row and its job's, unless nothing is left of today's budget.
    async fn accept<J: Job>(self, job: impl FnOnce(AidId) -> J) -> Result<Remembered<Accepted<AidOrdered>>, ApiError> {
        let (id, user) = (AidId::new(), self.caller.user.id);
        let trace_parent = Some(trace_parent(self.request));
        let options = Options { submitter: Some(user), trace_parent, ..Options::default() };
        let job = new_job(&job(id), options);
        let ordered = AidOrdered { id, status: AidStatus::Queued, job_id: job.id };
        let answer = Answer { status: 202, location: Some(format!("{}/{id}", self.path)), body: json!(ordered) };
        let once_only = Once { caller: self.caller, route: self.route, key: self.key, body: &self.body.bytes };
        once(self.app, once_only, async |conn| {
            check_budget(self.app, self.caller, conn).await?;
            aids::insert(conn, &NewAid { id, user, job: job.id, asked: &self.body.value }).await?;
            ledger::insert(conn, std::slice::from_ref(&job)).await?;
            Ok(Effect { answer, jobs: vec![job] })
        })
        .await
    }
}

/// Without an AI server nothing costs anything.
async fn check_budget(app: &App, caller: &SignedIn, conn: &mut PgConnection) -> Result<(), ApiError> {
    if app.ai.server.is_none() || !budget::is_exhausted(conn, app.ai.budget, caller.user.id).await? {
        return Ok(());
    }
    let now = Utc::now();
    let retry_after = (budget::next_day(now) - now).num_seconds().unsigned_abs() + 1;
    Err(ApiError::QuotaExceeded(Exceeded { policies: vec![BUDGET], retry_after }))
}

/// A part of the caller's aids of one kind.
async fn list<A: Aid>(
    app: &App,
    caller: &SignedIn,
    page: &Page,
    route: &'static str,
) -> Result<Json<Listed<StudyAid<A, A::Result>>>, ApiError> {
    let limit = page.limit()?;
    let cursors = Cursors::of(app, route).await?;
    let before: Option<AidId> = cursors.position(page)?;
    let list = async |conn: &mut PgConnection| aids::list(conn, caller.user.id, before, limit + 1).await;
    let aids = app.read(caller.reader(), list).await?;
    Ok(Json(cursors.listed(aids, limit, |aid| aid.id)))
}

/// One of the caller's aids.
async fn show<A: Aid>(
    app: &web::Data<App>,
    caller: &SignedIn,
    id: AidId,
) -> Result<Json<StudyAid<A, A::Result>>, ApiError> {
    let find = async |conn: &mut PgConnection| aids::find(conn, caller.user.id, id).await;
    let aid = app.read(caller.reader(), find).await?;
    aid.map(Json).ok_or(ApiError::NotFound)
}
