//! `bellwork jobs enqueue`: submits a job by hand.

use std::time::Duration;

use anyhow::Context;
use bellwork_jobs::job::Kind;
use bellwork_jobs::kinds;
use bellwork_jobs::submit::Submitter;
use bellwork_queue::{MAX_PAYLOAD, Priority};
use bellwork_shared::ids::JobId;
use bellwork_shared::ledger::{self, NewJob};
use chrono::Utc;
use clap::Args;
use serde_json::json;
use serde_json::value::RawValue;

use super::priority_name;
use crate::advice::Misuse;
use crate::ages;
use crate::screen::{Screen, Tone};
use crate::stores;

/// The engine takes no job that waits longer than ten years.
const MAX_DELAY: Duration = Duration::from_secs(3650 * 86_400);

/// Submit a job by hand, as a process would: into the ledger, then into its queue.
#[derive(Debug, Args)]
pub(crate) struct Enqueue {
    /// The kind of job; an unknown one lists those that there are.
    kind: String,
    /// Its payload, such as '{"attempt_id": "…"}'.
    payload: String,
    /// Instead of the kind's own: critical, high, normal or low.
    #[arg(long)]
    priority: Option<Priority>,
    /// How long to wait before it runs: 90s, 5m, 2h or 1d.
    #[arg(long, value_parser = ages::parse)]
    delay: Option<Duration>,
}

impl Enqueue {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        let job = self.job()?;
        let database = stores::database()?;
        let engine = stores::engine()?;
        let mut transaction = database.begin().await.context("nothing was submitted")?;
        ledger::insert(&mut transaction, std::slice::from_ref(&job)).await.context("nothing was submitted")?;
        transaction.commit().await.context("nothing was submitted")?;
        let (submitter, outbox) = Submitter::start(engine.producer(), database);
        submitter.push(std::slice::from_ref(&job)).await;
        drop(submitter);
        outbox.await?;
        show(&job, self.delay, screen)
    }

    fn job(&self) -> Result<NewJob, Misuse> {
        let kind = kinds::find(&self.kind).ok_or_else(|| unknown_kind(&self.kind))?;
        let delay = self.delay.unwrap_or_default();
        if delay > MAX_DELAY {
            return Err(Misuse("No job waits longer than ten years.".to_owned()));
        }
        Ok(NewJob {
            id: JobId::new(),
            kind: kind.name,
            version: kind.version,
            queue: kind.queue.name,
            priority: self.priority.unwrap_or(kind.priority) as i16,
            group: None,
            payload: payload(kind, &self.payload)?,
            max_attempts: kind.max_attempts,
            run_at: Utc::now() + delay,
            trace_parent: None,
            submitter: None,
            parent: None,
        })
    }
}

/// The payload, if the kind can read it.
fn payload(kind: &Kind, text: &str) -> Result<serde_json::Value, Misuse> {
    if text.len() > MAX_PAYLOAD / 2 {
        return Err(Misuse(format!("A payload has at most {} bytes.", MAX_PAYLOAD / 2)));
    }
    let raw: &RawValue =
        serde_json::from_str(text).map_err(|error| Misuse(format!("The payload is not JSON: {error}.")))?;
    (kind.decode)(raw).map_err(|error| Misuse(format!("{} cannot read this payload: {error}.", kind.name)))?;
    serde_json::from_str(text).map_err(|error| Misuse(format!("The payload cannot be stored: {error}.")))
}

fn unknown_kind(name: &str) -> Misuse {
    let known: Vec<_> = kinds::ALL.iter().map(|kind| kind.name).collect();
    Misuse(format!("There is no kind \"{name}\"; there are {}.", known.join(", ")))
}

fn show(job: &NewJob, delay: Option<Duration>, screen: &mut Screen) -> anyhow::Result<()> {
    let (queue, priority) = (job.queue, priority_name(job.priority));
    let answer = json!({ "id": job.id, "kind": job.kind, "queue": queue, "priority": priority, "run_at": job.run_at });
    screen.json(&answer)?;
    let mark = screen.toned(Tone::Good, "✓");
    let when = delay.map_or_else(String::new, |delay| format!(", to run in {}", ages::roughly(delay)));
    screen.say(format_args!("{mark} {} {} is accepted in {queue}, priority {priority}{when}.", job.kind, job.id))?;
    Ok(screen.hint(format_args!("  `bellwork jobs show {}` shows how it fares.", job.id))?)
}

/// A job that any installation can accept.
#[cfg(test)]
pub(super) fn example() -> NewJob {
    let enqueue = Enqueue { kind: "prune_ledger".into(), payload: "{}".into(), priority: None, delay: None };
    enqueue.job().expect("the kind takes an empty payload")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(kind: &str, payload: &str) -> String {
        let enqueue = Enqueue { kind: kind.into(), payload: payload.into(), priority: None, delay: None };
        enqueue.job().unwrap_err().to_string()
    }

    #[test]
    fn a_job_takes_what_its_kind_says_unless_told_otherwise() {
        let job = example();
        let kind = kinds::find("prune_ledger").unwrap();
        assert_eq!(
            (job.queue, job.priority, job.max_attempts),
            (kind.queue.name, kind.priority as i16, kind.max_attempts)
        );
        let (priority, delay) = (Some(Priority::Critical), Some(Duration::from_secs(3600)));
        let enqueue = Enqueue { kind: "prune_ledger".into(), payload: "{}".into(), priority, delay };
        let job = enqueue.job().unwrap();
        assert_eq!(job.priority, Priority::Critical as i16);
        assert!(job.run_at > Utc::now() + Duration::from_secs(3590));
    }

    #[test]
    fn what_cannot_be_submitted_is_explained() {
        assert!(refusal("prune", "{}").contains("there are "), "{}", refusal("prune", "{}"));
        assert!(refusal("prune", "{}").contains("notify_user"));
        assert!(refusal("notify_user", "{").starts_with("The payload is not JSON: EOF"));
        assert!(refusal("notify_user", "{}").starts_with("notify_user cannot read this payload: missing field"));
    }
}
