//! Searching the ledger, the newest job first. Whatever is asked for, a search reads a bounded number of rows through an
//! index, and says where it stopped: nothing that an operator types can make it walk through all partitions at once.

mod tally;

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

pub use self::tally::{COUNTED_AT_ONCE, Tally, tally};
use super::{JobRow, JobState};
use crate::database::searching;
use crate::ids::{JobId, UserId};

/// The most rows one part of a search reads: some ten milliseconds of work.
pub const SCANNED_AT_ONCE: i64 = 3_000;
/// A text of at least this many hexadecimal digits is taken for the beginning of an id.
const ID_DIGITS: usize = 8;

/// Which jobs. All that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = JobFilter)]
pub struct Filter {
    /// Those of this queue.
    #[schema(max_length = 100, pattern = "^[^\\u0000]*$")]
    pub queue: Option<String>,
    /// Those in this state.
    pub state: Option<JobState>,
    /// Those of this kind, by its stored name.
    #[schema(max_length = 100, pattern = "^[^\\u0000]*$")]
    pub kind: Option<String>,
    /// At least eight hexadecimal digits are the beginning of an id; anything else is looked for in the kind and in the
    /// last error, whatever its case.
    #[schema(max_length = 200, pattern = "^[^\\u0000]*$")]
    pub q: Option<String>,
    /// Those whose last error is this one but for its ids and numbers, as the list of dead letters shows it.
    #[schema(max_length = 300, pattern = "^[^\\u0000]*$")]
    pub error: Option<String>,
}

/// How far along the jobs must be, beside what the filter says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// Anywhere.
    #[default]
    Any,
    /// Not ended yet.
    Open,
}

/// What an operator can do to many jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BulkAction)]
pub enum Action {
    /// Let dead or cancelled jobs run again, with their attempts at zero.
    Retry,
    /// Let jobs not run, or not leave anything behind.
    Cancel,
}

impl Action {
    /// Whether it can be done to jobs in `state`.
    #[must_use]
    pub fn suits(self, state: JobState) -> bool {
        let given_up = matches!(state, JobState::Dead | JobState::Cancelled);
        match self {
            Self::Retry => given_up,
            Self::Cancel => !given_up && state != JobState::Done,
        }
    }

    /// `filter` for this action: who names no state means dead jobs to be retried, or open ones to be cancelled. Jobs that are
    /// named by their ids are taken in any state, so that it can be said why they are left alone.
    #[must_use]
    pub fn aim(self, mut filter: Filter, among: Option<&[JobId]>) -> (Filter, Standing) {
        let any = among.is_some() || filter.state.is_some();
        match self {
            _ if any => (filter, Standing::Any),
            Self::Cancel => (filter, Standing::Open),
            Self::Retry => {
                filter.state = Some(JobState::Dead);
                (filter, Standing::Any)
            }
        }
    }
}

/// A search.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// Which jobs.
    pub filter: &'a Filter,
    /// How far along they must be.
    pub standing: Standing,
    /// Only these, if given.
    pub among: Option<&'a [JobId]>,
    /// Those that a process runs, as Redis says: the ledger does not know.
    pub running: &'a [JobId],
    /// Only older ones than this.
    pub before: Option<JobId>,
}

/// A part of what was searched for.
#[derive(Clone, Debug)]
pub struct Found {
    /// The jobs, the newest first. A running one says so.
    pub jobs: Vec<JobRow>,
    /// Where the search goes on; a part may be short, or empty, and not the last.
    pub next: Option<JobId>,
}

/// Up to `limit` of the jobs searched for.
///
/// # Errors
/// If the database fails.
pub async fn search(conn: &mut PgConnection, search: Search<'_>, limit: i64) -> sqlx::Result<Found> {
    let (mut tx, terms) = (searching(conn).await?, Terms::of(search));
    let mut jobs = page(&mut tx, &terms, search.filter, limit + 1).await?;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let next = if jobs.len() > wanted {
        jobs.truncate(wanted);
        jobs.last().map(|job| job.id)
    } else {
        end(&mut tx, &terms).await?
    };
    tx.commit().await?;
    let running = |job: &JobRow| job.finished_at.is_none() && search.running.contains(&job.id);
    for job in jobs.iter_mut().filter(|job| running(job)) {
        job.state = JobState::Running;
    }
    Ok(Found { jobs, next })
}

/// A search in the terms of the statements: first what an index serves, which is one clause in all of them, then what is
/// looked at row by row.
struct Terms<'a> {
    first: Uuid,
    last: Uuid,
    before: Option<Uuid>,
    among: Option<Vec<Uuid>>,
    open: bool,
    given_up: Option<JobState>,
    dead_in: Option<&'a str>,
    state: Option<JobState>,
    text: Option<String>,
    not: Vec<Uuid>,
}

impl<'a> Terms<'a> {
    fn of(search: Search<'a>) -> Self {
        let Filter { queue, state, q, .. } = search.filter;
        let ids = |ids: &[JobId]| ids.iter().map(|id| id.0).collect::<Vec<_>>();
        let among = match (state, search.among) {
            (Some(JobState::Running), Some(among)) => {
                Some(among.iter().filter(|id| search.running.contains(id)).map(|id| id.0).collect())
            }
            (Some(JobState::Running), None) => Some(ids(search.running)),
            (_, among) => among.map(ids),
        };
        let waits = matches!(state, Some(JobState::Scheduled | JobState::Ready | JobState::Retrying));
        let range = q.as_deref().and_then(id_range);
        let (first, last) = range.unwrap_or((Uuid::nil(), Uuid::max()));
        Self {
            first,
            last,
            before: search.before.map(|id| id.0),
            among,
            open: waits || *state == Some(JobState::Running) || search.standing == Standing::Open,
            given_up: state.filter(|state| matches!(state, JobState::Dead | JobState::Cancelled)),
            dead_in: queue.as_deref().filter(|_| *state == Some(JobState::Dead)),
            state: state.filter(|state| *state != JobState::Running),
            text: q.as_deref().filter(|_| range.is_none()).map(str::to_lowercase),
            not: if waits { ids(search.running) } else { Vec::new() },
        }
    }
}

/// The smallest and the largest id that begin with `text`, if it is the beginning of an id.
fn id_range(text: &str) -> Option<(Uuid, Uuid)> {
    let digits: String = text.chars().filter(|character| *character != '-').collect();
    if !(ID_DIGITS..=32).contains(&digits.len()) {
        return None;
    }
    let filled = |with: &str| Uuid::parse_str(&format!("{digits}{}", with.repeat(32 - digits.len()))).ok();
    Some((filled("0")?, filled("f")?))
}

async fn page(conn: &mut PgConnection, terms: &Terms<'_>, filter: &Filter, limit: i64) -> sqlx::Result<Vec<JobRow>> {
    sqlx::query_as!(
        JobRow,
        r#"
        select id as "id: JobId", kind, queue, priority, state as "state: JobState", attempts, max_attempts, run_at,
               created_at, finished_at, last_error, result, submitter as "submitter: UserId"
        from (
            select * from jobs
            where id >= $1 and id <= $2 and ($3::uuid is null or id < $3) and ($4::uuid[] is null or id = any($4))
                  and (not $5::bool or finished_at is null)
                  and ($6::job_state is null or (state = $6 and state in ('dead', 'cancelled')))
                  and ($7::text is null or queue = $7)
            order by id desc limit $8
        ) as read
        where ($9::job_state is null or state = $9) and ($10::text is null or queue = $10)
              and ($11::text is null or kind = $11)
              and ($12::text is null or strpos(lower(kind), $12) > 0 or strpos(lower(last_error), $12) > 0)
              and ($13::text is null or normalised_error(last_error) = $13) and id <> all($14::uuid[])
        order by id desc limit $15
        "#,
        terms.first,
        terms.last,
        terms.before,
        terms.among.as_deref(),
        terms.open,
        terms.given_up as Option<JobState>,
        terms.dead_in,
        SCANNED_AT_ONCE,
        terms.state as Option<JobState>,
        filter.queue.as_deref(),
        filter.kind.as_deref(),
        terms.text.as_deref(),
        filter.error.as_deref(),
        &terms.not,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// The last row that a page reads, if there may be more. What each row is looked at for costs most and is left
/// out: where a page ends does not depend on it.
async fn end(conn: &mut PgConnection, terms: &Terms<'_>) -> sqlx::Result<Option<JobId>> {
    sqlx::query_scalar!(
        r#"
        select id as "id: JobId" from jobs
        where id >= $1 and id <= $2 and ($3::uuid is null or id < $3) and ($4::uuid[] is null or id = any($4))
              and (not $5::bool or finished_at is null)
              and ($6::job_state is null or (state = $6 and state in ('dead', 'cancelled')))
              and ($7::text is null or queue = $7)
        order by id desc offset $8::bigint - 1 limit 1
        "#,
        terms.first,
        terms.last,
        terms.before,
        terms.among.as_deref(),
        terms.open,
        terms.given_up as Option<JobState>,
        terms.dead_in,
        SCANNED_AT_ONCE,
    )
    .fetch_optional(conn)
    .await
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use sqlx::pool::PoolConnection;
    use sqlx::{PgPool, Postgres};

    use super::*;

    /// 200,000 jobs over four months: one in 1,000 is dead, one in 997 of a rare kind, one in 500 waits.
    const GENERATE: &str = "
        insert into jobs (id, kind, version, queue, priority, payload, state, max_attempts, run_at, finished_at, last_error)
        select (substr(replace(uuid7_floor(at)::text, '-', ''), 1, 12) || '7' || substr(md5(i::text), 1, 3)
                   || '8' || substr(md5(i::text), 4, 15))::uuid,
               case when i % 997 = 0 then 'rare_kind' else 'common_kind' end, 1,
               case when i % 3 = 0 then 'ai' else 'email' end, 2, '{}', state, 5, at,
               case when state <> 'ready' then at end,
               case when state = 'dead' then 'Refused after ' || i || ' ms by ' || case when i % 7000 = 0 then 'ONE' else 'all' end
               end
        from generate_series(1, 200000) as i
        cross join lateral (select now() - i * interval '50 seconds' as at,
            (case when i % 1000 = 0 then 'dead' when i % 500 = 0 then 'ready' else 'done' end)::job_state as state) as made";

    async fn ledger(database: &PgPool) -> PoolConnection<Postgres> {
        let mut tx = database.begin().await.unwrap();
        for month in 1..=4 {
            sqlx::query("select ensure_jobs_partition(((now() at time zone 'UTC') - $1 * interval '1 month')::date)")
                .bind(month)
                .execute(&mut *tx)
                .await
                .unwrap();
        }
        sqlx::query(GENERATE).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        sqlx::query("vacuum analyze jobs").execute(database).await.unwrap();
        database.acquire().await.unwrap()
    }

    /// How many rows of the ledger were read without an index, and entries of its indexes, as the server counts.
    async fn rows_read(conn: &mut PgConnection) -> (i64, i64) {
        sqlx::query("select pg_stat_force_next_flush()").execute(&mut *conn).await.unwrap();
        let read = "select (select sum(seq_tup_read)::bigint from pg_stat_user_tables where relname ~ '^jobs_(\\d|default)'),
                           (select sum(idx_tup_read)::bigint from pg_stat_user_indexes where relname ~ '^jobs_(\\d|default)')";
        sqlx::query_as(read).fetch_one(conn).await.unwrap()
    }

    async fn whole(conn: &mut PgConnection, filter: &Filter, running: &[JobId]) -> Vec<JobRow> {
        let (mut jobs, mut before) = (Vec::new(), None);
        loop {
            let part = Search { filter, standing: Standing::Any, among: None, running, before };
            let found = search(conn, part, 100).await.unwrap();
            jobs.extend(found.jobs);
            before = found.next;
            if before.is_none() {
                return jobs;
            }
        }
    }

    fn filters() -> Vec<(Filter, usize)> {
        let text = |text: &str| Some(text.to_owned());
        let dead = Filter { state: Some(JobState::Dead), ..Filter::default() };
        vec![
            (dead.clone(), 200),
            (Filter { queue: text("ai"), ..dead.clone() }, 66),
            (Filter { kind: text("rare_kind"), ..dead.clone() }, 0),
            (Filter { q: text("by one"), ..dead.clone() }, 28),
            (Filter { error: text("Refused after # ms by ONE"), ..dead }, 28),
            (Filter { kind: text("rare_kind"), ..Filter::default() }, 200),
            (Filter { q: text("RARE"), ..Filter::default() }, 200),
            (Filter { state: Some(JobState::Ready), ..Filter::default() }, 200),
            (Filter { state: Some(JobState::Ready), queue: text("ai"), ..Filter::default() }, 67),
            (Filter { state: Some(JobState::Cancelled), ..Filter::default() }, 0),
            (Filter { state: Some(JobState::Running), ..Filter::default() }, 0),
            (Filter { q: text("no such words"), ..Filter::default() }, 0),
        ]
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn every_search_is_whole_bounded_and_served_by_an_index(database: PgPool) {
        let mut conn = ledger(&database).await;
        let unread = rows_read(&mut conn).await.0;
        for (filter, expected) in filters() {
            let jobs = whole(&mut conn, &filter, &[]).await;
            assert_eq!(jobs.len(), expected, "{filter:?}");
            assert!(jobs.is_sorted_by(|newer, older| newer.id > older.id), "{filter:?}");
            assert_eq!(jobs.iter().map(|job| job.id).collect::<HashSet<_>>().len(), expected, "{filter:?}");
            let before = rows_read(&mut conn).await;
            let part = Search { filter: &filter, standing: Standing::Any, among: None, running: &[], before: None };
            search(&mut conn, part, 100).await.unwrap();
            let after = rows_read(&mut conn).await;
            assert_eq!(after.0, unread, "no row is read but by an index: {filter:?}");
            let read = after.1 - before.1;
            // Once for the page and once for its end, and the head of each partition each time.
            assert!(read <= 2 * SCANNED_AT_ONCE + 50, "{read} rows: {filter:?}");
            assert_eq!(tally(&mut conn, part).await.unwrap().matched, i64::try_from(expected).unwrap(), "{filter:?}");
        }
        let dead = Filter { state: Some(JobState::Dead), ..Filter::default() };
        let job = &whole(&mut conn, &dead, &[]).await[150];
        let id = job.id.to_string();
        for beginning in [&id, &id[..13], &id.replace('-', "")[..20]] {
            let by_id = Filter { q: Some(beginning.to_owned()), ..Filter::default() };
            let found = whole(&mut conn, &by_id, &[]).await;
            assert!(found.iter().any(|found| found.id == job.id) && found.len() < 5, "{beginning}: {}", found.len());
        }
        assert_eq!(rows_read(&mut conn).await.0, unread);
    }

    /// Of a ledger of so many jobs, the newest first.
    async fn jobs(database: &PgPool, count: i64) -> Vec<JobId> {
        let insert = "insert into jobs (id, kind, version, queue, priority, payload, state, max_attempts, run_at)
                      select uuid7_floor(now() - n * interval '1 second'), case when n = $1 then 'last' else 'x' end, 1, 'ai',
                             2, '{}', 'ready', 1, now() from generate_series(1, $1) as n
                      returning id";
        let mut ids: Vec<JobId> = sqlx::query_scalar(insert).bind(count).fetch_all(database).await.unwrap();
        ids.sort_unstable_by(|one, other| other.cmp(one));
        ids
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn a_part_that_finds_nothing_says_where_it_stopped(database: PgPool) {
        let ids = jobs(&database, SCANNED_AT_ONCE + 1).await;
        let (newest, last, before_last) = (ids[0], ids[ids.len() - 1], ids[ids.len() - 2]);
        let mut conn = database.acquire().await.unwrap();
        let mut part = async |kind: &str, among: Option<&[JobId]>, before| {
            let filter = Filter { kind: Some(kind.to_owned()), ..Filter::default() };
            let part = Search { filter: &filter, standing: Standing::Any, among, running: &[], before };
            let found = search(&mut conn, part, 100).await.unwrap();
            (found.jobs.into_iter().map(|job| job.id).collect::<Vec<_>>(), found.next)
        };
        for among in [None, Some(&ids[..])] {
            assert_eq!(part("last", among, None).await, (vec![], Some(before_last)), "it is one too far");
            assert_eq!(part("last", among, Some(before_last)).await, (vec![last], None));
            assert_eq!(part("none", among, Some(newest)).await, (vec![], Some(last)), "just as many as are read");
            assert_eq!(part("none", among, Some(last)).await, (vec![], None));
            assert_eq!(part("none", among, Some(ids[1])).await, (vec![], None), "one fewer");
        }
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn what_runs_is_not_ready(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let ids: Vec<_> = (0..3).map(|_| JobId::new()).collect();
        for id in &ids {
            let insert = "insert into jobs (id, kind, version, queue, priority, payload, state, max_attempts, run_at)
                          values ($1, 'x', 1, 'ai', 2, '{}', 'ready', 1, now())";
            sqlx::query(insert).bind(id.0).execute(&mut *conn).await.unwrap();
        }
        let running = [ids[1], JobId::new()];
        let mut found = async |state| {
            let filter = Filter { state, ..Filter::default() };
            let jobs = whole(&mut conn, &filter, &running).await;
            jobs.into_iter().map(|job| (job.id, job.state)).collect::<Vec<_>>()
        };
        assert_eq!(found(Some(JobState::Running)).await, [(ids[1], JobState::Running)]);
        assert_eq!(found(Some(JobState::Ready)).await, [(ids[2], JobState::Ready), (ids[0], JobState::Ready)]);
        assert_eq!(found(None).await.len(), 3);
    }

    #[test]
    fn the_beginning_of_an_id_is_told_from_words() {
        let range = |text| id_range(text).map(|(first, last)| (first.to_string(), last.to_string()));
        let (first, last) = range("0193a5c0-7b").unwrap();
        assert_eq!(first, "0193a5c0-7b00-0000-0000-000000000000");
        assert_eq!(last, "0193a5c0-7bff-ffff-ffff-ffffffffffff");
        for words in ["0193a5", "connection refused", "Überlast!", "-------------", &"0".repeat(33)] {
            assert_eq!(range(words), None, "{words}");
        }
    }
}
