//! Every GET route, with the data of a large installation, over HTTP and as one client that waits for its answer. Lists
//! are followed from page to page, and what is shown by its id is another each time: few answers come from a cache.

use std::time::{Duration, Instant};

use anyhow::Context;
use bellwork_tests::installation::Installation;
use bellwork_tests::walk::{Ask, Walker};
use clap::Args;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use serde_json::Value;

use crate::figures::at;
use crate::screen::Step;

/// How much there is, and how much is measured.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// Students.
    #[arg(long, default_value = "1000000")]
    users: String,
    /// Their attempts.
    #[arg(long, default_value = "5000000")]
    attempts: String,
    /// Their votes.
    #[arg(long, default_value = "10000000")]
    votes: String,
    /// Questions of all tests.
    #[arg(long, default_value = "200000")]
    questions: String,
    /// Requests to each route.
    #[arg(long, default_value_t = 300)]
    samples: usize,
}

/// Requests before the first that counts.
const WARM_UP: usize = 10;
/// Ids that are asked for in turn.
const EXAMPLES: i64 = 100;
/// What lists are to stay below.
const AIM: Duration = Duration::from_millis(20);

/// The routes by their path.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Latencies {
    routes: Vec<Latency>,
}

/// How long a route takes, in milliseconds.
#[derive(Debug, Serialize)]
struct Latency {
    route: String,
    samples: usize,
    p50: f64,
    p95: f64,
    slowest: f64,
}

/// Loads the data, and measures.
pub(crate) async fn measure(arguments: &Arguments) -> anyhow::Result<Latencies> {
    let mut installation = Installation::new().await;
    installation.set("LOG", "warn");
    load(&installation, arguments).await?;
    let api = installation.api().await;
    let walker = Walker::new(&api.url, &installation.database).await;
    let mut latencies = Latencies::default();
    for ask in walker.asks(EXAMPLES).await {
        // A stream has no end to wait for.
        if !ask.route.ends_with("/stream") {
            latencies.routes.push(measure_route(&walker, &ask, arguments.samples).await?);
        }
    }
    Ok(latencies)
}

async fn load(installation: &Installation, arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { users, attempts, votes, questions, .. } = arguments;
    let sizes = [("--users", users), ("--attempts", attempts), ("--votes", votes), ("--questions", questions)];
    let sizes = sizes.into_iter().flat_map(|(name, value)| [name, value.as_str()]);
    let command: Vec<&str> = ["seed", "--scale"].into_iter().chain(sizes).collect();
    let step = Step::begin("Loading a large installation");
    let loaded = tokio::task::block_in_place(|| installation.bellwork(&command));
    let last = loaded.lines().last().context("a load tells what it did")?;
    step.tick(last);
    Ok(())
}

async fn measure_route(walker: &Walker, ask: &Ask, samples: usize) -> anyhow::Result<Latency> {
    let mut latencies = Vec::with_capacity(samples);
    let mut cursor = None;
    for (request, path) in ask.paths.iter().cycle().take(WARM_UP + samples).enumerate() {
        let path = match cursor.take() {
            Some(cursor) => format!("{path}{}cursor={cursor}", if path.contains('?') { '&' } else { '?' }),
            None => path.clone(),
        };
        let began = Instant::now();
        let answer = walker.get(&path).await.bytes().await?;
        if request >= WARM_UP {
            latencies.push(began.elapsed());
        }
        cursor = next_cursor(&answer).filter(|_| ask.paths.len() == 1);
    }
    latencies.sort();
    let milliseconds = |rank| at(&latencies, rank).as_secs_f64() * 1000.0;
    let (p50, p95, slowest) = (milliseconds(0.50), milliseconds(0.95), milliseconds(1.0));
    Ok(Latency { route: shown(ask), samples, p50, p95, slowest })
}

fn next_cursor(answer: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    Some(answer["next_cursor"].as_str()?.to_owned())
}

/// The route with what it is asked for beside ids.
fn shown(ask: &Ask) -> String {
    let query = ask.path().split_once('?').map_or("", |(_, query)| query);
    let is_told = |part: &&str| !part.is_empty() && !part.starts_with("test_id=") && !part.starts_with("cluster=");
    let told: Vec<_> = query.split('&').filter(is_told).collect();
    if told.is_empty() { ask.route.clone() } else { format!("{}?{}", ask.route, told.join("&")) }
}

impl Latencies {
    /// Prints the table, and says which routes are slower than they are to be.
    pub(crate) fn show(&self) {
        let mut table = Table::new();
        table.set_header(["route", "p50 ms", "p95 ms", "slowest ms"]);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for Latency { route, p50, p95, slowest, .. } in &self.routes {
            table.add_row([route.clone(), format!("{p50:.1}"), format!("{p95:.1}"), format!("{slowest:.1}")]);
        }
        crate::screen::say(&table.to_string());
        let aim = AIM.as_secs_f64() * 1000.0;
        let slow: Vec<_> =
            self.routes.iter().filter(|route| route.p95 > aim).map(|route| route.route.as_str()).collect();
        crate::screen::say(&match slow.len() {
            0 => format!("All {} answers stay below {aim} ms at the 95th percentile.", self.routes.len()),
            count => format!(
                "{count} of {} are above {aim} ms at the 95th percentile: {}",
                self.routes.len(),
                slow.join(", ")
            ),
        });
    }
}
