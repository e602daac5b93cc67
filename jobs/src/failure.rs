//! The few ways in which a run can end other than well. The retry rule reads only these.

use std::time::Duration;

use bellwork_shared::database::is_transient;

/// Why a run did not end well, and what that means for the job.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It may work later: charged as an attempt, retried after the backoff.
    #[error("{reason}")]
    Retry {
        /// What happened, and behind a colon why; whoever submitted the job is shown the first part alone.
        reason: String,
        /// The least time to wait, if the other side named one (`Retry-After`).
        after: Option<Duration>,
    },
    /// It will never work: given up at once.
    #[error("{reason}")]
    Fatal {
        /// What happened, and behind a colon why; whoever submitted the job is shown the first part alone.
        reason: String,
    },
    /// It is too early: tried again after this time, uncharged.
    #[error("snoozed for {0:?}")]
    Snooze(Duration),
    /// It must not run any more.
    #[error("cancelled")]
    Cancelled,
}

impl Failure {
    /// It may work later.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { reason: reason.into(), after: None }
    }

    /// It will never work.
    pub fn fatal(reason: impl Into<String>) -> Self {
        Self::Fatal { reason: reason.into() }
    }
}

/// How long a job waits for PostgreSQL to come back, uncharged: it is not the job's fault.
const DATABASE_AWAY: Duration = Duration::from_secs(1);

/// What everybody may read of an error of the database; the log has the whole.
const DATABASE_REFUSED: &str = "the database refused a statement";

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        if is_transient(&error) {
            return Self::Snooze(DATABASE_AWAY);
        }
        tracing::error!(%error, "{DATABASE_REFUSED}");
        Self::retry(DATABASE_REFUSED)
    }
}

/// With its whole chain of causes; a database that is away anywhere in it is not the job's fault.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<sqlx::Error>() {
            Ok(error) => error.into(),
            Err(error) => Self::retry(format!("{error:#}")),
        }
    }
}
