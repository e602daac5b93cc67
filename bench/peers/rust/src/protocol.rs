//! What these peers share.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use redis::AsyncCommands;
use redis::aio::ConnectionManager;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use uuid::Uuid;

pub const CALLERS: usize = 100;
/// A pause between two jobs of the latency measurement: the queue is idle.
const IDLE: Duration = Duration::from_millis(2);
const LOOK: Duration = Duration::from_millis(2);

pub enum Verb {
    About,
    PushBulk(usize),
    PushSingle(usize),
    Work(usize),
    Pickup(usize),
    Hold(usize, String),
}

impl Verb {
    pub fn parse(words: &[String]) -> anyhow::Result<Self> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Ok(match words[..] {
            ["about"] => Self::About,
            ["push-bulk", count] => Self::PushBulk(count.parse()?),
            ["push-single", count] => Self::PushSingle(count.parse()?),
            ["work", count] => Self::Work(count.parse()?),
            ["pickup", count] => Self::Pickup(count.parse()?),
            ["hold", count, set] => Self::Hold(count.parse()?, set.to_owned()),
            _ => bail!("{words:?} is no verb"),
        })
    }
}

#[derive(Serialize)]
#[serde(untagged)]
pub enum Answer {
    About { config: String },
    Took { seconds: f64 },
    PickedUp { ms: Vec<f64> },
}

pub fn say(answer: &Answer) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(answer)?);
    Ok(())
}

/// The payload of all peers: an id and 100 bytes.
#[derive(Clone, Deserialize, Serialize)]
pub struct Payload {
    pub id: Uuid,
    pub data: String,
}

impl Payload {
    pub fn new() -> Self {
        Self { id: Uuid::new_v4(), data: "x".repeat(100) }
    }
}

/// What a handler does.
#[derive(Clone)]
pub enum Role {
    Nothing,
    Report(UnboundedSender<f64>),
    Hold(ConnectionManager, String),
}

impl Role {
    pub async fn hold(url: &str, set: String) -> anyhow::Result<Self> {
        Ok(Self::Hold(ConnectionManager::new(redis::Client::open(url)?).await?, set))
    }

    pub async fn handle(&self, id: &str) {
        match self {
            Self::Nothing => {}
            // The receiver lives as long as the measurement.
            Self::Report(begun) => drop(begun.send(now_ms())),
            Self::Hold(redis, set) => {
                if redis.clone().sadd::<_, _, ()>(set, id).await.is_ok() {
                    std::future::pending().await
                }
            }
        }
    }
}

pub async fn timed(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<Answer> {
    let began = Instant::now();
    work.await?;
    Ok(Answer::Took { seconds: began.elapsed().as_secs_f64() })
}

/// Times until `done` says so.
pub async fn until(mut done: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<Answer> {
    timed(async {
        while !done().await? {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    })
    .await
}

/// How long each of `count` jobs that `push` pushes to an idle queue waited until it begun.
pub async fn waits(
    count: usize,
    mut begun: UnboundedReceiver<f64>,
    mut push: impl AsyncFnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Answer> {
    let mut ms = Vec::with_capacity(count);
    for sample in 0..=count {
        tokio::time::sleep(IDLE).await;
        let pushed = now_ms();
        push().await?;
        let wait = begun.recv().await.context("the worker has ended")? - pushed;
        // The first job waited for the worker to start.
        if sample > 0 {
            ms.push(wait);
        }
    }
    Ok(Answer::PickedUp { ms })
}

fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1000.0)
}
