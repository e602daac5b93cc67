//! `bellwork jobs list`: jobs of the ledger, with the state that Redis knows.

use std::time::Duration;

use anyhow::Context;
use bellwork_jobs::running;
use bellwork_shared::ids::JobId;
use bellwork_shared::ledger::search::{Filter, Found, Search, Standing, search};
use bellwork_shared::ledger::{JobRow, JobState};
use chrono::{DateTime, Utc};
use clap::Args;
use comfy_table::Row;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{as_json, parse_state, priority_name, state_tone};
use crate::ages;
use crate::commands::queues;
use crate::screen::{Screen, Tone, cell, number, shortened, table};
use crate::stores;

const HEADER: &[&str] = &["ID", "KIND", "QUEUE", "PRIORITY", "STATE", "FAILED", "AGE", "WHEN", "LAST ERROR"];
/// The most parts of a search that are asked for: together they look at a million jobs.
const PARTS: usize = 50;
/// Characters of an error that are shown.
const ERROR_ROOM: usize = 48;

/// List jobs, the newest first.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those of this queue.
    #[arg(long)]
    queue: Option<String>,
    /// Only those in this state: scheduled, ready, running, retrying, done, dead or cancelled.
    #[arg(long, value_parser = parse_state)]
    state: Option<JobState>,
    /// Only those of this kind.
    #[arg(long)]
    kind: Option<String>,
    /// Only those whose id begins so (eight digits or more), or that have these words in their kind or last error.
    #[arg(long)]
    q: Option<String>,
    /// The most jobs to list.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

impl List {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        if let Some(queue) = &self.queue {
            queues::find(queue)?;
        }
        let Self { queue, state, kind, q, limit } = self;
        let filter = Filter { queue, state, kind, q, error: None };
        let running = running(state, screen).await?;
        let mut conn = stores::database()?.acquire().await.context("the ledger cannot be read")?;
        let found = find(&mut conn, &filter, &running, limit.into()).await.context("the ledger cannot be read")?;
        show(&found.jobs, screen)?;
        if found.next.is_some() && found.jobs.len() < usize::from(limit) {
            screen.hint("Older jobs were not looked at: there are too many.")?;
        }
        Ok(())
    }
}

/// Goes through the parts of a search until there are enough jobs.
async fn find(conn: &mut PgConnection, filter: &Filter, running: &[JobId], limit: usize) -> sqlx::Result<Found> {
    let mut found = Found { jobs: Vec::new(), next: None };
    for _ in 0..PARTS {
        let part = Search { filter, standing: Standing::Any, among: None, running, before: found.next };
        let wanted = i64::try_from(limit - found.jobs.len()).unwrap_or(i64::MAX);
        let Found { jobs, next } = search(conn, part, wanted).await?;
        found.jobs.extend(jobs);
        found.next = next;
        if next.is_none() || found.jobs.len() == limit {
            break;
        }
    }
    Ok(found)
}

/// The jobs that run. The ledger can be read while Redis is away, unless just these are asked for.
pub(super) async fn running(wanted: Option<JobState>, screen: &mut Screen) -> anyhow::Result<Vec<JobId>> {
    match running::ids(&stores::engine()?.inspector()).await {
        Ok(running) => Ok(running),
        Err(error) if wanted == Some(JobState::Running) => Err(error).context("Redis cannot be asked what runs"),
        Err(error) => {
            let mark = screen.toned(Tone::Caution, "!");
            screen
                .hint(format_args!("{mark} Redis cannot be asked what runs, so running jobs look ready ({error})."))?;
            Ok(Vec::new())
        }
    }
}

fn show(jobs: &[JobRow], screen: &mut Screen) -> anyhow::Result<()> {
    screen.json(&json!({ "items": jobs.iter().map(as_json).collect::<Vec<Value>>() }))?;
    show_table(jobs, screen)
}

/// The jobs for people.
pub(super) fn show_table(jobs: &[JobRow], screen: &mut Screen) -> anyhow::Result<()> {
    if jobs.is_empty() {
        return Ok(screen.say("No such jobs.")?);
    }
    let mut rows = table(HEADER);
    rows.add_rows(jobs.iter().map(row));
    Ok(screen.table(rows)?)
}

fn row(job: &JobRow) -> Row {
    let error = job.last_error.as_deref().map_or_else(String::new, |error| shortened(error, ERROR_ROOM));
    Row::from([
        cell(job.id, Tone::Plain),
        cell(&job.kind, Tone::Strong),
        cell(&job.queue, Tone::Plain),
        cell(priority_name(job.priority), Tone::Plain),
        cell(job.state.name(), state_tone(job.state)),
        number(format_args!("{}/{}", job.attempts, job.max_attempts), Tone::Faint),
        number(ages::roughly(since(job.created_at)), Tone::Plain),
        cell(when(job), Tone::Faint),
        cell(error, Tone::Faint),
    ])
}

fn since(instant: DateTime<Utc>) -> Duration {
    (Utc::now() - instant).to_std().unwrap_or_default()
}

/// When it ended, or when it may run.
fn when(job: &JobRow) -> String {
    if let Some(finished_at) = job.finished_at {
        return format!("ended {} ago", ages::roughly(since(finished_at)));
    }
    match (job.run_at - Utc::now()).to_std() {
        Ok(ahead) => format!("in {}", ages::roughly(ahead)),
        Err(_) => "now".to_owned(),
    }
}
