//! A peer that can be had, and what was measured of it.

use super::peers::Peer;
use super::program::Running;
use super::server::Server;
use crate::peer::{Answer, Verb};
use crate::places::Places;
use crate::screen::Step;

/// How much each round measures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Jobs that wait before the workers start.
    pub(crate) backlog: usize,
    /// Jobs of the measurement with concurrent callers.
    pub(crate) singles: usize,
    /// Jobs of the latency measurement.
    pub(crate) samples: usize,
}

/// A peer with its figures so far, one of each kind a round.
#[derive(Debug)]
pub(crate) struct Contestant {
    /// Who it is.
    pub(crate) peer: &'static Peer,
    /// Version and settings, in its own words.
    pub(crate) config: String,
    /// What the rounds found.
    pub(crate) rounds: Rounds,
    /// Seconds from the death of a worker until others had begun all of its jobs.
    pub(crate) recovery: Option<f64>,
    pub(super) places: Places,
}

/// One value a round.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    /// Jobs processed and acknowledged, a second.
    pub(crate) process: Vec<f64>,
    /// Jobs pushed in bulk, a second.
    pub(crate) bulk: Vec<f64>,
    /// Jobs pushed by single callers, a second.
    pub(crate) single: Vec<f64>,
    /// Half of the jobs were picked up within so many milliseconds.
    pub(crate) p50: Vec<f64>,
    /// 99 of 100 were.
    pub(crate) p99: Vec<f64>,
    /// Redis memory of a waiting job, in bytes.
    pub(crate) waiting: Vec<f64>,
    /// Redis memory left of a finished job, in bytes.
    pub(crate) left: Vec<f64>,
}

impl Contestant {
    /// Asks the program of `peer` whether it can run at all.
    pub(crate) async fn introduce(peer: &'static Peer, places: &Places) -> anyhow::Result<Self> {
        match Running::start(places, peer, &Verb::About)?.answer().await? {
            Answer::About { config } => {
                Ok(Self { peer, config, rounds: Rounds::default(), recovery: None, places: places.clone() })
            }
            other => anyhow::bail!("it answered {other:?}"),
        }
    }

    /// One round, ended by a line on the screen.
    pub(crate) async fn round(&mut self, name: &str, size: Size, server: &Server) -> anyhow::Result<()> {
        let mut step = Step::begin(format!("{name} · {}", self.peer.name));
        let measured = self.measure(&mut step, size, server).await;
        server.clear().await?;
        match measured {
            Ok(()) => {
                let rate = self.rounds.process.last().copied().unwrap_or_default();
                step.tick(&format!("{rate:.0} processed/s"));
            }
            Err(error) => step.cross(&format!("{error:#}")),
        }
        Ok(())
    }

    async fn measure(&mut self, step: &mut Step, size: Size, server: &Server) -> anyhow::Result<()> {
        let backlog = size.backlog.min(self.peer.backlog);
        let jobs = as_f64(backlog);
        server.clear().await?;
        let empty = server.memory().await?;
        let bulk = step.during("bulk push", self.seconds(Verb::PushBulk { count: backlog })).await?;
        self.rounds.bulk.push(jobs / bulk);
        self.rounds.waiting.push((server.memory().await? - empty) / jobs);
        let work = step.during("processing", self.seconds(Verb::Work { count: backlog })).await?;
        self.rounds.process.push(jobs / work);
        let left = server.memory().await?;
        server.clear().await?;
        // What stays even now is the server's, not the jobs'.
        self.rounds.left.push(((left - server.memory().await?) / jobs).max(0.0));
        let single = step.during("single pushes", self.seconds(Verb::PushSingle { count: size.singles })).await?;
        self.rounds.single.push(as_f64(size.singles) / single);
        if self.peer.holds > 0 {
            server.clear().await?;
            step.during("pick-up", self.pick_up(size.samples)).await?;
        }
        Ok(())
    }

    async fn pick_up(&mut self, samples: usize) -> anyhow::Result<()> {
        match self.start(&Verb::Pickup { count: samples })?.answer().await? {
            Answer::PickedUp { mut ms } if !ms.is_empty() => {
                ms.sort_by(f64::total_cmp);
                self.rounds.p50.push(ms[(ms.len() - 1) / 2]);
                self.rounds.p99.push(ms[(ms.len() - 1) * 99 / 100]);
                Ok(())
            }
            other => anyhow::bail!("it answered {other:?}"),
        }
    }

    /// What `verb` took.
    pub(super) async fn seconds(&self, verb: Verb) -> anyhow::Result<f64> {
        match self.start(&verb)?.answer().await? {
            Answer::Took { seconds } => Ok(seconds),
            other => anyhow::bail!("it answered {other:?}"),
        }
    }

    /// Starts its program.
    pub(super) fn start(&self, verb: &Verb) -> anyhow::Result<Running> {
        Running::start(&self.places, self.peer, verb)
    }
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn as_f64(count: usize) -> f64 {
    count as f64
}
