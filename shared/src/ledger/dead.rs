//! Dead letters: what jobs died of.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use crate::database::searching;
use crate::ids::JobId;

/// Dead jobs that are read, the newest of them: some 10 ms of work.
pub const LOOKED_AT: i64 = 5_000;

/// Jobs of a kind that died of the same thing.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Cause {
    /// Their queue.
    pub queue: String,
    /// The stored name of their kind.
    pub kind: String,
    /// Their last error, with `{id}` for its ids and `#` for its numbers. The filter of a bulk action takes it as `error`.
    pub error: String,
    /// How many they are.
    pub count: i64,
    /// When the first of them died.
    pub first_at: DateTime<Utc>,
    /// When the last of them died.
    pub last_at: DateTime<Utc>,
    /// The newest five of them.
    pub sample: Vec<JobId>,
}

/// What the newest dead jobs died of, the most frequent cause first, up to `limit` causes.
///
/// # Errors
/// If the database fails.
pub async fn causes(
    conn: &mut PgConnection,
    queue: Option<&str>,
    kind: Option<&str>,
    limit: i64,
) -> sqlx::Result<Vec<Cause>> {
    let mut tx = searching(conn).await?;
    let causes = sqlx::query_as!(
        Cause,
        r#"
        select queue as "queue!", kind as "kind!", normalised_error(coalesce(last_error, '')) as "error!",
               count(*) as "count!", min(finished_at) as "first_at!", max(finished_at) as "last_at!",
               (array_agg(id order by id desc))[1:5] as "sample!: Vec<JobId>"
        from (
            select id, queue, kind, last_error, finished_at from jobs
            where state = 'dead' and ($1::text is null or queue = $1)
            order by id desc limit $2
        ) as newest
        where $3::text is null or kind = $3
        group by 1, 2, 3 order by 4 desc, 6 desc limit $4
        "#,
        queue,
        LOOKED_AT,
        kind,
        limit,
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(causes)
}

/// How many dead jobs [`causes`] looks at in `queue`, or in all.
///
/// # Errors
/// If the database fails.
pub async fn looked_at(conn: &mut PgConnection, queue: Option<&str>) -> sqlx::Result<i64> {
    let mut tx = searching(conn).await?;
    let looked_at = sqlx::query_scalar!(
        r#"
        select count(*) as "dead!" from (
            select from jobs where state = 'dead' and ($1::text is null or queue = $1) limit $2
        ) as dead
        "#,
        queue,
        LOOKED_AT,
    );
    let looked_at = looked_at.fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(looked_at)
}
