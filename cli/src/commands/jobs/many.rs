//! Steering many jobs, as `bellwork jobs retry` and `cancel` do without an id.

use anyhow::Context;
use bellwork_jobs::bulk::{Desk, Order, Outcome, Plan};
use bellwork_jobs::submit::Submitter;
use bellwork_shared::ids::JobId;
use bellwork_shared::ledger::JobState;
use bellwork_shared::ledger::search::{Action, Filter};
use clap::Args;
use serde_json::{Value, json};

use super::list::{running, show_table};
use super::{as_json, parse_state};
use crate::advice::Misuse;
use crate::commands::queues;
use crate::screen::{Screen, Tone};
use crate::stores;

/// The arguments that say which jobs are meant.
pub(super) const MANY: [&str; 4] = ["queue", "kind", "state", "q"];
/// Jobs shown of those that would be changed.
const SAMPLE: usize = 10;
/// Refusals shown to people.
const REFUSALS: usize = 10;

/// Which jobs are meant; all that is said must hold.
#[derive(Debug, Args)]
pub(super) struct Many {
    /// All of this queue.
    #[arg(long)]
    queue: Option<String>,
    /// All of this kind.
    #[arg(long)]
    kind: Option<String>,
    /// All in this state; unless told, the dead ones to be retried and the open ones to be cancelled.
    #[arg(long, value_parser = parse_state)]
    state: Option<JobState>,
    /// All with these words in their kind or last error.
    #[arg(long)]
    q: Option<String>,
    /// Say what would be done, and do nothing.
    #[arg(long, conflicts_with = "id")]
    dry_run: bool,
}

impl Many {
    /// Does `action` to them all.
    pub(super) async fn steer(self, action: Action, screen: &mut Screen) -> anyhow::Result<()> {
        let dry_run = self.dry_run;
        let mut order = self.order(action)?;
        let running = running(order.filter.state, screen).await?;
        let (database, engine) = (stores::database()?, stores::engine()?);
        let (submitter, outbox) = Submitter::start(engine.producer(), database.clone());
        let inspector = engine.inspector();
        let desk = Desk { database: &database, inspector: &inspector, submitter: &submitter };
        if dry_run {
            let plan = order.plan(desk, &running, SAMPLE).await.context("the ledger cannot be read")?;
            return show_plan(action, &plan, screen);
        }
        let mut done = Outcome::default();
        loop {
            let part = order.carry_out(desk, &running).await.context("not all jobs were steered")?;
            done.changed += part.changed;
            done.refused.extend(part.refused);
            screen.living_line(format_args!("{} {} so far …", done.changed, participle(action)))?;
            order.before = part.next;
            if part.next.is_none() {
                break;
            }
        }
        drop(submitter);
        outbox.await?;
        show_outcome(action, &done, screen)
    }

    fn order(self, action: Action) -> Result<Order, Misuse> {
        if let Some(queue) = &self.queue {
            queues::find(queue)?;
        }
        if let Some(state) = self.state.filter(|state| !action.suits(*state)) {
            return Err(Misuse(format!("Jobs that are {} cannot be {}.", state.name(), participle(action))));
        }
        let Self { queue, kind, state, q, .. } = self;
        Ok(Order { action, filter: Filter { queue, state, kind, q, error: None }, ids: None, before: None })
    }
}

const fn participle(action: Action) -> &'static str {
    match action {
        Action::Retry => "retried",
        Action::Cancel => "cancelled",
    }
}

fn show_plan(action: Action, plan: &Plan, screen: &mut Screen) -> anyhow::Result<()> {
    let sample: Vec<Value> = plan.sample.iter().map(as_json).collect();
    let (matched, more) = (plan.matched, plan.more);
    screen.json(
        &json!({ "action": action, "dry_run": true, "matched": matched, "more": more, "sample": sample, "changed": 0 }),
    )?;
    let at_least = if more { "at least " } else { "" };
    screen.say(format_args!("{at_least}{matched} jobs would be {}; nothing was changed.", participle(action)))?;
    if matched > 0 { show_table(&plan.sample, screen) } else { Ok(()) }
}

fn show_outcome(action: Action, done: &Outcome, screen: &mut Screen) -> anyhow::Result<()> {
    let refused: Vec<_> = done.refused.iter().map(|(id, why)| json!({ "id": id, "reason": why.to_string() })).collect();
    screen.json(&json!({ "action": action, "dry_run": false, "changed": done.changed, "refused": refused }))?;
    let mark = screen.toned(Tone::Good, "✓");
    screen.say(format_args!("{mark} {} jobs were {}.", done.changed, participle(action)))?;
    for (id, why) in done.refused.iter().take(REFUSALS) {
        show_refusal(*id, &why.to_string(), screen)?;
    }
    if let Some(more @ 1..) = done.refused.len().checked_sub(REFUSALS) {
        screen.hint(format_args!("  {more} more were left as they are."))?;
    }
    Ok(())
}

fn show_refusal(id: JobId, why: &str, screen: &mut Screen) -> anyhow::Result<()> {
    let mark = screen.toned(Tone::Caution, "!");
    Ok(screen.hint(format_args!("{mark} {id} was left as it is. {why}"))?)
}
