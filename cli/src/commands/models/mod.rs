//! `bellwork models …`

mod recount;

use clap::Subcommand;

use crate::screen::Screen;

/// Keep the counts of the votes on AI models.
#[derive(Debug, Subcommand)]
pub(crate) enum Models {
    /// Count the live votes anew and mend the counts that differ.
    Recount(recount::Recount),
}

impl Models {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        match self {
            Self::Recount(command) => command.run(screen).await,
        }
    }
}
