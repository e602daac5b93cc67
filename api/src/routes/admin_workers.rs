//! Worker processes, as operators see them.

use std::collections::BTreeMap;

use actix_web::web;
use bellwork_jobs::{queues, running};
use bellwork_queue::ServingProcess;
use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::cursor::Listed;
use crate::error::ApiError;
use crate::reply::Json;

/// A process that runs jobs.
#[derive(Serialize, ToSchema)]
#[schema(as = Worker)]
pub(super) struct WorkerView {
    /// New at each start.
    id: String,
    /// Whether it has beaten lately. After six seconds of silence others take its jobs, and it is struck off.
    alive: bool,
    host: Option<String>,
    pid: Option<u32>,
    started_at: Option<DateTime<Utc>>,
    last_beat_at: Option<DateTime<Utc>>,
    /// How many jobs it runs.
    busy: usize,
    queues: Vec<Served>,
}

/// A queue that a process serves.
#[derive(Serialize, ToSchema)]
#[schema(as = ServedQueue)]
pub(super) struct Served {
    name: &'static str,
    /// How many of its jobs the process runs.
    busy: usize,
}

/// `GET /api/admin/workers`
pub(super) async fn list(app: web::Data<App>) -> Result<Json<Listed<WorkerView>>, ApiError> {
    let serving = async |queue: &'static str| app.inspector.processes(queue).await.map(|found| (queue, found));
    let serving = try_join_all(queues::ALL.iter().map(|queue| serving(queue.name)));
    let (serving, running) = futures_util::try_join!(serving, running::by_queue(&app.inspector))?;
    let mut workers = BTreeMap::new();
    for (queue, processes) in serving {
        let running = running.iter().filter(|(name, _)| *name == queue).flat_map(|(_, jobs)| jobs);
        let running: Vec<_> = running.map(|job| &job.process).collect();
        for process in processes {
            let busy = running.iter().filter(|runner| ***runner == process.process).count();
            let worker = workers.entry(process.process.clone()).or_insert_with(|| WorkerView::of(process));
            worker.busy += busy;
            worker.queues.push(Served { name: queue, busy });
        }
    }
    Ok(Json(Listed { items: workers.into_values().collect(), next_cursor: None }))
}

impl WorkerView {
    fn of(process: ServingProcess) -> Self {
        let started_at = process.info.as_ref().and_then(|info| DateTime::from_timestamp_millis(info.started));
        Self {
            alive: process.alive,
            started_at,
            last_beat_at: DateTime::from_timestamp_millis(process.last_beat),
            pid: process.info.as_ref().map(|info| info.pid),
            host: process.info.map(|info| info.host),
            id: process.process,
            busy: 0,
            queues: Vec::new(),
        }
    }
}
