//! From answers handed in to the row of an attempt.

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::answers::Answer;
use crate::ids::{AttemptId, JobId, SittingId, TestId, UserId};
use crate::points::Points;
use crate::versions::Taken;

/// Whether answers came before the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Punctuality {
    /// They did, or there was none.
    InTime,
    /// They came after it, and the test takes such answers.
    Late,
}

impl Punctuality {
    /// From what the database says.
    #[must_use]
    pub fn of(late: bool) -> Self {
        if late { Self::Late } else { Self::InTime }
    }
}

/// The sitting in which answers were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sat {
    /// Its id.
    pub sitting: SittingId,
    /// Whether they came before its deadline.
    pub punctuality: Punctuality,
}

/// An attempt to be stored.
#[derive(Clone, Debug)]
pub struct NewAttempt<'a> {
    /// Its id.
    pub id: AttemptId,
    /// Whose it is.
    pub user: UserId,
    /// What was taken.
    pub taken: Taken,
    /// The job that grades it.
    pub job: JobId,
    /// The answers, checked.
    pub answers: &'a [Answer],
    /// What all right answers would earn.
    pub max_score: Points,
    /// The sitting, unless the test has no time limit.
    pub sat: Option<Sat>,
}

/// Stores an attempt as queued. Late answers and those to practice sets never rank.
///
/// # Errors
/// If the database fails.
pub async fn insert(conn: &mut PgConnection, new: &NewAttempt<'_>) -> sqlx::Result<()> {
    let (test, version) = new.taken.columns();
    let late = new.sat.is_some_and(|sat| sat.punctuality == Punctuality::Late);
    sqlx::query!(
        r#"
        insert into attempts (id, user_id, test_id, test_version, job_id, answers, max_score, sitting_id, late, ranks)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        "#,
        new.id as AttemptId,
        new.user as UserId,
        test as TestId,
        version,
        new.job as JobId,
        Json(new.answers) as _,
        new.max_score as Points,
        new.sat.map(|sat| sat.sitting) as Option<SittingId>,
        late,
        version.is_some() && !late,
    )
    .execute(conn)
    .await?;
    Ok(())
}
