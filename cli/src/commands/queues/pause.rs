//! `bellwork queues pause` and `resume`.

use anyhow::Context;
use bellwork_jobs::queues::Queue;
use serde_json::json;

use crate::screen::{Screen, Tone};
use crate::stores;

/// Lets no process claim jobs of `queue`.
pub(super) async fn pause(queue: &Queue, screen: &mut Screen) -> anyhow::Result<()> {
    stores::engine()?.inspector().pause(queue.name).await.with_context(|| format!("{} was not paused", queue.name))?;
    screen.json(&json!({ "name": queue.name, "paused": true }))?;
    let mark = screen.toned(Tone::Caution, "‖");
    screen
        .say(format_args!("{mark} {} is paused. Jobs that run go on; new ones are accepted and wait.", queue.name))?;
    Ok(screen.hint(format_args!("  `bellwork queues resume {}` lets them run.", queue.name))?)
}

/// Lets jobs of `queue` be claimed again.
pub(super) async fn resume(queue: &Queue, screen: &mut Screen) -> anyhow::Result<()> {
    stores::engine()?
        .inspector()
        .resume(queue.name)
        .await
        .with_context(|| format!("{} was not resumed", queue.name))?;
    screen.json(&json!({ "name": queue.name, "paused": false }))?;
    let mark = screen.toned(Tone::Good, "✓");
    Ok(screen.say(format_args!("{mark} {} is open.", queue.name))?)
}
