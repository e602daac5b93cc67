//! The engine and its peers side by side on one private Redis: the same payload, the same job that does nothing,
//! interleaved rounds.

mod contestant;
mod peers;
mod program;
mod recovery;
mod report;
mod server;

use clap::Args;

use self::contestant::{Contestant, Size};
use self::peers::{PEERS, Peer};
use self::report::Recovery;
use self::server::Server;
use crate::places::Places;
use crate::screen::{say, skip};

pub(crate) use self::report::Report;

/// What is measured, and how much.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only these peers, separated by commas.
    #[arg(long, value_delimiter = ',', value_parser = known_peer)]
    only: Vec<&'static Peer>,
    /// Jobs that wait before the workers start.
    #[arg(long, default_value_t = 100_000, value_parser = at_least_1)]
    backlog: usize,
    /// Jobs that 100 callers push singly.
    #[arg(long, default_value_t = 20_000, value_parser = at_least_100)]
    singles: usize,
    /// Jobs of the latency measurement.
    #[arg(long, default_value_t = 500, value_parser = at_least_1)]
    samples: usize,
    /// Rounds; the medians are told.
    #[arg(long, default_value_t = 3, value_parser = at_least_1)]
    rounds: usize,
    /// Do not kill workers to see what becomes of their jobs.
    #[arg(long)]
    no_recovery: bool,
    #[command(flatten)]
    places: Places,
}

/// Measures on the Redis of `REDIS_URL`.
pub(crate) async fn measure(arguments: &Arguments) -> anyhow::Result<Report> {
    let server = Server::connect(&bellwork_testkit::test_run::variable("REDIS_URL")).await?;
    let mut contestants = introduce(arguments).await;
    anyhow::ensure!(!contestants.is_empty(), "none of the peers can run");
    let size = Size { backlog: arguments.backlog, singles: arguments.singles, samples: arguments.samples };
    for round in 1..=arguments.rounds {
        for contestant in &mut contestants {
            contestant.round(&format!("Round {round} of {}", arguments.rounds), size, &server).await?;
        }
    }
    let recovery = if arguments.no_recovery { Recovery::Skipped } else { Recovery::Timed };
    if recovery == Recovery::Timed {
        recovery::time_all(&mut contestants, &server).await?;
    }
    Ok(Report::of(contestants, recovery))
}

/// Those of the chosen peers that can run.
async fn introduce(arguments: &Arguments) -> Vec<Contestant> {
    let mut contestants = Vec::new();
    let all = PEERS.iter().filter(|peer| arguments.only.is_empty() || chosen(arguments, peer));
    for peer in all {
        match Contestant::introduce(peer, &arguments.places).await {
            Ok(contestant) => contestants.push(contestant),
            Err(error) => skip(&format!("{} is left out: {error:#}", peer.name)),
        }
    }
    say("");
    contestants
}

fn chosen(arguments: &Arguments, peer: &Peer) -> bool {
    arguments.only.iter().any(|only| only.name == peer.name)
}

fn known_peer(name: &str) -> Result<&'static Peer, String> {
    let names = || PEERS.iter().map(|peer| peer.name).collect::<Vec<_>>().join(", ");
    PEERS.iter().find(|peer| peer.name == name).ok_or_else(|| format!("the peers are {}", names()))
}

fn at_least_1(text: &str) -> Result<usize, String> {
    at_least(1, text)
}

/// Each caller pushes at least one job.
fn at_least_100(text: &str) -> Result<usize, String> {
    at_least(100, text)
}

fn at_least(least: usize, text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count >= least => Ok(count),
        _ => Err(format!("a number from {least} on is needed")),
    }
}
