//! Schedules, as operators see and steer them.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use bellwork_jobs::schedules::{self, Missed, Schedule};
use bellwork_shared::idempotency::Answer;
use bellwork_shared::ids::JobId;
use bellwork_shared::ledger;
use bellwork_shared::schedules::{Record, list as records, pause as rest, resume as wake};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::future::{Ready, ready};
use serde::Serialize;
use serde_json::json;
use tracing::info;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::app::App;
use crate::auth::caller::SignedIn;
use crate::cursor::Listed;
use crate::describe::{Description, Takes};
use crate::error::ApiError;
use crate::idempotency::{Effect, IdempotencyKey, Once, Remembered, once};
use crate::observe::trace_parent;
use crate::reply::{Accepted, Json};

/// A periodic job, as operators see it.
#[derive(Serialize, ToSchema)]
#[schema(as = Schedule)]
pub(super) struct ScheduleView {
    name: &'static str,
    /// Second, minute, hour, day of month, month, day of week; UTC.
    cron: &'static str,
    /// What happens to ticks that no worker was there for: `run_once` makes up for the last, `skip` leaves them out.
    missed: &'static str,
    paused: bool,
    paused_at: Option<DateTime<Utc>>,
    /// When it fires next; none while it is paused.
    next_tick: Option<DateTime<Utc>>,
    last_tick: Option<DateTime<Utc>>,
    /// The job of that tick.
    last_job_id: Option<JobId>,
}

/// A job out of turn.
#[derive(Serialize, ToSchema)]
#[schema(as = ScheduleRun)]
pub(super) struct Run {
    schedule: &'static str,
    job_id: JobId,
}

/// The schedule that a path names.
pub(super) struct Named(&'static Schedule);

impl FromRequest for Named {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let schedule = request.match_info().get("name").and_then(schedules::find);
        ready(schedule.map(Self).ok_or(ApiError::NotFound))
    }
}

impl Takes for Named {
    fn describe(description: &mut Description) {
        let names = schedules::ALL.iter().map(|schedule| schedule.name);
        let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names));
        description.path_parameter("name", schema.into());
    }
}

/// `GET /api/admin/schedules`
pub(super) async fn list(app: web::Data<App>) -> Result<Json<Listed<ScheduleView>>, ApiError> {
    let names: Vec<_> = schedules::ALL.iter().map(|schedule| schedule.name.to_owned()).collect();
    let records = records(&mut *app.database.acquire().await?, &names).await?;
    let items = schedules::ALL.iter().zip(records).map(|(schedule, record)| view(schedule, record));
    Ok(Json(Listed { items: items.collect::<Result<_, _>>()?, next_cursor: None }))
}

/// `POST /api/admin/schedules/{name}/run`: now, whatever its ticks, and even while it is paused.
pub(super) async fn run(
    app: web::Data<App>,
    caller: SignedIn,
    request: HttpRequest,
    key: IdempotencyKey,
    schedule: Named,
) -> Result<Remembered<Accepted<Run>>, ApiError> {
    let Named(schedule) = schedule;
    let mut job = (schedule.job)();
    job.submitter = Some(caller.user.id);
    job.trace_parent = Some(trace_parent(&request));
    let run = Run { schedule: schedule.name, job_id: job.id };
    let location = Some(format!("/api/admin/jobs/{}", job.id));
    let answer = Answer { status: 202, location, body: json!(run) };
    // There is no body, and a key that was used for another schedule is free for this one.
    let route = format!("POST /api/admin/schedules/{}/run", schedule.name);
    once(&app, Once { caller: &caller, route: &route, key: &key, body: &Bytes::new() }, async |conn| {
        ledger::insert(conn, std::slice::from_ref(&job)).await?;
        Ok(Effect { answer, jobs: vec![job] })
    })
    .await
}

/// `POST /api/admin/schedules/{name}/pause`
pub(super) async fn pause(
    app: web::Data<App>,
    caller: SignedIn,
    schedule: Named,
) -> Result<Json<ScheduleView>, ApiError> {
    rest(&mut *app.database.acquire().await?, schedule.0.name).await?;
    info!(by = %caller.user.id, schedule = schedule.0.name, "schedule paused");
    show(&app, schedule.0).await
}

/// `POST /api/admin/schedules/{name}/resume`
pub(super) async fn resume(
    app: web::Data<App>,
    caller: SignedIn,
    schedule: Named,
) -> Result<Json<ScheduleView>, ApiError> {
    wake(&mut *app.database.acquire().await?, schedule.0.name).await?;
    info!(by = %caller.user.id, schedule = schedule.0.name, "schedule resumed");
    show(&app, schedule.0).await
}

async fn show(app: &App, schedule: &'static Schedule) -> Result<Json<ScheduleView>, ApiError> {
    let records = records(&mut *app.database.acquire().await?, &[schedule.name.to_owned()]).await?;
    let record = records.into_iter().next().ok_or(ApiError::NotFound)?;
    Ok(Json(view(schedule, record)?))
}

fn view(schedule: &'static Schedule, record: Record) -> Result<ScheduleView, ApiError> {
    let paused = record.paused_at.is_some();
    Ok(ScheduleView {
        name: schedule.name,
        cron: schedule.cron,
        missed: match schedule.missed {
            Missed::RunOnce => "run_once",
            Missed::Skip => "skip",
        },
        paused,
        paused_at: record.paused_at,
        next_tick: if paused { None } else { schedule.next_tick(Utc::now())? },
        last_tick: record.last_tick,
        last_job_id: record.last_job,
    })
}
