//! `start-workers`: reads its configuration, runs until a signal.

use anyhow::Context;
use bellwork_shared::config::Config;
use bellwork_shared::config::worker::QueueSelection;
use bellwork_shared::shutdown::Signals;
use bellwork_shared::telemetry;
use bellwork_worker::runtime::{Stage, run, select};
use clap::Parser;
use tokio::sync::watch;
use tracing::info;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Claims and runs jobs. SIGTERM drains; a second one stops at once.
#[derive(Debug, Parser)]
#[command(name = "start-workers", version)]
struct Arguments {
    /// The queues to serve with their concurrency, such as ai=8,email=10 (WORKER_QUEUES; default: all).
    #[arg(long, value_parser = known_queues)]
    queues: Option<QueueSelection>,
}

fn known_queues(text: &str) -> anyhow::Result<QueueSelection> {
    let selection: QueueSelection = text.parse()?;
    select(&selection)?;
    Ok(selection)
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut config = Config::from_env()?;
    if let Some(queues) = arguments.queues {
        config.worker.queues = queues;
    }
    telemetry::install_tls();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(serve(&config));
    // What still runs was given back; nobody waits for it.
    runtime.shutdown_background();
    result
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    telemetry::start_with_listener(&config.log, config.worker.metrics_bind)?;
    let mut signals = Signals::listen().context("signals cannot be handled")?;
    let (stage, told) = watch::channel(Stage::Running);
    tokio::spawn(async move {
        for next in [Stage::Draining, Stage::Stopping] {
            let signal = signals.next().await;
            info!(signal, "told to stop");
            stage.send_replace(next);
        }
        // The channel must outlive the drain.
        std::future::pending::<()>().await;
    });
    run(config, told).await
}
