//! `bellwork jobs show`: all about one job.

use anyhow::Context;
use bellwork_jobs::steering;
use bellwork_queue::{JobView, Place};
use bellwork_shared::ids::JobId;
use bellwork_shared::ledger::failures::{self, FailedAttempt};
use bellwork_shared::ledger::{self, JobRow};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{as_json, explain, not_found, priority_name, state_tone};
use crate::screen::{Screen, Tone, cell, number, table};
use crate::stores;

/// Show all about a job: its payload, its failures, and where it is now.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The job's id.
    id: JobId,
}

/// What the row holds beside [`JobRow`].
#[derive(Debug, Serialize)]
struct Particulars {
    version: i16,
    group_key: Option<String>,
    payload: Value,
    trace_parent: Option<String>,
    parent: Option<JobId>,
    children: Vec<JobId>,
}

impl Show {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        let mut conn = stores::database()?.acquire().await.context("the ledger cannot be read")?;
        let mut row = ledger::find(&mut conn, self.id).await?.ok_or_else(|| not_found(self.id))?;
        let particulars = particulars(&mut conn, self.id).await.context("the ledger cannot be read")?;
        let failures = failures::list(&mut conn, self.id).await.context("the ledger cannot be read")?;
        drop(conn);
        let queued = explain(&mut row, &stores::engine()?.inspector()).await;
        let mut answer = as_json(&row);
        if let (Value::Object(answer), Value::Object(more)) = (&mut answer, json!(particulars)) {
            answer.extend(more);
            answer.insert("failures".to_owned(), json!(failures));
            answer.insert("place".to_owned(), json!(queued.as_ref().ok().map(|job| name(place(job.as_ref())))));
            answer.insert("waits_for".to_owned(), json!(queued.as_ref().ok().map(|job| reasons(job.as_ref()))));
        }
        screen.json(&answer)?;
        let place =
            queued.map_or_else(|error| format!("Redis cannot be asked ({error})"), |job| words(job.as_ref(), &row));
        show_job(&row, &particulars, &place, screen)?;
        show_failures(&failures, screen)
    }
}

async fn particulars(conn: &mut PgConnection, id: JobId) -> sqlx::Result<Particulars> {
    sqlx::query_as!(
        Particulars,
        r#"
        select version, group_key, payload, trace_parent, parent as "parent: JobId", children as "children: Vec<JobId>"
        from jobs where id = $1
        "#,
        id as JobId,
    )
    .fetch_one(conn)
    .await
}

fn place(job: Option<&JobView>) -> Place {
    job.map_or(Place::Absent, |job| job.place)
}

/// Why it does not run now.
fn reasons(job: Option<&JobView>) -> Vec<String> {
    job.map_or_else(Vec::new, |job| job.waits_for.iter().map(ToString::to_string).collect())
}

/// Where Redis has it, for programs.
fn name(place: Place) -> &'static str {
    match place {
        Place::Absent => "absent",
        Place::Suspect => "suspect",
        Place::AwaitsNewer => "awaits_newer",
        Place::AwaitsBatch => "awaits_batch",
        Place::Scheduled => "scheduled",
        Place::Ready => "ready",
        Place::Leased => "leased",
        Place::Dead => "dead",
    }
}

/// Where Redis has it and why it waits, for people.
fn words(job: Option<&JobView>, row: &JobRow) -> String {
    match (place(job), job) {
        _ if row.finished_at.is_some() => "has ended; Redis keeps nothing of it".to_owned(),
        (Place::Leased, Some(job)) => {
            let process = job.process.as_deref().unwrap_or("unknown");
            let progress = steering::progress(job).map(|said| format!(", {} %: {}", said.percent, said.message));
            format!("process {process} runs it{}", progress.unwrap_or_default())
        }
        (Place::Dead, _) => "in the dead letters of the engine, on its way to the ledger".to_owned(),
        (_, Some(job)) => format!("waits: {}", reasons(Some(job)).join("; ")),
        (_, None) => "not in Redis; the relay pushes it, or `bellwork queues rebuild`".to_owned(),
    }
}

fn show_job(row: &JobRow, more: &Particulars, place: &str, screen: &mut Screen) -> anyhow::Result<()> {
    let state = screen.toned(state_tone(row.state), row.state.name());
    let payload = serde_json::to_string_pretty(&more.payload)?.replace('\n', "\n             ");
    let children: Vec<_> = more.children.iter().map(ToString::to_string).collect();
    let lines = [
        ("job", Some(screen.toned(Tone::Strong, row.id))),
        ("kind", Some(format!("{}, version {}", row.kind, more.version))),
        ("queue", Some(format!("{}, priority {}", row.queue, priority_name(row.priority)))),
        ("group", more.group_key.clone()),
        ("state", Some(format!("{state}: {place}"))),
        ("failed", Some(format!("{} of {} attempts", row.attempts, row.max_attempts))),
        ("created", Some(time(row.created_at))),
        ("runs from", Some(time(row.run_at))),
        ("ended", row.finished_at.map(time)),
        ("submitter", row.submitter.map(|id| id.to_string())),
        ("parent", more.parent.map(|id| id.to_string())),
        ("children", Some(children.join("\n             ")).filter(|text| !text.is_empty())),
        ("trace", more.trace_parent.clone()),
        ("payload", Some(payload)),
        ("result", row.result.as_ref().map(ToString::to_string)),
        ("last error", row.last_error.as_ref().map(|error| screen.toned(Tone::Bad, error))),
    ];
    for (label, text) in lines {
        if let Some(text) = text {
            let label = screen.toned(Tone::Faint, format_args!("{label:<10}"));
            screen.say(format_args!("  {label} {text}"))?;
        }
    }
    Ok(())
}

fn show_failures(failures: &[FailedAttempt], screen: &mut Screen) -> anyhow::Result<()> {
    if failures.is_empty() {
        return Ok(());
    }
    let mut rows = table(&["ATTEMPT", "AT", "WORKER", "ERROR"]);
    for failed in failures {
        rows.add_row([
            number(failed.attempt, Tone::Plain),
            cell(time(failed.failed_at), Tone::Plain),
            cell(&failed.worker, Tone::Faint),
            cell(&failed.error, Tone::Plain),
        ]);
    }
    screen.say("")?;
    Ok(screen.table(rows)?)
}

fn time(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Millis, true)
}
