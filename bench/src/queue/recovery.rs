//! What becomes of the jobs of a worker process that is killed.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::contestant::Contestant;
use super::server::Server;
use crate::peer::Verb;
use crate::screen::{Step, say};

/// Nobody is waited for longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// The second process is up before the first is killed, so that a recovery is timed and no start.
const START: Duration = Duration::from_secs(10);
/// The first process holds its jobs by then.
const GRIP: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// Times all at once: almost all of it is waiting.
pub(crate) async fn time_all(contestants: &mut [Contestant], server: &Server) -> anyhow::Result<()> {
    server.clear().await?;
    let held: Vec<_> = contestants.iter_mut().filter(|contestant| contestant.peer.holds > 0).collect();
    let mut step = Step::begin("Recovery, all at once");
    let timing = join_all(held.into_iter().map(|contestant| time(contestant, server)));
    step.during("waiting for the jobs of killed workers", timing).await;
    step.tick("");
    server.clear().await
}

async fn time(contestant: &mut Contestant, server: &Server) {
    let name = contestant.peer.name;
    match recover(contestant, server).await {
        Ok(Some(seconds)) => say(&format!("    {name}: {seconds:.1} s")),
        Ok(None) => say(&format!("    {name}: not within {} s", PATIENCE.as_secs())),
        Err(error) => say(&format!("    {name}: {error:#}")),
    }
}

/// The seconds from the death of a process that holds jobs until another has begun the last of them.
async fn recover(contestant: &mut Contestant, server: &Server) -> anyhow::Result<Option<f64>> {
    let count = contestant.peer.holds;
    let [held, begun] = ["held", "begun"].map(|set| format!("recovery:{}:{set}", contestant.peer.name));
    contestant.seconds(Verb::PushBulk { count }).await?;
    let first = contestant.start(&Verb::Hold { count, set: held.clone() })?;
    anyhow::ensure!(appear(server, &held, count, GRIP).await?, "a worker did not begin {count} jobs");
    let _second = contestant.start(&Verb::Hold { count, set: begun.clone() })?;
    tokio::time::sleep(START).await;
    first.kill().await;
    let killed = Instant::now();
    let recovered = appear(server, &begun, count, PATIENCE).await?;
    contestant.recovery = recovered.then(|| killed.elapsed().as_secs_f64());
    Ok(contestant.recovery)
}

/// Waits until `count` jobs are in `set`, and says whether they came in time.
async fn appear(server: &Server, set: &str, count: usize, patience: Duration) -> anyhow::Result<bool> {
    let began = Instant::now();
    while server.seen(set).await? < count {
        if began.elapsed() > patience {
            return Ok(false);
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(true)
}
