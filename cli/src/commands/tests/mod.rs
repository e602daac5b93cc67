//! `bellwork tests …`

mod import;

use clap::Subcommand;

use crate::screen::Screen;

/// Import practice tests.
#[derive(Debug, Subcommand)]
pub(crate) enum Tests {
    /// Import a practice test from a JSON file.
    Import(import::Import),
}

impl Tests {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        match self {
            Self::Import(command) => command.run(screen).await,
        }
    }
}
