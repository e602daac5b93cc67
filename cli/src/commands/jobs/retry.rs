//! `bellwork jobs retry`: lets dead or cancelled jobs run again.

use bellwork_jobs::steering;
use bellwork_jobs::submit::Submitter;
use bellwork_shared::ids::JobId;
use bellwork_shared::ledger::search::Action;
use clap::Args;
use serde_json::json;

use super::many::{MANY, Many};
use super::refused;
use crate::screen::{Screen, Tone};
use crate::stores;

/// Let dead or cancelled jobs run again, with their attempts at zero: one by its id, or many.
#[derive(Debug, Args)]
pub(crate) struct Retry {
    /// The job's id.
    #[arg(required_unless_present_any = MANY, conflicts_with_all = MANY)]
    id: Option<JobId>,
    #[command(flatten)]
    many: Many,
}

impl Retry {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        let Some(id) = self.id else { return self.many.steer(Action::Retry, screen).await };
        let database = stores::database()?;
        let engine = stores::engine()?;
        let (submitter, outbox) = Submitter::start(engine.producer(), database.clone());
        let retried = steering::retry(&database, &engine.inspector(), &submitter, id).await;
        drop(submitter);
        outbox.await?;
        let job = retried.map_err(refused)?;
        screen.json(&json!({ "id": job.id, "kind": job.kind, "queue": job.queue, "state": "ready" }))?;
        let mark = screen.toned(Tone::Good, "✓");
        screen.say(format_args!("{mark} {} {} is open again and waits in {}.", job.kind, job.id, job.queue))?;
        Ok(screen.hint(format_args!("  `bellwork jobs show {}` shows how it fares.", job.id))?)
    }
}
