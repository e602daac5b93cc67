//! `bellwork schedules run`: submits a periodic job out of turn.

use anyhow::Context;
use bellwork_jobs::schedules::Schedule;
use bellwork_jobs::submit::Submitter;
use bellwork_shared::ledger;
use serde_json::json;

use crate::screen::{Screen, Tone};
use crate::stores;

/// Submits its job now.
pub(super) async fn run(schedule: &Schedule, screen: &mut Screen) -> anyhow::Result<()> {
    let database = stores::database()?;
    let job = (schedule.job)();
    let mut tx = database.begin().await.context("the job was not accepted")?;
    ledger::insert(&mut tx, std::slice::from_ref(&job)).await.context("the job was not accepted")?;
    tx.commit().await.context("nobody knows whether the job was accepted")?;
    let (submitter, outbox) = Submitter::start(stores::engine()?.producer(), database);
    submitter.push(std::slice::from_ref(&job)).await;
    drop(submitter);
    outbox.await?;
    screen.json(&json!({ "schedule": schedule.name, "job_id": job.id }))?;
    let mark = screen.toned(Tone::Good, "✓");
    screen.say(format_args!("{mark} {} {} waits in {}.", job.kind, job.id, job.queue))?;
    Ok(screen.hint(format_args!("  `bellwork jobs show {}` shows how it fares.", job.id))?)
}
