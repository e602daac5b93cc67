//! `bellwork jobs retry`: lets a dead or cancelled job run again.

use bellwork_jobs::steering;
use bellwork_jobs::submit::Submitter;
use bellwork_shared::ids::JobId;
use clap::Args;
use serde_json::json;

use super::refused;
use crate::screen::{Screen, Tone};
use crate::stores;

/// Let a dead or cancelled job run again, with its attempts at zero.
#[derive(Debug, Args)]
pub(crate) struct Retry {
    /// The job's id.
    id: JobId,
}

impl Retry {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        let database = stores::database()?;
        let engine = stores::engine()?;
        let (submitter, outbox) = Submitter::start(engine.producer(), database.clone());
        let retried = steering::retry(&database, &engine.inspector(), &submitter, self.id).await;
        drop(submitter);
        outbox.await?;
        let job = retried.map_err(refused)?;
        screen.json(&json!({ "id": job.id, "kind": job.kind, "queue": job.queue, "state": "ready" }))?;
        let mark = screen.toned(Tone::Good, "✓");
        screen.say(format_args!("{mark} {} {} is open again and waits in {}.", job.kind, job.id, job.queue))?;
        Ok(screen.hint(format_args!("  `bellwork jobs show {}` shows how it fares.", job.id))?)
    }
}
