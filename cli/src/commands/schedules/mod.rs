//! `bellwork schedules …`

mod list;
mod pause;
mod run;

use bellwork_jobs::schedules::{self, Schedule};
use clap::{Args, Subcommand};

use crate::advice::Misuse;
use crate::screen::Screen;

/// See and steer periodic jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum Schedules {
    /// Show every schedule with its last and next tick.
    List(list::List),
    /// Submit its job now, out of turn.
    Run(Named),
    /// Let a schedule rest; ticks that fall into its rest are left out.
    Pause(Named),
    /// Let a schedule fire again, from its next tick on.
    Resume(Named),
}

/// One schedule.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The schedule's name, as `bellwork schedules list` shows it.
    name: String,
}

impl Schedules {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        match self {
            Self::List(command) => command.run(screen).await,
            Self::Run(schedule) => run::run(find(&schedule.name)?, screen).await,
            Self::Pause(schedule) => pause::pause(find(&schedule.name)?, screen).await,
            Self::Resume(schedule) => pause::resume(find(&schedule.name)?, screen).await,
        }
    }
}

fn find(name: &str) -> Result<&'static Schedule, Misuse> {
    schedules::find(name).ok_or_else(|| {
        let known: Vec<_> = schedules::ALL.iter().map(|schedule| schedule.name).collect();
        Misuse(format!("There is no schedule \"{name}\"; there are {}.", known.join(", ")))
    })
}
