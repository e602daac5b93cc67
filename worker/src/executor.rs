//! One delivery, from its bytes to its verdict: open, run, record, and what follows the commit.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwork_jobs::context::{Context, Platform};
use bellwork_jobs::envelope::Envelope;
use bellwork_jobs::failure::Failure;
use bellwork_jobs::job::{Decoded, Kind, Ran};
use bellwork_jobs::kinds;
use bellwork_jobs::recording::Aftermath;
use bellwork_jobs::submit::Submitter;
use bellwork_queue::{Delivery, RetryPolicy, Verdict};
use bellwork_shared::ids::{JobId, UserId};
use bellwork_shared::ledger;
use chrono::Utc;
use futures_util::FutureExt;
use tracing::{Instrument, debug, error, info, info_span, warn};

use crate::record::{self, Recorded};

/// A transaction that takes longer waits for a database that does not answer any more.
const RECORD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a job waits whose end could not be written because PostgreSQL is away.
const LEDGER_AWAY_DELAY: Duration = Duration::from_secs(1);

/// Runs deliveries. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Executor {
    /// What all runs share.
    pub platform: Platform,
    /// Pushes follow-ups.
    pub submitter: Submitter,
    /// How long failed jobs wait whose kind does not say so itself.
    pub retry: RetryPolicy,
    /// Who runs them, for the record of failures.
    pub worker: Arc<str>,
}

/// A delivery whose payload was read.
pub struct Opened {
    /// The job.
    pub id: JobId,
    /// Its row in the table of kinds.
    pub kind: &'static Kind,
    /// Its payload.
    pub job: Box<dyn Decoded>,
    /// The user on whose behalf it runs.
    pub submitter: Option<UserId>,
    /// The W3C trace context of the request that caused it.
    pub trace_parent: Option<String>,
}

/// Why a payload could not be read.
#[derive(Debug)]
pub enum Unreadable {
    /// A newer version of the program may know this kind and version.
    TooNew(String),
    /// No version will.
    Broken(String),
}

impl Executor {
    /// Runs one delivery to its verdict. Never fails: what goes wrong becomes a verdict.
    pub async fn execute(&self, delivery: &Delivery) -> Verdict {
        let id = JobId(delivery.id);
        match open(id, &delivery.payload) {
            Ok(opened) => {
                let trace = opened.trace_parent.as_deref().unwrap_or_default();
                let span = info_span!("job", kind = opened.kind.name, %id, trace);
                self.handle(&opened, delivery).instrument(span).await
            }
            Err(Unreadable::TooNew(needs)) => {
                metrics::counter!("bellwork_jobs_unreadable_total").increment(1);
                warn!(%id, needs, "left for a newer worker");
                Verdict::Unreadable(needs)
            }
            Err(Unreadable::Broken(reason)) => self.bury_unreadable(id, &reason).await,
        }
    }

    async fn handle(&self, opened: &Opened, delivery: &Delivery) -> Verdict {
        if delivery.marks.seen_before() {
            match self.is_open(opened.id).await {
                Ok(true) => {}
                Ok(false) => return self.repeat_aftermath(opened).await,
                Err(error) => return ledger_away(&error.into()),
            }
        } else if let Some(created) = opened.id.created_at() {
            let waited = (Utc::now() - created).to_std().unwrap_or_default();
            metrics::histogram!("bellwork_job_wait_seconds", "queue" => opened.kind.queue.name).record(waited);
        }
        let busy = metrics::gauge!("bellwork_worker_busy", "queue" => opened.kind.queue.name);
        busy.increment(1);
        let started = Instant::now();
        let verdict = self.run_and_record(opened, delivery).await;
        busy.decrement(1);
        let labels = [("queue", opened.kind.queue.name), ("kind", opened.kind.name)];
        metrics::histogram!("bellwork_job_run_seconds", &labels).record(started.elapsed());
        verdict
    }

    async fn run_and_record(&self, opened: &Opened, delivery: &Delivery) -> Verdict {
        let ran = match self.run(opened, delivery).await {
            Ok(ran) => ran,
            Err(failure) => return self.conclude(opened, failure).await,
        };
        match self.record(opened, ran).await {
            Ok(Recorded::Ours(aftermath)) => {
                self.follow_up(aftermath).await;
                count(opened, "done");
                Verdict::Complete
            }
            Ok(Recorded::SomebodyElses) => self.repeat_aftermath(opened).await,
            Err(failure) => self.conclude(opened, failure).await,
        }
    }

    /// Records under a time limit; a panic is a failure like others.
    async fn record(&self, opened: &Opened, ran: Box<dyn Ran + '_>) -> Result<Recorded, Failure> {
        let record = AssertUnwindSafe(record::done(&self.platform.database, opened, ran)).catch_unwind();
        match tokio::time::timeout(RECORD_TIMEOUT, record).await {
            Ok(Ok(recorded)) => Ok(recorded?),
            Ok(Err(panic)) => Err(Failure::retry(format!("panicked while recording: {}", panic_message(&*panic)))),
            Err(_) => Err(Failure::Snooze(LEDGER_AWAY_DELAY)),
        }
    }

    /// Runs the handler under its time-out, until somebody cancels it; a panic is a failure like others.
    async fn run<'a>(&'a self, opened: &'a Opened, delivery: &'a Delivery) -> Result<Box<dyn Ran + 'a>, Failure> {
        let reporter = Some(&delivery.reporter);
        let context = Context { platform: &self.platform, job: opened.id, submitter: opened.submitter, reporter };
        let run = AssertUnwindSafe(opened.job.run(context)).catch_unwind();
        let run = tokio::time::timeout(opened.kind.timeout, run);
        let ended = tokio::select! {
            ended = run => ended,
            () = delivery.cancelled.cancelled() => return Err(Failure::Cancelled),
        };
        match ended {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(Failure::retry(format!("panicked: {}", panic_message(&*panic)))),
            Err(_) => Err(Failure::retry(format!("not done within {} s", opened.kind.timeout.as_secs()))),
        }
    }

    /// The steps after a commit. Each is harmless twice, and none can fail: the relay and the rows stand behind them.
    async fn follow_up(&self, aftermath: Aftermath) {
        self.submitter.push(&aftermath.children).await;
        self.platform.announce(&aftermath.events, &aftermath.outdated).await;
    }

    /// The steps after the commit of a job that somebody closed before, read from the rows: its process may have died
    /// before it did them.
    async fn repeat_aftermath(&self, opened: &Opened) -> Verdict {
        match self.read_aftermath(opened).await {
            Ok(()) => {
                debug!("closed before; its last steps were repeated");
                Verdict::Complete
            }
            Err(error) => ledger_away(&error.into()),
        }
    }

    async fn read_aftermath(&self, opened: &Opened) -> sqlx::Result<()> {
        let mut conn = self.platform.database.acquire().await?;
        let children = ledger::unfinished_children(&mut conn, opened.id).await?;
        let events = (opened.kind.announced)(opened.id, &mut conn).await?;
        let outdated = opened.job.outdated(&mut conn).await?;
        drop(conn);
        self.submitter.push(&children).await;
        self.platform.announce(&events, &outdated).await;
        Ok(())
    }

    async fn is_open(&self, id: JobId) -> sqlx::Result<bool> {
        ledger::is_open(&mut *self.platform.database.acquire().await?, id).await
    }

    /// What a failure means for the job.
    async fn conclude(&self, opened: &Opened, failure: Failure) -> Verdict {
        match failure {
            Failure::Retry { reason, after } => self.retry_or_bury(opened, &reason, after).await,
            Failure::Fatal { reason } => self.charge_and_bury(opened, &reason).await,
            Failure::Snooze(delay) => {
                count(opened, "snoozed");
                info!(?delay, "snoozed");
                if let Err(error) = record::snoozed(&self.platform.database, opened.id, delay).await {
                    debug!(%error, "the ledger does not know of the snooze");
                }
                Verdict::Snooze(delay)
            }
            Failure::Cancelled => match record::cancelled(&self.platform.database, opened).await {
                Ok(()) => {
                    count(opened, "cancelled");
                    Verdict::Complete
                }
                Err(error) => ledger_away(&error.into()),
            },
        }
    }

    async fn retry_or_bury(&self, opened: &Opened, reason: &str, after: Option<Duration>) -> Verdict {
        let policy = opened.kind.retry.unwrap_or(self.retry);
        let backoff = |failed| policy.delay(failed, rand::random(), after);
        match record::failed(&self.platform.database, opened.id, reason, &self.worker, backoff).await {
            Ok(Some(delay)) => {
                count(opened, "retried");
                warn!(reason, ?delay, "failed; will be retried");
                Verdict::Retry(delay)
            }
            Ok(None) => self.bury(opened, reason).await,
            Err(error) => ledger_away(&error.into()),
        }
    }

    async fn charge_and_bury(&self, opened: &Opened, reason: &str) -> Verdict {
        match record::charged(&self.platform.database, opened.id, reason, &self.worker).await {
            Ok(()) => self.bury(opened, reason).await,
            Err(error) => ledger_away(&error.into()),
        }
    }

    async fn bury(&self, opened: &Opened, reason: &str) -> Verdict {
        match record::dead(&self.platform.database, opened, reason).await {
            Ok(aftermath) => {
                error!(reason, "given up");
                self.follow_up(aftermath).await;
                count(opened, "dead");
                Verdict::Complete
            }
            Err(error) => ledger_away(&error),
        }
    }

    /// Closes a job that no version of the program can read.
    async fn bury_unreadable(&self, id: JobId, reason: &str) -> Verdict {
        error!(%id, reason, "given up: the payload cannot be read");
        match record::dead_unread(&self.platform.database, id, reason).await {
            Ok(()) => Verdict::Complete,
            Err(error) => ledger_away(&error.into()),
        }
    }

    /// Closes a job that has killed its processes, with the evidence.
    ///
    /// # Errors
    /// If the ledger cannot be written; it may be tried again.
    pub async fn bury_poison(&self, id: JobId, payload: &[u8], evidence: &str) -> anyhow::Result<()> {
        match open(id, payload) {
            Ok(opened) => {
                let aftermath = record::dead(&self.platform.database, &opened, evidence).await?;
                self.follow_up(aftermath).await;
                count(&opened, "dead");
                Ok(())
            }
            Err(_) => Ok(record::dead_unread(&self.platform.database, id, evidence).await?),
        }
    }
}

/// Reads a delivery's payload.
///
/// # Errors
/// If this version of the program cannot.
pub fn open(id: JobId, payload: &[u8]) -> Result<Opened, Unreadable> {
    let envelope: Envelope =
        serde_json::from_slice(payload).map_err(|error| Unreadable::Broken(format!("no envelope: {error}")))?;
    let too_new = || Unreadable::TooNew(kinds::reading(&envelope.kind, envelope.version));
    let kind = kinds::find(&envelope.kind).ok_or_else(too_new)?;
    if envelope.version > kind.version {
        return Err(too_new());
    }
    let job = (kind.decode)(&envelope.payload)
        .map_err(|error| Unreadable::Broken(format!("no payload of {}: {error}", kind.name)))?;
    Ok(Opened { id, kind, job, submitter: envelope.submitter, trace_parent: envelope.trace_parent })
}

fn ledger_away(error: &anyhow::Error) -> Verdict {
    warn!(error = format!("{error:#}"), "the ledger could not be written; the job is tried again");
    Verdict::Snooze(LEDGER_AWAY_DELAY)
}

fn count(opened: &Opened, outcome: &'static str) {
    let labels = [("queue", opened.kind.queue.name), ("kind", opened.kind.name), ("outcome", outcome)];
    metrics::counter!("bellwork_jobs_total", &labels).increment(1);
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn opened(envelope: &serde_json::Value) -> Result<Opened, Unreadable> {
        open(JobId::new(), envelope.to_string().as_bytes())
    }

    #[test]
    fn a_payload_of_this_version_is_read() {
        let opened = opened(&json!({"k": "prune_ledger", "v": 1, "p": {}})).ok().unwrap();
        assert_eq!((opened.kind.name, opened.submitter), ("prune_ledger", None));
    }

    #[test]
    fn what_a_newer_worker_may_read_is_left_for_it() {
        for envelope in
            [json!({"k": "not_yet_invented", "v": 1, "p": {}}), json!({"k": "prune_ledger", "v": 2, "p": {}})]
        {
            assert!(matches!(opened(&envelope), Err(Unreadable::TooNew(_))), "{envelope}");
        }
    }

    #[test]
    fn what_no_worker_can_read_is_broken() {
        for envelope in [json!({"k": "grade_attempt", "v": 1, "p": {"attempt_id": 7}}), json!([1, 2])] {
            assert!(matches!(opened(&envelope), Err(Unreadable::Broken(_))), "{envelope}");
        }
    }
}
