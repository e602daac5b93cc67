//! `bellwork jobs cancel`: lets jobs not run, or not leave anything behind.

use bellwork_jobs::steering::{self, WhenRunning};
use bellwork_shared::ids::JobId;
use bellwork_shared::ledger::search::Action;
use clap::Args;
use serde_json::json;

use super::many::{MANY, Many};
use super::refused;
use crate::screen::{Screen, Tone};
use crate::stores;

/// Let jobs not run: one by its id, or many. What runs already is told to end, and nothing of it is recorded.
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The job's id.
    #[arg(required_unless_present_any = MANY, conflicts_with_all = MANY)]
    id: Option<JobId>,
    #[command(flatten)]
    many: Many,
}

impl Cancel {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        let Some(id) = self.id else { return self.many.steer(Action::Cancel, screen).await };
        let (database, inspector) = (stores::database()?, stores::engine()?.inspector());
        let row = steering::cancel(&database, &inspector, id, WhenRunning::End).await.map_err(refused)?;
        let effect = if steering::is_running(&inspector, &row).await {
            "A process runs it and was told to end it; nothing of it is recorded."
        } else {
            "It will not run."
        };
        screen.json(&json!({ "id": id, "state": "cancelled", "was": row.state.name() }))?;
        let mark = screen.toned(Tone::Good, "✓");
        Ok(screen.say(format_args!("{mark} {} {} is cancelled. {effect}", row.kind, id))?)
    }
}
