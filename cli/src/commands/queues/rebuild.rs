//! `bellwork queues rebuild`: makes Redis hold every unfinished job again, for instance after it lost its data.

use std::time::{Duration, Instant};

use anyhow::Context;
use bellwork_jobs::reconcile;
use bellwork_jobs::submit::Submitter;
use clap::Args;
use serde_json::json;

use crate::screen::{Screen, Tone};
use crate::stores;

/// Between two pages of 500: short, since an operator waits; long enough for others to get their turn.
const PACE: Duration = Duration::from_millis(5);

/// Push every unfinished job of the ledger that Redis does not have. Harmless at any time, and can be begun again.
#[derive(Debug, Args)]
pub(crate) struct Rebuild {}

impl Rebuild {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        let database = stores::database()?;
        let began = Instant::now();
        let (submitter, outbox) = Submitter::start(stores::engine()?.producer(), database.clone());
        let walked = reconcile::walk(&database, &submitter, PACE, |walked| {
            // A line about progress that cannot be written is no reason to stop.
            let _ = screen.living_line(format_args!("{walked} unfinished jobs so far …"));
        })
        .await
        .context("the queues were not rebuilt to the end; it can be begun again")?;
        drop(submitter);
        outbox.await?;
        screen.json(&json!({ "unfinished": walked, "seconds": began.elapsed().as_secs_f64() }))?;
        let mark = screen.toned(Tone::Good, "✓");
        let took = screen.toned(Tone::Faint, format_args!("{:.1} s", began.elapsed().as_secs_f64()));
        Ok(screen.say(format_args!("{mark} Redis holds all {walked} unfinished jobs.  {took}"))?)
    }
}
