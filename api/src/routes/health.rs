//! Whether this process works: for people, for whoever restarts it, and for balancers.

use actix_web::web;
use bellwork_shared::cache::Figures;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
use crate::limits::Counting;
use crate::probe::{Store, Stores};
use crate::reply::Json;

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

/// That something is as it should be.
#[derive(Serialize, ToSchema)]
pub(super) struct Fine {
    status: &'static str,
}

/// `GET /api/health`
pub(super) async fn detail(app: web::Data<App>) -> Json<Health> {
    let Stores { postgresql, redis } = app.probe.stores().await;
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
    let Stores { postgresql, redis } = app.probe.stores().await;
    if postgresql.answers && redis.answers {
        return Ok(Json(Fine { status: "ok" }));
    }
    let (postgresql, redis) = (postgresql.answers, redis.answers);
    Err(ApiError::Unavailable(anyhow::anyhow!("not ready: postgresql={postgresql} redis={redis}")))
}
