//! THE TABLE of commands. A new one is one file here, a line for its module, a variant and an arm.

mod jobs;
mod journey;
mod leaderboards;
mod migrate;
mod models;
mod queues;
mod schedules;
mod seed;
mod tests;
mod users;

use clap::Subcommand;

use crate::screen::Screen;

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Bring the schema of the database up to date.
    Migrate(migrate::Migrate),
    /// Import the practice tests that come with Bellwork and AI models to vote on, and make the first administrator.
    Seed(seed::Seed),
    /// Make accounts.
    #[command(subcommand)]
    Users(users::Users),
    /// See and steer queues.
    #[command(subcommand)]
    Queues(queues::Queues),
    /// See and steer jobs.
    #[command(subcommand)]
    Jobs(jobs::Jobs),
    /// See and steer periodic jobs.
    #[command(subcommand)]
    Schedules(schedules::Schedules),
    /// Steer leaderboards.
    #[command(subcommand)]
    Leaderboards(leaderboards::Leaderboards),
    /// Keep the counts of the votes on AI models.
    #[command(subcommand)]
    Models(models::Models),
    /// Import and export practice tests.
    #[command(subcommand)]
    Tests(tests::Tests),
    /// Play a student's journey over HTTP: register, take a test, watch the result arrive.
    Journey(journey::Journey),
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        match self {
            Self::Migrate(command) => command.run(screen).await,
            Self::Seed(command) => command.run(screen).await,
            Self::Users(command) => command.run(screen).await,
            Self::Queues(command) => command.run(screen).await,
            Self::Jobs(command) => command.run(screen).await,
            Self::Schedules(command) => command.run(screen).await,
            Self::Leaderboards(command) => command.run(screen).await,
            Self::Models(command) => command.run(screen).await,
            Self::Tests(command) => command.run(screen).await,
            Self::Journey(command) => command.run(screen).await,
        }
    }
}
