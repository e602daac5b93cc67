//! Steering one job: what operators and students do to it. The row in the ledger decides; Redis follows.

use std::time::Duration;

use bellwork_queue::{Inspector, JobView, Place, Removal};
use bellwork_shared::ids::JobId;
use bellwork_shared::ledger::{self, Closing, JobRow, JobState, OpenJob};
use bellwork_shared::personal_data::erasure;
use serde_json::Value;
use serde_json::value::to_raw_value;
use sqlx::{Acquire, Postgres};
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use crate::context::StoredProgress;
use crate::job::Decoded;
use crate::kinds;
use crate::submit::Submitter;

/// A job that has just ended stands in Redis for a moment longer.
const LAST_MOMENT: Duration = Duration::from_secs(2);
/// How long an answer waits for Redis.
const LOCATE_TIMEOUT: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no such job.
    #[error("There is no job {0}.")]
    Unknown(JobId),
    /// Only dead and cancelled jobs can be retried.
    #[error("The job is {}: only a dead or cancelled job can be retried.", .0.name())]
    NotGivenUp(JobState),
    /// It has ended before.
    #[error("The job has ended already.")]
    Ended,
    /// A process runs it.
    #[error("The job is running.")]
    Running,
    /// This version of the program cannot read it.
    #[error("This release cannot read the job: {0}.")]
    Unreadable(String),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// Redis failed.
    #[error("Redis failed")]
    Queue(#[from] bellwork_queue::Error),
}

/// Whether a job that runs can be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenRunning {
    /// No.
    Refuse,
    /// Yes: it is told to end, and nothing of it is recorded.
    End,
}

/// Lets a dead or cancelled job run again, with its attempts at zero.
///
/// # Errors
/// If it cannot be; nothing is changed then.
pub async fn retry<'a>(
    database: impl Acquire<'a, Database = Postgres> + Copy,
    inspector: &Inspector,
    submitter: &Submitter,
    id: JobId,
) -> Result<OpenJob, Refusal> {
    let row = find(database, id).await?;
    if !matches!(row.state, JobState::Dead | JobState::Cancelled) {
        return Err(Refusal::NotGivenUp(row.state));
    }
    forget_former_life(inspector, &row).await?;
    let mut tx = database.begin().await?;
    let job = ledger::reopen(&mut tx, id).await?.ok_or(Refusal::Ended)?;
    decode(&job.kind, &job.payload)?.reopened(&mut tx).await?;
    tx.commit().await?;
    submitter.push(std::slice::from_ref(&job)).await;
    Ok(job)
}

/// Lets a job not run. Returns its row as it was.
///
/// # Errors
/// If it cannot be; nothing is changed then.
pub async fn cancel<'a>(
    database: impl Acquire<'a, Database = Postgres> + Copy,
    inspector: &Inspector,
    id: JobId,
    when_running: WhenRunning,
) -> Result<JobRow, Refusal> {
    let row = find(database, id).await?;
    if when_running == WhenRunning::Refuse && is_running(inspector, &row).await {
        return Err(Refusal::Running);
    }
    if write_cancelled(database, &row).await? == Closing::SomebodyElses {
        return Err(Refusal::Ended);
    }
    if let Err(error) = inspector.cancel(&row.queue, id.0).await {
        warn!(%error, job = %id, "not removed from Redis; a worker will find its row closed");
    }
    Ok(row)
}

/// Writes the end of a cancelled job with what follows, in the order of all who record: first the submitter, then what
/// the job is about, its own row last. So nobody who holds one of them waits for one before it.
async fn write_cancelled<'a>(database: impl Acquire<'a, Database = Postgres>, row: &JobRow) -> sqlx::Result<Closing> {
    let mut tx = database.begin().await?;
    if let Some(user) = row.submitter {
        erasure::hold_off(&mut tx, user).await?;
    }
    let payload = ledger::payload(&mut tx, row.id).await?.unwrap_or_default();
    // A job that no version can read has nothing to undo.
    if let Ok(job) = decode(&row.kind, &payload) {
        job.cancelled(row.id, &mut tx).await?;
    }
    let closing = ledger::close_cancelled(&mut tx, row.id).await?;
    match closing {
        Closing::Ours => tx.commit().await?,
        Closing::SomebodyElses => tx.rollback().await?,
    }
    Ok(closing)
}

/// What Redis knows of an open job. Without Redis nobody can say, and the row decides.
pub async fn look(inspector: &Inspector, row: &JobRow) -> Option<JobView> {
    if row.finished_at.is_some() {
        return None;
    }
    timeout(LOCATE_TIMEOUT, inspector.explain(&row.queue, row.id.0)).await.ok()?.ok()?
}

/// Whether a process runs the job.
pub async fn is_running(inspector: &Inspector, row: &JobRow) -> bool {
    look(inspector, row).await.is_some_and(|job| job.place == Place::Leased)
}

/// What the handler of a running job said last of its progress.
#[must_use]
pub fn progress(job: &JobView) -> Option<StoredProgress> {
    serde_json::from_str(job.progress.as_deref()?).ok()
}

async fn find<'a>(database: impl Acquire<'a, Database = Postgres>, id: JobId) -> Result<JobRow, Refusal> {
    let row = ledger::find(&mut *database.acquire().await?, id).await?;
    row.ok_or(Refusal::Unknown(id))
}

/// Removes what Redis still holds of the job: it would make the push look like a second one. While its row is closed
/// nothing else can want it.
async fn forget_former_life(inspector: &Inspector, row: &JobRow) -> Result<(), Refusal> {
    let patience = Instant::now() + LAST_MOMENT;
    loop {
        match inspector.remove(&row.queue, row.id.0).await? {
            Removal::Running | Removal::Ending if Instant::now() < patience => sleep(LOOK_AGAIN).await,
            Removal::Running | Removal::Ending => return Err(Refusal::Running),
            Removal::Removed | Removal::Absent => return Ok(()),
        }
    }
}

fn decode(kind: &str, payload: &Value) -> Result<Box<dyn Decoded>, Refusal> {
    let kind = kinds::find(kind).ok_or_else(|| Refusal::Unreadable(format!("the kind {kind} is not known here")))?;
    let payload = to_raw_value(payload).expect("a JSON value is valid JSON");
    (kind.decode)(&payload).map_err(|error| Refusal::Unreadable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use bellwork_queue::{Engine, Upkeep};
    use bellwork_shared::attempts::{self, AttemptStatus, Grading};
    use bellwork_shared::points::Points;
    use sqlx::PgPool;
    use uuid::Uuid;

    use super::*;
    use crate::envelope::Addressed;
    use crate::kinds::close_stale_sessions::CloseStaleSessions;
    use crate::kinds::grade_attempt::GradeAttempt;
    use crate::rehearsal::{attempt, publish_test, redis, register, waiting};
    use crate::submit::{Options, new_job};

    struct Desk {
        database: PgPool,
        engine: Engine,
        inspector: Inspector,
        submitter: Submitter,
    }

    impl Desk {
        fn new(database: &PgPool) -> Self {
            let engine = Engine::new(redis(), &format!("test-{}", Uuid::new_v4().simple()));
            let (submitter, _) = Submitter::start(engine.producer(), database.clone());
            Self { database: database.clone(), inspector: engine.inspector(), engine, submitter }
        }

        /// An accepted job that Redis has.
        async fn job(&self) -> JobId {
            let job = new_job(&CloseStaleSessions {}, Options::default());
            ledger::insert(&mut self.database.acquire().await.unwrap(), std::slice::from_ref(&job)).await.unwrap();
            self.submitter.insist(vec![Addressed::from(&job)]).await.unwrap();
            job.id
        }

        async fn retry(&self, id: JobId) -> Result<OpenJob, Refusal> {
            retry(&self.database, &self.inspector, &self.submitter, id).await
        }

        async fn place(&self, id: JobId) -> Place {
            self.inspector.locate("maintenance", id.0).await.unwrap()
        }
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_dead_job_waits_again_although_redis_still_held_its_former_life(database: PgPool) {
        let desk = Desk::new(&database);
        let id = desk.job().await;
        ledger::close_dead(&mut database.acquire().await.unwrap(), id, "it broke").await.unwrap();
        desk.retry(id).await.unwrap();
        assert_eq!(desk.place(id).await, Place::Ready);
        let row = find(&database, id).await.unwrap();
        assert_eq!((row.state, row.attempts), (JobState::Ready, 0));
        assert!(Upkeep::new(&desk.engine, "maintenance").unwrap().dead_letters().await.unwrap().is_empty());
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn only_what_was_given_up_is_retried(database: PgPool) {
        let desk = Desk::new(&database);
        let id = desk.job().await;
        assert!(matches!(desk.retry(id).await, Err(Refusal::NotGivenUp(JobState::Ready))));
        assert!(matches!(desk.retry(JobId::new()).await, Err(Refusal::Unknown(_))));
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn who_cancels_a_job_that_is_being_recorded_waits_and_comes_second(database: PgPool) {
        let desk = Desk::new(&database);
        let mut conn = database.acquire().await.unwrap();
        let (user, test) = (register(&mut conn, "Zoe").await, publish_test(&mut conn).await);
        let attempt_id = attempt(&mut conn, user, &test, []).await;
        let job = new_job(&GradeAttempt { attempt_id }, Options { submitter: Some(user), ..Options::default() });
        ledger::insert(&mut conn, std::slice::from_ref(&job)).await.unwrap();
        let mut recording = database.begin().await.unwrap();
        let grading = Grading { score: Points(0), feedback: Vec::new() };
        attempts::mark_graded(&mut recording, attempt_id, &grading).await.unwrap();
        let cancelling = cancel(&database, &desk.inspector, job.id, WhenRunning::End);
        let ending = async {
            waiting(&database, 1).await;
            let closing = ledger::close_done(&mut recording, job.id, None, &[]).await;
            recording.commit().await.unwrap();
            closing
        };
        let (cancelled, closed) = tokio::join!(cancelling, ending);
        assert_eq!(closed.unwrap(), Closing::Ours);
        assert!(matches!(cancelled, Err(Refusal::Ended)), "{cancelled:?}");
        let attempt = attempts::find(&mut conn, user, attempt_id).await.unwrap().unwrap();
        assert_eq!(attempt.status, AttemptStatus::Graded, "nothing of the cancellation stays");
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_cancelled_job_leaves_redis_and_can_be_retried(database: PgPool) {
        let desk = Desk::new(&database);
        let id = desk.job().await;
        cancel(&database, &desk.inspector, id, WhenRunning::Refuse).await.unwrap();
        assert_eq!(desk.place(id).await, Place::Absent);
        assert_eq!(find(&database, id).await.unwrap().state, JobState::Cancelled);
        let again = cancel(&database, &desk.inspector, id, WhenRunning::Refuse).await;
        assert!(matches!(again, Err(Refusal::Ended)));
        desk.retry(id).await.unwrap();
        assert_eq!(desk.place(id).await, Place::Ready);
    }
}
