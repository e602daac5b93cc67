//! `bellwork schedules list`: every schedule with its last and next tick.

use anyhow::Context;
use bellwork_jobs::schedules::{self, Schedule};
use bellwork_shared::ids::JobId;
use bellwork_shared::schedules::{Record, list};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use comfy_table::Row;
use serde::Serialize;
use serde_json::json;

use crate::screen::{Screen, Tone, cell, table};
use crate::stores;

const HEADER: &[&str] = &["SCHEDULE", "CRON (UTC)", "STATE", "LAST", "JOB", "NEXT"];

/// Show every schedule with its last and next tick.
#[derive(Debug, Args)]
pub(crate) struct List {}

/// A schedule as programs read it, in the form of `GET /api/admin/schedules`.
#[derive(Debug, Serialize)]
struct Listed {
    name: &'static str,
    cron: &'static str,
    paused: bool,
    paused_at: Option<DateTime<Utc>>,
    next_tick: Option<DateTime<Utc>>,
    last_tick: Option<DateTime<Utc>>,
    last_job_id: Option<JobId>,
}

impl List {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        let names: Vec<_> = schedules::ALL.iter().map(|schedule| schedule.name.to_owned()).collect();
        let mut conn = stores::database()?.acquire().await.context("the schedules cannot be read")?;
        let records = list(&mut conn, &names).await.context("the schedules cannot be read")?;
        let listed = schedules::ALL.iter().zip(records).map(|(schedule, record)| listed(schedule, &record));
        let listed = listed.collect::<anyhow::Result<Vec<_>>>()?;
        screen.json(&json!({ "items": listed }))?;
        let mut rows = table(HEADER);
        rows.add_rows(listed.iter().map(row));
        Ok(screen.table(rows)?)
    }
}

fn listed(schedule: &Schedule, record: &Record) -> anyhow::Result<Listed> {
    let paused = record.paused_at.is_some();
    Ok(Listed {
        name: schedule.name,
        cron: schedule.cron,
        paused,
        paused_at: record.paused_at,
        next_tick: if paused { None } else { schedule.next_tick(Utc::now())? },
        last_tick: record.last_tick,
        last_job_id: record.last_job,
    })
}

fn row(schedule: &Listed) -> Row {
    let state = if schedule.paused { cell("paused", Tone::Caution) } else { cell("open", Tone::Good) };
    let time = |tick: Option<DateTime<Utc>>| {
        tick.map_or_else(|| "–".to_owned(), |tick| tick.to_rfc3339_opts(SecondsFormat::Secs, true))
    };
    Row::from([
        cell(schedule.name, Tone::Strong),
        cell(schedule.cron, Tone::Plain),
        state,
        cell(time(schedule.last_tick), Tone::Plain),
        cell(schedule.last_job_id.map_or_else(|| "–".to_owned(), |id| id.to_string()), Tone::Faint),
        cell(time(schedule.next_tick), Tone::Plain),
    ])
}
