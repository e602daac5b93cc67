//! `bellwork leaderboards …`

mod rebuild;

use clap::Subcommand;

use crate::screen::Screen;

/// Steer leaderboards.
#[derive(Debug, Subcommand)]
pub(crate) enum Leaderboards {
    /// Compare all boards with the attempts that they come from, and put them right.
    Rebuild(rebuild::Rebuild),
}

impl Leaderboards {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        match self {
            Self::Rebuild(command) => command.run(screen).await,
        }
    }
}
