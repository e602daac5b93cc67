//! Documents with all of a user's data: asked for, made by a job, kept for some days.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::ids::{JobId, UserId};

/// How long an export can be fetched, in days.
pub const KEPT_DAYS: i32 = 7;
/// Exports discarded by one statement.
const BATCH: i64 = 100;

/// Notes that `job` makes the next export of `user`, and returns it; or the job that makes one already. Holds the user's
/// row until the transaction ends.
///
/// # Errors
/// If the database fails.
pub async fn request(conn: &mut PgConnection, user: UserId, job: JobId) -> sqlx::Result<JobId> {
    // A statement of its own: the next one's snapshot must be younger than the lock, or it would not see another's job.
    sqlx::query!("select from users where id = $1 for no key update", user as UserId).execute(&mut *conn).await?;
    let ours = sqlx::query!(
        r#"
        insert into exports as export (user_id, job_id) values ($1, $2)
        on conflict (user_id) do update set job_id = excluded.job_id, requested_at = now()
        where not exists (select from jobs where jobs.id = export.job_id and jobs.finished_at is null)
        "#,
        user as UserId,
        job as JobId,
    );
    if ours.execute(&mut *conn).await?.rows_affected() == 1 {
        return Ok(job);
    }
    let theirs =
        sqlx::query_scalar!(r#"select job_id as "job: JobId" from exports where user_id = $1"#, user as UserId);
    theirs.fetch_one(conn).await
}

/// Stores the document that `job` made, unless a newer one was asked for or the user is gone.
///
/// # Errors
/// If the database fails.
pub async fn store(conn: &mut PgConnection, user: UserId, job: JobId, document: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "update exports set document = $3, made_at = now() where user_id = $1 and job_id = $2",
        user as UserId,
        job as JobId,
        document,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A document that was made.
#[derive(Clone, Debug)]
pub struct Export {
    /// JSON.
    pub document: String,
    /// When it was made.
    pub made_at: DateTime<Utc>,
}

/// The newest export of `user`, unless there is none or it is too old.
///
/// # Errors
/// If the database fails.
pub async fn newest(conn: &mut PgConnection, user: UserId) -> sqlx::Result<Option<Export>> {
    sqlx::query_as!(
        Export,
        r#"
        select document as "document!", made_at as "made_at!" from exports
        where user_id = $1 and made_at > now() - make_interval(days => $2)
        "#,
        user as UserId,
        KEPT_DAYS,
    )
    .fetch_optional(conn)
    .await
}

/// Discards the exports that have served their time. Each batch commits by itself.
///
/// # Errors
/// If the database fails.
pub async fn discard_old(conn: &mut PgConnection) -> sqlx::Result<u64> {
    let mut total = 0;
    loop {
        let batch = sqlx::query!(
            r#"
            update exports set document = null, made_at = null where user_id in (
                select user_id from exports where made_at <= now() - make_interval(days => $1)
                order by made_at limit $2 for update skip locked)
            "#,
            KEPT_DAYS,
            BATCH,
        );
        match batch.execute(&mut *conn).await?.rows_affected() {
            0 => return Ok(total),
            discarded => total += discarded,
        }
    }
}
