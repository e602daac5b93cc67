//! `bellwork jobs list`: jobs of the ledger, with the state that Redis knows.

use std::time::Duration;

use anyhow::Context;
use bellwork_queue::Inspector;
use bellwork_shared::ids::{JobId, UserId};
use bellwork_shared::ledger::{JobRow, JobState};
use chrono::{DateTime, Utc};
use clap::Args;
use comfy_table::Row;
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{as_json, explain, parse_state, priority_name, state_tone};
use crate::ages;
use crate::commands::queues;
use crate::screen::{Screen, Tone, cell, number, shortened, table};
use crate::stores;

const HEADER: &[&str] = &["ID", "KIND", "QUEUE", "PRIORITY", "STATE", "FAILED", "AGE", "WHEN", "LAST ERROR"];
/// Which jobs run stands in Redis only, by id: so many of the oldest unfinished rows are looked up there.
const RUNNING_CANDIDATES: i64 = 1000;
/// So much of an error is shown.
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
    /// So many at the most.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

impl List {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        if let Some(queue) = &self.queue {
            queues::find(queue)?;
        }
        let mut conn = stores::database()?.acquire().await.context("the ledger cannot be read")?;
        let mut rows = self.rows(&mut conn).await.context("the ledger cannot be read")?;
        drop(conn);
        let candidates = rows.len();
        overlay(&mut rows, &stores::engine()?.inspector(), self.state, screen).await?;
        rows.retain(|row| self.state.is_none_or(|state| row.state == state));
        rows.truncate(self.limit.into());
        show(&rows, screen)?;
        if self.state == Some(JobState::Running) && i64::try_from(candidates) == Ok(RUNNING_CANDIDATES) {
            screen.hint(format_args!("Only the {RUNNING_CANDIDATES} oldest unfinished jobs were looked at."))?;
        }
        Ok(())
    }

    async fn rows(&self, conn: &mut PgConnection) -> sqlx::Result<Vec<JobRow>> {
        let (queue, kind) = (self.queue.as_deref(), self.kind.as_deref());
        match self.state {
            Some(JobState::Running) => unfinished(conn, queue, kind).await,
            stored => newest(conn, queue, kind, stored, self.limit).await,
        }
    }
}

async fn newest(
    conn: &mut PgConnection,
    queue: Option<&str>,
    kind: Option<&str>,
    state: Option<JobState>,
    limit: u16,
) -> sqlx::Result<Vec<JobRow>> {
    sqlx::query_as!(
        JobRow,
        r#"
        select id as "id: JobId", kind, queue, priority, state as "state: JobState", attempts, max_attempts, run_at,
               created_at, finished_at, last_error, result, submitter as "submitter: UserId"
        from jobs
        where ($1::text is null or queue = $1) and ($2::text is null or kind = $2)
              and ($3::job_state is null or state = $3)
        order by id desc limit $4
        "#,
        queue,
        kind,
        state as Option<JobState>,
        i64::from(limit),
    )
    .fetch_all(conn)
    .await
}

async fn unfinished(conn: &mut PgConnection, queue: Option<&str>, kind: Option<&str>) -> sqlx::Result<Vec<JobRow>> {
    sqlx::query_as!(
        JobRow,
        r#"
        select id as "id: JobId", kind, queue, priority, state as "state: JobState", attempts, max_attempts, run_at,
               created_at, finished_at, last_error, result, submitter as "submitter: UserId"
        from jobs
        where finished_at is null and ($1::text is null or queue = $1) and ($2::text is null or kind = $2)
        order by id limit $3
        "#,
        queue,
        kind,
        RUNNING_CANDIDATES,
    )
    .fetch_all(conn)
    .await
}

/// Marks the running ones. The ledger can be read while Redis is away, unless just these are asked for.
async fn overlay(
    rows: &mut [JobRow],
    inspector: &Inspector,
    wanted: Option<JobState>,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    match try_join_all(rows.iter_mut().map(|row| explain(row, inspector))).await {
        Ok(_) => Ok(()),
        Err(error) if wanted == Some(JobState::Running) => Err(error).context("Redis cannot be asked what runs"),
        Err(error) => {
            let mark = screen.toned(Tone::Caution, "!");
            Ok(screen
                .hint(format_args!("{mark} Redis cannot be asked what runs, so running jobs look ready ({error})."))?)
        }
    }
}

fn show(jobs: &[JobRow], screen: &mut Screen) -> anyhow::Result<()> {
    screen.json(&json!({ "items": jobs.iter().map(as_json).collect::<Vec<Value>>() }))?;
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
