//! The load generator.

use std::process::Stdio;

use anyhow::Context;
use serde::Deserialize;
use tokio::process::Command;

use super::Arguments;
use super::loads::{Request, lines};
use super::servers::Running;
use super::world::World;

/// More only take the cores from the servers.
const THREADS: u32 = 2;
/// It runs whenever no server wants the core (SCHED_IDLE). Otherwise the kernel lets it interrupt a server at each answer
/// that it waits for, which no client on another machine can do: a slower server is interrupted more often, and what is
/// measured is the scheduler.
const STANDS_BACK: [&str; 3] = ["--idle", "0", "wrk"];
const SCRIPT: &str = include_str!("replay.lua");

/// What one measurement found.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Figures {
    /// Requests answered, a second.
    pub(crate) requests_per_s: f64,
    /// Half were answered within so many milliseconds.
    pub(crate) p50_ms: f64,
    /// 95 of 100 were.
    pub(crate) p95_ms: f64,
    /// 99 of 100 were.
    pub(crate) p99_ms: f64,
    /// Answers with a status from 400 on.
    pub(crate) refused: u64,
    /// Requests without an answer.
    pub(crate) lost: u64,
}

/// Asks `server`, first for the warm-up and then for the figures.
pub(crate) async fn measure(
    arguments: &Arguments,
    server: &Running,
    world: &World,
    requests: &[Request],
) -> anyhow::Result<Figures> {
    let (script, file) = (world.folder().join("replay.lua"), world.folder().join("requests"));
    tokio::fs::write(&script, SCRIPT).await?;
    tokio::fs::write(&file, lines(requests)).await?;
    let run = async |seconds: u64| {
        let mut wrk = Command::new("chrt");
        wrk.args(STANDS_BACK).args([
            format!("-t{THREADS}"),
            format!("-c{}", arguments.connections),
            format!("-d{seconds}s"),
        ]);
        wrk.arg("--timeout=10s").arg("-s").arg(&script).arg(&server.url).arg("--").arg(&file);
        wrk.env("WRK_THREADS", THREADS.to_string()).stdin(Stdio::null()).kill_on_drop(true);
        wrk.output().await.context("chrt and wrk cannot be started: run this by scripts/bench")
    };
    run(arguments.warm_up).await?;
    let output = run(arguments.seconds).await?;
    let words = String::from_utf8_lossy(&output.stdout);
    let told = words.lines().find(|line| line.starts_with('{'));
    let told = told.with_context(|| format!("wrk: {words}{}", String::from_utf8_lossy(&output.stderr)))?;
    Ok(serde_json::from_str(told)?)
}
