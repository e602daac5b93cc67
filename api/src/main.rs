//! `bellwork-api`: HTTP and the live streams.

use anyhow::Context;
use bellwork_api::routes::Role;
use bellwork_api::server::Server;
use bellwork_shared::config::Config;
use bellwork_shared::shutdown::Signals;
use bellwork_shared::{database, telemetry};
use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Serves HTTP and the live streams. Configured by the environment; .env.sample documents all variables.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// What this process serves: everything, all but the streams, or the streams alone.
    #[arg(long, value_enum, default_value_t = Role::All)]
    role: Role,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let config = Config::from_env()?;
    telemetry::install_tls();
    // Requests are served on threads of their own; this runtime carries the hub and the outbox.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let metrics = telemetry::start(&config.log)?;
        let database = database::pool(&config.database, "bellwork-api").context("DATABASE_URL cannot be used")?;
        let mut signals = Signals::listen()?;
        let server = Server::start(&config, arguments.role, database, metrics)?;
        tracing::info!(address = %server.address(), role = ?arguments.role, "serving");
        let signal = signals.next().await;
        tracing::info!(signal, "draining; a second signal stops at once");
        tokio::select! {
            () = server.drain() => {}
            _ = signals.next() => server.stop().await,
        }
        server.ended().await
    })
}
