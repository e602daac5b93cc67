//! `bellwork queues …`

mod list;
mod pause;
mod rebuild;

use bellwork_jobs::queues::{self, Queue};
use clap::{Args, Subcommand};

use crate::advice::Misuse;
use crate::screen::Screen;

/// See and steer queues.
#[derive(Debug, Subcommand)]
pub(crate) enum Queues {
    /// Show every queue with its jobs by state.
    List(list::List),
    /// Let no process claim jobs of a queue; what runs goes on.
    Pause(Named),
    /// Let jobs of a queue be claimed again.
    Resume(Named),
    /// Push every unfinished job of the ledger that Redis does not have.
    Rebuild(rebuild::Rebuild),
}

/// One queue.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The queue's name, as `bellwork queues list` shows it.
    name: String,
}

impl Queues {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        match self {
            Self::List(command) => command.run(screen).await,
            Self::Pause(queue) => pause::pause(find(&queue.name)?, screen).await,
            Self::Resume(queue) => pause::resume(find(&queue.name)?, screen).await,
            Self::Rebuild(command) => command.run(screen).await,
        }
    }
}

/// The queue of that name.
pub(super) fn find(name: &str) -> Result<&'static Queue, Misuse> {
    queues::find(name).ok_or_else(|| {
        let known: Vec<_> = queues::ALL.iter().map(|queue| queue.name).collect();
        Misuse(format!("There is no queue \"{name}\"; there are {}.", known.join(", ")))
    })
}
