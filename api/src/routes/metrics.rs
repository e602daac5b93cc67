//! Prometheus text, for the machine itself and for whoever has the token.

use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, Responder, web};
use bellwork_jobs::queues::{self, Queue};
use bellwork_queue::Inspector;
use bellwork_shared::ledger;
use bellwork_shared::votes::history;
use chrono::Utc;
use metrics::gauge;
use tokio::time::timeout;
use utoipa::openapi::schema::{Object, Type};

use crate::app::App;
use crate::auth::bearer;
use crate::describe::{Answers, Description};
use crate::error::ApiError;

/// Prometheus text format, version 0.0.4.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// How long a scrape waits for the queues' figures; without them it shows the last ones.
const QUEUES_TIMEOUT: Duration = Duration::from_secs(1);

/// Text in Prometheus's format.
pub(super) struct Exposition(String);

impl Responder for Exposition {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().insert_header((header::CONTENT_TYPE, TEXT)).body(self.0)
    }
}

impl Answers for Exposition {
    fn describe(description: &mut Description) {
        description.answers(200, "Prometheus text.", TEXT, Object::with_type(Type::String).into());
    }
}

/// `GET /api/metrics`
pub(super) async fn render(app: web::Data<App>, request: HttpRequest) -> Result<Exposition, ApiError> {
    if !may_read(&request, app.config.metrics_token.as_deref()) {
        return Err(ApiError::Forbidden("Metrics are for the machine itself, and for who has the token."));
    }
    app.caches.publish();
    set_pool_gauges(&app);
    set_partition_gauge(&app).await;
    if timeout(QUEUES_TIMEOUT, set_queue_gauges(&app)).await.is_err() {
        tracing::debug!("a scrape without figures of the queues");
    }
    Ok(Exposition(app.metrics.render()))
}

/// A request that a proxy has passed on comes from loopback too, but says so.
fn may_read(request: &HttpRequest, token: Option<&str>) -> bool {
    let headers = request.headers();
    let proxied = ["forwarded", "x-forwarded-for", "x-real-ip"].iter().any(|name| headers.contains_key(*name));
    let loopback = request.peer_addr().is_some_and(|peer| peer.ip().to_canonical().is_loopback());
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
    let has_token = token.zip(sent).is_some_and(|(token, sent)| is_same(token, sent));
    (loopback && !proxied) || has_token
}

/// Takes as long for any two texts of the same length.
fn is_same(token: &str, sent: &str) -> bool {
    let difference = token.bytes().zip(sent.bytes()).fold(0, |difference, (a, b)| difference | (a ^ b));
    token.len() == sent.len() && difference == 0
}

fn set_pool_gauges(app: &App) {
    gauge!("bellwork_db_pool_waiting", "pool" => "primary").set(app.database.waiting() as f64);
    let pool = app.database.pool();
    let (size, idle) = (f64::from(pool.size()), pool.num_idle() as f64);
    gauge!("bellwork_db_pool_connections", "pool" => "primary", "state" => "idle").set(idle);
    gauge!("bellwork_db_pool_connections", "pool" => "primary", "state" => "busy").set((size - idle).max(0.0));
}

/// Rows for which no partition was made in time.
async fn set_partition_gauge(app: &App) {
    let count = async || history::in_default(&mut *app.database.acquire().await?).await;
    if let Ok(Ok(rows)) = timeout(QUEUES_TIMEOUT, count()).await {
        gauge!("bellwork_default_partition_rows", "table" => "vote_events").set(rows as f64);
    }
}

/// What a store that is away would say stays as it was.
async fn set_queue_gauges(app: &App) {
    let (dead, ()) = tokio::join!(count_dead(app), async {
        let gauges = queues::ALL.iter().map(|queue| set_gauges_of(&app.inspector, queue));
        futures_util::future::join_all(gauges).await;
    });
    let Ok(dead) = dead else { return };
    for queue in queues::ALL {
        let jobs = dead.iter().find(|(name, _)| name == queue.name).map_or(0, |(_, jobs)| *jobs);
        gauge!("bellwork_queue_jobs", "queue" => queue.name, "state" => "dead").set(jobs as f64);
    }
}

async fn count_dead(app: &App) -> sqlx::Result<Vec<(String, i64)>> {
    ledger::count_dead(&mut *app.database.acquire().await?).await
}

async fn set_gauges_of(inspector: &Inspector, queue: &Queue) {
    let Ok(counts) = inspector.counts(queue.name).await else { return };
    for (state, jobs) in [("ready", counts.ready_total()), ("scheduled", counts.scheduled), ("running", counts.running)]
    {
        gauge!("bellwork_queue_jobs", "queue" => queue.name, "state" => state).set(jobs as f64);
    }
    let age = counts.oldest_ready_ms.map_or(0, |since| (Utc::now().timestamp_millis() - since).max(0));
    gauge!("bellwork_queue_oldest_seconds", "queue" => queue.name).set(age as f64 / 1000.0);
}
