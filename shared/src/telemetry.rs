//! Logs and metrics of a process.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::log::{LogConfig, LogFormat};

/// Upper bounds in seconds of all duration histograms: from half a millisecond to five minutes.
const BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Histograms that nobody reads are folded this often, so that they do not grow.
const UPKEEP: Duration = Duration::from_secs(5);

/// Starts the log of this process on standard error, and the metrics recorder, whose text the handle renders. Must be
/// called within a runtime.
///
/// # Errors
/// If the filter cannot be read, or telemetry runs already.
pub fn start(config: &LogConfig) -> anyhow::Result<PrometheusHandle> {
    start_log(config)?;
    let handle = recorder()?.install_recorder()?;
    let folding = handle.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            folding.run_upkeep();
        }
    });
    Ok(handle)
}

/// As [`start`], for a process without HTTP of its own: serves the text at `bind` to loopback peers, if an address is
/// given.
///
/// # Errors
/// As [`start`], or if the address is taken.
pub fn start_with_listener(config: &LogConfig, bind: Option<SocketAddr>) -> anyhow::Result<()> {
    let Some(bind) = bind else { return start(config).map(drop) };
    start_log(config)?;
    let loopback =
        recorder()?.with_http_listener(bind).add_allowed_address("127.0.0.0/8")?.add_allowed_address("::1/128")?;
    loopback.install().with_context(|| format!("WORKER_METRICS_BIND={bind} cannot be used"))
}

/// Starts the log of this process on standard error.
///
/// # Errors
/// If the filter cannot be read, or a log runs already.
pub fn start_log(config: &LogConfig) -> anyhow::Result<()> {
    let filter: EnvFilter =
        config.filter.parse().map_err(|error| anyhow::anyhow!("LOG={} cannot be used: {error}.", config.filter))?;
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    match config.format {
        LogFormat::Text => registry.with(layer.with_ansi(std::io::stderr().is_terminal())).try_init()?,
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init()?,
    }
    Ok(())
}

fn recorder() -> anyhow::Result<PrometheusBuilder> {
    Ok(PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), BUCKETS)?)
}

/// Makes TLS available to every client library of this process.
pub fn install_tls() {
    // An error says only that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
