//! How many jobs a search would find, for who steers many of them at once.

use sqlx::PgConnection;

use super::{Search, Terms};
use crate::database::searching;
use crate::ids::JobId;
use crate::ledger::JobState;

/// The most rows that are counted.
pub const COUNTED_AT_ONCE: i64 = 200_000;

/// How many jobs a search would find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Those among the rows that were read.
    pub matched: i64,
    /// The last row that was read, if there may be more.
    pub read_to: Option<JobId>,
}

/// How many jobs are searched for, among the newest that can be counted in a moment.
///
/// # Errors
/// If the database fails.
pub async fn tally(conn: &mut PgConnection, search: Search<'_>) -> sqlx::Result<Tally> {
    let mut tx = searching(conn).await?;
    let terms = Terms::of(search);
    let row = sqlx::query!(
        r#"
        select count(*) as "read!", min(id::text)::uuid as "last: JobId", count(*) filter (
            where ($9::job_state is null or state = $9) and ($10::text is null or queue = $10)
                  and ($11::text is null or kind = $11)
                  and ($12::text is null or strpos(lower(kind), $12) > 0 or strpos(lower(last_error), $12) > 0)
                  and ($13::text is null or normalised_error(last_error) = $13) and id <> all($14::uuid[])
            ) as "matched!"
        from (
            select * from jobs
            where id >= $1 and id <= $2 and ($3::uuid is null or id < $3) and ($4::uuid[] is null or id = any($4))
                  and (not $5::bool or finished_at is null)
                  and ($6::job_state is null or (state = $6 and state in ('dead', 'cancelled')))
                  and ($7::text is null or queue = $7)
            order by id desc limit $8
        ) as read
        "#,
        terms.first,
        terms.last,
        terms.before,
        terms.among.as_deref(),
        terms.open,
        terms.given_up as Option<JobState>,
        terms.dead_in,
        COUNTED_AT_ONCE,
        terms.state as Option<JobState>,
        search.filter.queue.as_deref(),
        search.filter.kind.as_deref(),
        terms.text,
        search.filter.error.as_deref(),
        &terms.not,
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Tally { matched: row.matched, read_to: row.last.filter(|_| row.read == COUNTED_AT_ONCE) })
}
