//! `bellwork tests …`

mod export;
mod import;
mod problems;

use bellwork_shared::formats::{self, Format};
use clap::Subcommand;

use crate::screen::Screen;

/// Import and export practice tests.
#[derive(Debug, Subcommand)]
pub(crate) enum Tests {
    /// Import a practice test from JSON, Moodle GIFT, Moodle XML or CSV.
    Import(import::Import),
    /// Export a practice test as JSON, Moodle GIFT, Moodle XML or CSV.
    Export(export::Export),
}

impl Tests {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        match self {
            Self::Import(command) => command.run(screen).await,
            Self::Export(command) => command.run(screen).await,
        }
    }
}

/// The format of that name.
fn format(name: &str) -> Result<&'static Format, String> {
    formats::find(name).ok_or_else(|| format!("known are {}", formats::names()))
}
