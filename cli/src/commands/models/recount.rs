//! `bellwork models recount`: makes the counts of the votes what the votes say, for instance after rows were changed by hand.

use std::time::Instant;

use anyhow::Context;
use bellwork_shared::votes::counts;
use clap::Args;
use serde_json::json;

use crate::screen::{Screen, Tone};
use crate::stores;

/// Count the live votes anew and mend the counts that differ. Harmless at any time; votes go on meanwhile.
#[derive(Debug, Args)]
pub(crate) struct Recount {}

impl Recount {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut transaction = stores::database()?.begin().await.context("nothing was counted")?;
        let drift = counts::recount(&mut transaction).await.context("nothing was changed")?;
        transaction.commit().await.context("nothing was changed")?;
        screen.json(&json!({ "mended": drift, "seconds": began.elapsed().as_secs_f64() }))?;
        for count in &drift {
            let counts::Drift { model_id, period, starts_on, up, down } = count;
            screen.say(format_args!("  model {model_id}, {period:?} from {starts_on}: {up:+} up, {down:+} down"))?;
        }
        let took = screen.toned(Tone::Faint, format_args!("{:.1} s", began.elapsed().as_secs_f64()));
        if drift.is_empty() {
            let mark = screen.toned(Tone::Good, "✓");
            return Ok(screen.say(format_args!("{mark} All counts are what the votes say.  {took}"))?);
        }
        let mark = screen.toned(Tone::Caution, "!");
        Ok(screen
            .say(format_args!("{mark} {} counts were not what the votes say, and are mended.  {took}", drift.len()))?)
    }
}
