//! `bellwork schedules pause` and `resume`.

use anyhow::Context;
use bellwork_jobs::schedules::Schedule;
use bellwork_shared::schedules;
use serde_json::json;

use crate::screen::{Screen, Tone};
use crate::stores;

/// Lets `schedule` rest.
pub(super) async fn pause(schedule: &Schedule, screen: &mut Screen) -> anyhow::Result<()> {
    let name = schedule.name;
    let mut conn = stores::database()?.acquire().await.with_context(|| format!("{name} was not paused"))?;
    schedules::pause(&mut conn, name).await.with_context(|| format!("{name} was not paused"))?;
    screen.json(&json!({ "name": name, "paused": true }))?;
    let mark = screen.toned(Tone::Caution, "‖");
    screen.say(format_args!("{mark} {name} is paused. Its ticks are left out until it is resumed."))?;
    Ok(screen.hint(format_args!("  `bellwork schedules resume {name}` lets it fire again."))?)
}

/// Lets `schedule` fire again.
pub(super) async fn resume(schedule: &Schedule, screen: &mut Screen) -> anyhow::Result<()> {
    let name = schedule.name;
    let mut conn = stores::database()?.acquire().await.with_context(|| format!("{name} was not resumed"))?;
    schedules::resume(&mut conn, name).await.with_context(|| format!("{name} was not resumed"))?;
    screen.json(&json!({ "name": name, "paused": false }))?;
    let mark = screen.toned(Tone::Good, "✓");
    Ok(screen.say(format_args!("{mark} {name} fires again, from its next tick on."))?)
}
