//! `bellwork jobs cancel`: lets a job not run, or not leave anything behind.

use bellwork_jobs::steering::{self, WhenRunning};
use bellwork_shared::ids::JobId;
use clap::Args;
use serde_json::json;

use super::refused;
use crate::screen::{Screen, Tone};
use crate::stores;

/// Let a job not run. If it runs already, it is told to end, and nothing of it is recorded.
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The job's id.
    id: JobId,
}

impl Cancel {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        let (database, inspector) = (stores::database()?, stores::engine()?.inspector());
        let row = steering::cancel(&database, &inspector, self.id, WhenRunning::End).await.map_err(refused)?;
        let effect = if steering::is_running(&inspector, &row).await {
            "A process runs it and was told to end it; nothing of it is recorded."
        } else {
            "It will not run."
        };
        screen.json(&json!({ "id": self.id, "state": "cancelled", "was": row.state.name() }))?;
        let mark = screen.toned(Tone::Good, "✓");
        Ok(screen.say(format_args!("{mark} {} {} is cancelled. {effect}", row.kind, self.id))?)
    }
}
