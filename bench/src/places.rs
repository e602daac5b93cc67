//! Where the peers are. `scripts/bench` says it.

use std::path::PathBuf;

use clap::Args;

/// Folders.
#[derive(Clone, Debug, Args)]
pub(crate) struct Places {
    /// The peers' programs.
    #[arg(long, env = "BENCH_PROGRAMS", default_value = "bench/peers", hide = true)]
    pub(crate) programs: PathBuf,
    /// The peers' packages.
    #[arg(long, env = "BENCH_PACKAGES", default_value = ".local/bench-peers", hide = true)]
    pub(crate) packages: PathBuf,
    /// What the programs say beside their answers.
    #[arg(long, env = "BENCH_LOGS", default_value = "/tmp", hide = true)]
    pub(crate) logs: PathBuf,
}
