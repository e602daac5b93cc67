//! Queues, as operators see and steer them.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use bellwork_jobs::queues::{self, Queue};
use bellwork_queue::{Counts, Priority};
use bellwork_shared::ledger;
use chrono::Utc;
use futures_util::future::{Ready, ready, try_join_all};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::app::App;
use crate::cursor::Listed;
use crate::describe::{Description, Takes};
use crate::error::ApiError;
use crate::reply::Json;

/// A queue, as operators see it.
#[derive(Serialize, ToSchema)]
#[schema(as = Queue)]
pub(super) struct QueueView {
    name: &'static str,
    paused: bool,
    /// How many of its jobs one worker process runs at a time by default.
    concurrency: usize,
    counts: JobCounts,
    by_priority: PriorityCounts,
    oldest_ready_seconds: Option<f64>,
    workers: u64,
}

#[derive(Serialize, ToSchema)]
struct JobCounts {
    ready: u64,
    scheduled: u64,
    running: u64,
    /// Those of the ledger: every job that was given up and not retried.
    dead: i64,
}

#[derive(Serialize, ToSchema)]
struct PriorityCounts {
    critical: u64,
    high: u64,
    normal: u64,
    low: u64,
}

/// The queue that a path names.
pub(super) struct Named(&'static Queue);

impl FromRequest for Named {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let queue = request.match_info().get("name").and_then(queues::find);
        ready(queue.map(Self).ok_or(ApiError::NotFound))
    }
}

impl Takes for Named {
    fn describe(description: &mut Description) {
        let names = queues::ALL.iter().map(|queue| queue.name);
        let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names));
        description.path_parameter("name", schema.into());
    }
}

/// `GET /api/admin/queues`
pub(super) async fn list(app: web::Data<App>) -> Result<Json<Listed<QueueView>>, ApiError> {
    let dead = ledger::count_dead(&mut *app.database.acquire().await?).await?;
    let items = try_join_all(queues::ALL.iter().map(|queue| view(&app, queue, &dead))).await?;
    Ok(Json(Listed { items, next_cursor: None }))
}

/// `POST /api/admin/queues/{name}/pause`
pub(super) async fn pause(app: web::Data<App>, queue: Named) -> Result<Json<QueueView>, ApiError> {
    app.inspector.pause(queue.0.name).await?;
    show(&app, queue.0).await
}

/// `POST /api/admin/queues/{name}/resume`
pub(super) async fn resume(app: web::Data<App>, queue: Named) -> Result<Json<QueueView>, ApiError> {
    app.inspector.resume(queue.0.name).await?;
    show(&app, queue.0).await
}

async fn show(app: &App, queue: &'static Queue) -> Result<Json<QueueView>, ApiError> {
    let dead = ledger::count_dead(&mut *app.database.acquire().await?).await?;
    Ok(Json(view(app, queue, &dead).await?))
}

async fn view(app: &App, queue: &'static Queue, dead: &[(String, i64)]) -> Result<QueueView, ApiError> {
    let found = app.inspector.counts(queue.name).await?;
    let dead = dead.iter().find(|(name, _)| name == queue.name).map_or(0, |(_, dead)| *dead);
    let age = found.oldest_ready_ms.map(|since| (Utc::now().timestamp_millis() - since).max(0) as f64 / 1000.0);
    Ok(QueueView {
        name: queue.name,
        paused: found.paused,
        concurrency: queue.concurrency,
        counts: JobCounts { ready: found.ready_total(), scheduled: found.scheduled, running: found.running, dead },
        by_priority: by_priority(&found),
        oldest_ready_seconds: age,
        workers: found.workers,
    })
}

fn by_priority(counts: &Counts) -> PriorityCounts {
    let of = |priority: Priority| counts.ready[priority as usize];
    PriorityCounts {
        critical: of(Priority::Critical),
        high: of(Priority::High),
        normal: of(Priority::Normal),
        low: of(Priority::Low),
    }
}
