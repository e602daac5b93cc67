//! `bellwork users …`

mod create;

use clap::Subcommand;

use crate::screen::Screen;

pub(super) use create::generate_password;

/// Make accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum Users {
    /// Make an account.
    Create(create::Create),
}

impl Users {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        match self {
            Self::Create(command) => command.run(screen).await,
        }
    }
}
