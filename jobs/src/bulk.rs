//! Steering many jobs: each by itself, as one is steered, so that none is left half done and one that cannot be does not
//! keep the others.

use bellwork_queue::Inspector;
use bellwork_shared::ids::JobId;
use bellwork_shared::ledger::search::{Action, Filter, Search, search, tally};
use bellwork_shared::ledger::{JobRow, JobState};
use futures_util::stream::{self, StreamExt};
use sqlx::PgPool;

use crate::steering::{self, Refusal, WhenRunning};
use crate::submit::Submitter;

/// The most jobs steered by one call: some seconds of work.
pub const MOST: usize = 1000;
/// Jobs steered at a time: requests of students need connections, too.
const AT_A_TIME: usize = 4;

/// What steering needs.
#[derive(Clone, Copy, Debug)]
pub struct Desk<'a> {
    /// PostgreSQL.
    pub database: &'a PgPool,
    /// Redis.
    pub inspector: &'a Inspector,
    /// Pushes what is opened again.
    pub submitter: &'a Submitter,
}

/// What is to be done to which jobs.
#[derive(Clone, Debug)]
pub struct Order {
    /// What.
    pub action: Action,
    /// Which; without a state, the dead ones to be retried and the open ones to be cancelled. One that says nothing means no
    /// job, unless there are ids.
    pub filter: Filter,
    /// Only these, if given; each once.
    pub ids: Option<Vec<JobId>>,
    /// Only older ones than this.
    pub before: Option<JobId>,
}

/// What an order would do.
#[derive(Debug, Default)]
pub struct Plan {
    /// How many jobs it would change.
    pub matched: i64,
    /// Whether there are more: counting ends somewhere.
    pub more: bool,
    /// The newest of them.
    pub sample: Vec<JobRow>,
    /// Those that it would leave as they are, and why.
    pub refused: Vec<(JobId, Refusal)>,
}

/// What an order has done.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many jobs were changed.
    pub changed: usize,
    /// Those that were left as they are, and why.
    pub refused: Vec<(JobId, Refusal)>,
    /// Where the rest begins.
    pub next: Option<JobId>,
}

impl Order {
    /// What it would do. `running` are the jobs that run, and `sample` says how many are shown.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn plan(&self, desk: Desk<'_>, running: &[JobId], sample: usize) -> sqlx::Result<Plan> {
        if self.means_nothing() {
            return Ok(Plan::default());
        }
        let (filter, standing) = self.action.aim(self.filter.clone(), self.ids.as_deref());
        let wanted = Search { filter: &filter, standing, among: self.ids.as_deref(), running, before: self.before };
        let mut conn = desk.database.acquire().await?;
        if let Some(ids) = &self.ids {
            let found = search(&mut conn, wanted, limit(MOST)).await?;
            return Ok(self.plan_of(ids, found.jobs, sample));
        }
        let counted = tally(&mut conn, wanted).await?;
        let found = search(&mut conn, wanted, limit(sample)).await?;
        let more = counted.read_to.is_some();
        Ok(Plan { matched: counted.matched, more, sample: found.jobs, refused: Vec::new() })
    }

    fn plan_of(&self, ids: &[JobId], found: Vec<JobRow>, sample: usize) -> Plan {
        let unknown = ids.iter().filter(|id| self.takes_any() && found.iter().all(|job| job.id != **id));
        let mut refused: Vec<_> = unknown.map(|id| (*id, Refusal::Unknown(*id))).collect();
        let (mut suited, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|job| self.action.suits(job.state));
        refused.extend(others.into_iter().map(|job| (job.id, self.refusal(job.state))));
        let matched = i64::try_from(suited.len()).unwrap_or(i64::MAX);
        suited.truncate(sample);
        Plan { matched, more: false, sample: suited, refused }
    }

    fn refusal(&self, state: JobState) -> Refusal {
        match self.action {
            Action::Retry => Refusal::NotGivenUp(state),
            Action::Cancel => Refusal::Ended,
        }
    }

    /// Does it to the newest [`MOST`] of the jobs. Carried out again, it finds those that are left.
    ///
    /// # Errors
    /// If the jobs cannot be searched for; then nothing is done.
    pub async fn carry_out(&self, desk: Desk<'_>, running: &[JobId]) -> sqlx::Result<Outcome> {
        let (targets, next) = self.targets(desk, running).await?;
        Ok(Outcome { next, ..steer(desk, self.action, &targets).await })
    }

    async fn targets(&self, desk: Desk<'_>, running: &[JobId]) -> sqlx::Result<(Vec<JobId>, Option<JobId>)> {
        match &self.ids {
            _ if self.means_nothing() => Ok((Vec::new(), None)),
            Some(ids) if self.takes_any() => Ok((ids.clone(), None)),
            _ => {
                let (filter, standing) = self.action.aim(self.filter.clone(), self.ids.as_deref());
                let among = self.ids.as_deref();
                let wanted = Search { filter: &filter, standing, among, running, before: self.before };
                let found = search(&mut *desk.database.acquire().await?, wanted, limit(MOST)).await?;
                Ok((found.jobs.into_iter().map(|job| job.id).collect(), found.next))
            }
        }
    }

    fn takes_any(&self) -> bool {
        self.filter == Filter::default()
    }

    fn means_nothing(&self) -> bool {
        self.ids.is_none() && self.takes_any()
    }
}

fn limit(jobs: usize) -> i64 {
    i64::try_from(jobs).unwrap_or(i64::MAX)
}

/// Does `action` to each of `ids`, in about their order.
async fn steer(desk: Desk<'_>, action: Action, ids: &[JobId]) -> Outcome {
    let steered = stream::iter(ids.iter().copied().map(|id| async move { (id, steer_one(desk, action, id).await) }));
    let mut steered = steered.buffered(AT_A_TIME);
    let mut outcome = Outcome::default();
    while let Some((id, result)) = steered.next().await {
        match result {
            Ok(()) => outcome.changed += 1,
            Err(refusal) => outcome.refused.push((id, refusal)),
        }
    }
    outcome
}

async fn steer_one(desk: Desk<'_>, action: Action, id: JobId) -> Result<(), Refusal> {
    match action {
        Action::Retry => {
            steering::retry(desk.database, desk.inspector, desk.submitter, id).await?;
        }
        Action::Cancel => {
            steering::cancel(desk.database, desk.inspector, id, WhenRunning::End).await?;
        }
    }
    Ok(())
}
