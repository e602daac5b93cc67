//! `bellwork queues list`: every queue with its jobs by state.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use bellwork_jobs::queues::{self, Queue};
use bellwork_queue::Inspector;
use bellwork_shared::ledger;
use chrono::Utc;
use clap::Args;
use comfy_table::{Cell, Row};
use futures_util::future::try_join_all;
use serde::Serialize;

use crate::ages;
use crate::screen::{Screen, Tone, cell, number, table};
use crate::stores;

const HEADER: &[&str] =
    &["QUEUE", "STATE", "CRITICAL", "HIGH", "NORMAL", "LOW", "SCHEDULED", "RUNNING", "DEAD", "OLDEST", "PROCESSES"];

/// Show every queue with its jobs by state.
#[derive(Debug, Args)]
pub(crate) struct List {}

/// A queue as programs read it, in the form of `GET /api/admin/queues`.
#[derive(Debug, Serialize)]
struct Listed {
    name: &'static str,
    paused: bool,
    concurrency: usize,
    counts: ByState,
    by_priority: ByPriority,
    oldest_ready_seconds: Option<f64>,
    workers: u64,
}

#[derive(Debug, Serialize)]
struct ByState {
    ready: u64,
    scheduled: u64,
    running: u64,
    dead: u64,
}

#[derive(Debug, Serialize)]
struct ByPriority {
    critical: u64,
    high: u64,
    normal: u64,
    low: u64,
}

impl List {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        let inspector = stores::engine()?.inspector();
        let dead = dead_by_queue().await.context("the dead jobs cannot be counted")?;
        let listed = try_join_all(queues::ALL.iter().map(|queue| list(queue, &inspector, &dead))).await?;
        screen.json(&serde_json::json!({ "items": listed }))?;
        let mut rows = table(HEADER);
        rows.add_rows(listed.iter().map(row));
        screen.table(rows)?;
        show_advice(&listed, screen)
    }
}

async fn dead_by_queue() -> anyhow::Result<HashMap<String, i64>> {
    let mut conn = stores::database()?.acquire().await?;
    Ok(ledger::count_dead(&mut conn).await?.into_iter().collect())
}

async fn list(queue: &Queue, inspector: &Inspector, dead: &HashMap<String, i64>) -> anyhow::Result<Listed> {
    let counts = inspector.counts(queue.name).await.with_context(|| format!("{} cannot be counted", queue.name))?;
    let [critical, high, normal, low] = counts.ready;
    let dead = dead.get(queue.name).copied().unwrap_or_default().unsigned_abs();
    Ok(Listed {
        name: queue.name,
        paused: counts.paused,
        concurrency: queue.concurrency,
        by_priority: ByPriority { critical, high, normal, low },
        oldest_ready_seconds: counts.oldest_ready_ms.map(seconds_since),
        workers: counts.workers,
        counts: ByState { ready: counts.ready_total(), scheduled: counts.scheduled, running: counts.running, dead },
    })
}

fn seconds_since(millis: i64) -> f64 {
    let since = Utc::now().timestamp_millis().saturating_sub(millis).max(0);
    Duration::from_millis(since.unsigned_abs()).as_secs_f64()
}

fn row(queue: &Listed) -> Row {
    let state = if queue.paused { cell("paused", Tone::Caution) } else { cell("open", Tone::Good) };
    let oldest =
        queue.oldest_ready_seconds.map_or_else(|| "–".to_owned(), |age| ages::roughly(Duration::from_secs_f64(age)));
    let without_workers = if queue.workers == 0 { Tone::Bad } else { Tone::Plain };
    let mut cells = vec![cell(queue.name, Tone::Strong), state];
    let ByPriority { critical, high, normal, low } = queue.by_priority;
    cells.extend([critical, high, normal, low].map(|ready| count(ready, Tone::Plain)));
    cells.extend([
        count(queue.counts.scheduled, Tone::Plain),
        count(queue.counts.running, Tone::Good),
        count(queue.counts.dead, Tone::Bad),
        number(oldest, Tone::Plain),
        number(queue.workers, without_workers),
    ]);
    cells.into()
}

/// A number in its tone; nothing to see where there is nothing.
fn count(jobs: u64, tone: Tone) -> Cell {
    number(jobs, if jobs == 0 { Tone::Faint } else { tone })
}

fn show_advice(listed: &[Listed], screen: &mut Screen) -> anyhow::Result<()> {
    if listed.iter().all(|queue| queue.workers == 0) {
        let mark = screen.toned(Tone::Caution, "!");
        screen.hint(format_args!("{mark} No process works on any queue: start start-workers, or scripts/run."))?;
    }
    if let Some(queue) = listed.iter().find(|queue| queue.counts.dead > 0) {
        screen.hint(format_args!("  `bellwork jobs list --queue {} --state dead` shows dead jobs.", queue.name))?;
    }
    Ok(())
}
