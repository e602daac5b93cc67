//! `bellwork-bench`: measures what the README claims. `scripts/bench` starts the servers it needs.

mod api;
mod boards;
mod figures;
mod journey;
mod peer;
mod places;
mod properties;
mod queue;
mod routes;
mod screen;
mod work;

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

/// As the programs have that are measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Bellwork on this machine.
#[derive(Debug, Parser)]
#[command(name = "bellwork-bench", version)]
struct Arguments {
    /// Also write the figures to this file, as JSON.
    #[arg(long, global = true)]
    json: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The API beside a bare actix handler, Fastify and FastAPI: cached reads, a mix, and open connections.
    Api(api::Arguments),
    /// What actix-web does without us; the benchmark of the API starts it as a process of its own.
    #[command(hide = true)]
    Bare(api::BareArguments),
    /// Reads of a leaderboard with a million entries, and what a new best costs there.
    Boards(boards::Arguments),
    /// From a submission over HTTP to the event on the student's stream, idle and at saturation.
    Journey(journey::Arguments),
    /// The engine and its peers side by side: pushing, processing, pick-up latency, memory, recovery.
    Queue(queue::Arguments),
    /// What the engine promises beside its speed: fairness, no starvation, bounded calls, and what all features cost.
    Properties,
    /// Every route with the data of a large installation: how long an answer takes.
    Routes(routes::Arguments),
    /// One step of a peer that is written here; the queue benchmark starts it as a process of its own.
    #[command(hide = true)]
    Peer(peer::Arguments),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut told_to_stop = signal(SignalKind::terminate())?;
    tokio::select! {
        result = run(arguments) => result,
        // What runs is dropped, and its processes end with it.
        _ = told_to_stop.recv() => anyhow::bail!("told to stop"),
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let json = arguments.json.as_deref();
    match arguments.what {
        What::Api(what) => {
            let report = api::measure(&what).await?;
            report.show();
            keep(json, &report)
        }
        What::Bare(what) => api::serve(what).await,
        What::Boards(what) => {
            let figures = boards::measure(&what).await?;
            figures.show(&mut std::io::stdout())?;
            keep(json, &figures)
        }
        What::Journey(what) => {
            let figures = journey::measure(&what).await?;
            figures.show(&mut std::io::stdout())?;
            keep(json, &figures)
        }
        What::Queue(what) => {
            let report = queue::measure(&what).await?;
            report.show();
            keep(json, &report)
        }
        What::Properties => {
            let url = bellwork_testkit::test_run::variable("REDIS_URL");
            let figures = properties::measure(&url).await?;
            figures.show(&mut std::io::stdout())?;
            keep(json, &figures)
        }
        What::Routes(what) => {
            let latencies = routes::measure(&what).await?;
            latencies.show();
            keep(json, &latencies)
        }
        What::Peer(what) => peer::answer(&what).await,
    }
}

fn keep(file: Option<&Path>, figures: &impl Serialize) -> anyhow::Result<()> {
    if let Some(file) = file {
        std::fs::write(file, serde_json::to_vec_pretty(figures)?)?;
    }
    Ok(())
}
