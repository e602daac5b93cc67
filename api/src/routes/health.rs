//! Whether this process works: for people, for whoever restarts it, and for balancers.

use std::time::{Duration, Instant};

use actix_web::web;
use bellwork_shared::cache::Figures;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
use crate::limits::Counting;
use crate::reply::Json;

/// A store that takes longer counts as away.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// How a process and its stores are.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    status: &'static str,
    version: &'static str,
    uptime_seconds: u64,
    streams: usize,
    postgresql: Store,
    redis: Store,
    limits: Counting,
    /// True if this process hears what others change; else what it keeps is flushed and kept for moments.
    cache_hears: bool,
    /// How each cache has done since the process started.
    caches: Vec<Figures>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Store {
    answers: bool,
    milliseconds: u64,
}

/// That something is as it should be.
#[derive(Serialize, ToSchema)]
pub(super) struct Fine {
    status: &'static str,
}

/// `GET /api/health`
pub(super) async fn detail(app: web::Data<App>) -> Json<Health> {
    let (postgresql, redis) = stores(&app).await;
    let status = match (app.is_draining(), postgresql.answers && redis.answers) {
        (true, _) => "draining",
        (false, true) => "ok",
        (false, false) => "degraded",
    };
    Json(Health {
        status,
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: app.started.elapsed().as_secs(),
        streams: app.hub.count(),
        postgresql,
        redis,
        limits: app.limits.health(),
        cache_hears: app.caches.hears(),
        caches: app.caches.figures(),
    })
}

/// `GET /api/health/live`
pub(super) async fn live() -> Json<Fine> {
    Json(Fine { status: "ok" })
}

/// `GET /api/health/ready`
pub(super) async fn ready(app: web::Data<App>) -> Result<Json<Fine>, ApiError> {
    if app.is_draining() {
        return Err(ApiError::Overloaded);
    }
    let (postgresql, redis) = stores(&app).await;
    if postgresql.answers && redis.answers {
        return Ok(Json(Fine { status: "ok" }));
    }
    let (postgresql, redis) = (postgresql.answers, redis.answers);
    Err(ApiError::Unavailable(anyhow::anyhow!("not ready: postgresql={postgresql} redis={redis}")))
}

async fn stores(app: &App) -> (Store, Store) {
    let mut redis = app.redis.clone();
    let ping = redis::cmd("PING");
    // A database that was not migrated serves nobody.
    let migrated = sqlx::query("select 1 from installation").execute(&*app.database);
    tokio::join!(ask(migrated), ask(ping.query_async::<redis::Value>(&mut redis)),)
}

async fn ask<T, E>(question: impl Future<Output = Result<T, E>>) -> Store {
    let asked = Instant::now();
    let answers = matches!(timeout(ANSWER_TIMEOUT, question).await, Ok(Ok(_)));
    Store { answers, milliseconds: u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX) }
}
