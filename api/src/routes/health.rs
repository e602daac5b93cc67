//! Whether this process works: for people, for whoever restarts it, and for balancers.

use std::time::{Duration, Instant};

use actix_web::{HttpResponse, web};
use serde::Serialize;
use tokio::time::timeout;

use crate::app::App;
use crate::error::ApiError;

/// A store that takes longer counts as away.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Serialize)]
pub(super) struct Health {
    status: &'static str,
    version: &'static str,
    uptime_seconds: u64,
    streams: usize,
    postgresql: Store,
    redis: Store,
}

#[derive(Serialize)]
pub(super) struct Store {
    answers: bool,
    milliseconds: u128,
}

/// `GET /api/health`
pub(super) async fn detail(app: web::Data<App>) -> web::Json<Health> {
    let (postgresql, redis) = stores(&app).await;
    let status = match (app.is_draining(), postgresql.answers && redis.answers) {
        (true, _) => "draining",
        (false, true) => "ok",
        (false, false) => "degraded",
    };
    web::Json(Health {
        status,
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: app.started.elapsed().as_secs(),
        streams: app.hub.count(),
        postgresql,
        redis,
    })
}

/// `GET /api/health/live`
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "status": "ok" }))
}

/// `GET /api/health/ready`
pub(super) async fn ready(app: web::Data<App>) -> Result<HttpResponse, ApiError> {
    if app.is_draining() {
        return Err(ApiError::Overloaded);
    }
    let (postgresql, redis) = stores(&app).await;
    if postgresql.answers && redis.answers {
        return Ok(HttpResponse::Ok().json(serde_json::json!({ "status": "ok" })));
    }
    let (postgresql, redis) = (postgresql.answers, redis.answers);
    Err(ApiError::Unavailable(anyhow::anyhow!("not ready: postgresql={postgresql} redis={redis}")))
}

async fn stores(app: &App) -> (Store, Store) {
    let mut redis = app.redis.clone();
    let ping = redis::cmd("PING");
    // A database that was not migrated serves nobody.
    let migrated = sqlx::query("select 1 from installation").execute(&app.database);
    tokio::join!(ask(migrated), ask(ping.query_async::<redis::Value>(&mut redis)),)
}

async fn ask<T, E>(question: impl Future<Output = Result<T, E>>) -> Store {
    let asked = Instant::now();
    let answers = matches!(timeout(ANSWER_TIMEOUT, question).await, Ok(Ok(_)));
    Store { answers, milliseconds: asked.elapsed().as_millis() }
}
