//! What a peer's program does, whatever it is written in: `PROGRAM VERB …` answers with one line of JSON.

mod bellwork;
mod raw;

use std::io::Write;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

/// So many callers push singly at the same time.
const CALLERS: usize = 100;

/// Which of the peers that are written here, and what it shall do.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    who: Who,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Who {
    Bellwork,
    Raw,
}

/// What the benchmark asks of a peer.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Verb {
    /// Says how the peer is configured.
    About,
    /// Pushes so many jobs in the fastest way there is.
    PushBulk {
        /// Jobs.
        count: usize,
    },
    /// Pushes so many jobs by 100 concurrent callers, each of which waits until its job is stored.
    PushSingle {
        /// Jobs.
        count: usize,
    },
    /// Runs the waiting jobs, of which there are so many, until the last is acknowledged.
    Work {
        /// Jobs.
        count: usize,
    },
    /// Pushes so many jobs to an idle queue, one at a time, and tells how long each waited for its handler.
    Pickup {
        /// Jobs.
        count: usize,
    },
    /// Runs jobs in one process until it is killed: each handler adds its job's id to a set in Redis and never ends.
    Hold {
        /// As many jobs at a time.
        count: usize,
        /// The set.
        set: String,
    },
}

impl Verb {
    /// The words of the command line.
    pub(crate) fn words(&self) -> Vec<String> {
        let (name, count) = match self {
            Self::About => return vec!["about".to_owned()],
            Self::PushBulk { count } => ("push-bulk", count),
            Self::PushSingle { count } => ("push-single", count),
            Self::Work { count } => ("work", count),
            Self::Pickup { count } => ("pickup", count),
            Self::Hold { count, set } => return vec!["hold".to_owned(), count.to_string(), set.clone()],
        };
        vec![name.to_owned(), count.to_string()]
    }
}

/// What a peer answers.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum Answer {
    /// To `about`.
    About {
        /// Version and settings.
        config: String,
    },
    /// To `push-bulk`, `push-single` and `work`.
    Took {
        /// From the first job to the last.
        seconds: f64,
    },
    /// To `pickup`.
    PickedUp {
        /// Each job's wait in milliseconds.
        ms: Vec<f64>,
    },
}

/// Does what the arguments say, and prints the answer.
pub(crate) async fn answer(arguments: &Arguments) -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").context("REDIS_URL is not set: scripts/bench sets it")?;
    let answer = match arguments.who {
        Who::Bellwork => bellwork::answer(&arguments.verb, &url).await?,
        Who::Raw => raw::answer(&arguments.verb, &url).await?,
    };
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&answer)?)?;
    Ok(())
}
