//! `bellwork-bench`: measures what the README claims. `scripts/bench` starts the servers it needs.

mod figures;
mod journey;
mod queue;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

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
    /// From a submission over HTTP to the event on the student's stream, idle and at saturation.
    Journey(journey::Arguments),
    /// The engine by itself: pushing, processing, pick-up latency, memory.
    Queue(queue::Arguments),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let figures = match arguments.what {
        What::Journey(what) => journey::measure(&what).await?,
        What::Queue(what) => queue::measure(&what).await?,
    };
    figures.show(&mut std::io::stdout())?;
    if let Some(file) = arguments.json {
        std::fs::write(file, serde_json::to_vec_pretty(&figures)?)?;
    }
    Ok(())
}
