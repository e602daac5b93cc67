//! Cells and bands: how many students of a board hold a score, or a whole number of points. Compared with the entries they
//! count, and put right while others write.

use std::collections::BTreeMap;

use chrono::{NaiveDate, Utc};
use sqlx::{Connection, PgConnection};

use super::oldest_kept;
use super::repair::one_repair_at_a_time;
use crate::ids::TestId;
use crate::ranking::{Board, Period};

/// Tallies changed by one statement, which looks each of them up among all.
const CHUNK: usize = 200;
/// A count that is right needs one pass, one that was wrong a second to see that it is right.
const PASSES: usize = 3;

/// By how much the counts of scores are too low.
pub(super) type Steps = BTreeMap<(Board, i32), i64>;

/// Compares the counts of the boards of `test` with their entries, puts them right, and returns how many were wrong.
///
/// A writer changes an entry and its counts in one transaction, so that the difference between them is the same in each
/// snapshot, whoever writes: it is found without a lock, and added to what the counts are by then.
///
/// # Errors
/// If the database fails.
pub(super) async fn recount(conn: &mut PgConnection, test: TestId) -> sqlx::Result<u64> {
    let oldest = oldest_kept(Utc::now());
    let mut wrong = 0;
    for _ in 0..PASSES {
        let mut transaction = conn.begin().await?;
        one_repair_at_a_time(&mut transaction).await?;
        let cells = missing_in_cells(&mut transaction, test, oldest).await?;
        let bands = missing_in_bands(&mut transaction, test, oldest).await?;
        add_to_cells(&mut transaction, &cells).await?;
        add_to_bands(&mut transaction, &bands).await?;
        transaction.commit().await?;
        if cells.is_empty() && bands.is_empty() {
            break;
        }
        wrong += (cells.len() + bands.len()) as u64;
    }
    Ok(wrong)
}

struct Missing {
    period: Period,
    starts_on: NaiveDate,
    key: i32,
    entries: i64,
}

fn steps(test: TestId, missing: Vec<Missing>) -> Steps {
    let step = |Missing { period, starts_on, key, entries }| ((Board { test, period, starts_on }, key), entries);
    missing.into_iter().map(step).collect()
}

async fn missing_in_cells(conn: &mut PgConnection, test: TestId, oldest: NaiveDate) -> sqlx::Result<Steps> {
    let missing = sqlx::query_as!(
        Missing,
        r#"
        with counted as (
            select period, starts_on, score, count(*) as entries from leaderboard_entries
            where test_id = $1 and (period = 'all' or starts_on >= $2) group by period, starts_on, score
        ), kept as (
            select period, starts_on, score, entries from leaderboard_histogram
            where test_id = $1 and (period = 'all' or starts_on >= $2)
        )
        select period as "period!: Period", starts_on as "starts_on!", score as "key!",
               coalesce(counted.entries, 0) - coalesce(kept.entries, 0) as "entries!"
        from counted full join kept using (period, starts_on, score)
        where coalesce(counted.entries, 0) <> coalesce(kept.entries, 0)
        "#,
        test as TestId,
        oldest,
    );
    Ok(steps(test, missing.fetch_all(conn).await?))
}

async fn missing_in_bands(conn: &mut PgConnection, test: TestId, oldest: NaiveDate) -> sqlx::Result<Steps> {
    let missing = sqlx::query_as!(
        Missing,
        r#"
        with counted as (
            select period, starts_on, score / 100 as band, count(*) as entries from leaderboard_entries
            where test_id = $1 and (period = 'all' or starts_on >= $2) group by period, starts_on, score / 100
        ), kept as (
            select period, starts_on, band, entries from leaderboard_bands
            where test_id = $1 and (period = 'all' or starts_on >= $2)
        )
        select period as "period!: Period", starts_on as "starts_on!", band as "key!",
               coalesce(counted.entries, 0) - coalesce(kept.entries, 0) as "entries!"
        from counted full join kept using (period, starts_on, band)
        where coalesce(counted.entries, 0) <> coalesce(kept.entries, 0)
        "#,
        test as TestId,
        oldest,
    );
    Ok(steps(test, missing.fetch_all(conn).await?))
}

/// Steps as columns.
#[derive(Default)]
struct Columns {
    tests: Vec<TestId>,
    periods: Vec<Period>,
    starts: Vec<NaiveDate>,
    keys: Vec<i32>,
    entries: Vec<i64>,
}

/// In their order, which is that of all writers: transactions that wait for each other's rows do so in one direction.
fn chunks(steps: &Steps) -> Vec<Columns> {
    let steps: Vec<_> = steps.iter().filter(|(_, entries)| **entries != 0).collect();
    let columns = |chunk: &[(&(Board, i32), &i64)]| {
        let mut columns = Columns::default();
        for ((board, key), entries) in chunk {
            columns.tests.push(board.test);
            columns.periods.push(board.period);
            columns.starts.push(board.starts_on);
            columns.keys.push(*key);
            columns.entries.push(**entries);
        }
        columns
    };
    steps.chunks(CHUNK).map(columns).collect()
}

/// Adds to the counts of scores.
pub(super) async fn add_to_cells(conn: &mut PgConnection, steps: &Steps) -> sqlx::Result<()> {
    for Columns { tests, periods, starts, keys, entries } in chunks(steps) {
        sqlx::query!(
            r#"
            with step as (
                select * from unnest($1::uuid[], $2::leaderboard_period[], $3::date[], $4::int[], $5::bigint[])
                         as step (test_id, period, starts_on, score, entries)
            )
            insert into leaderboard_histogram as cell (test_id, period, starts_on, score, entries)
            select test_id, period, starts_on, score, greatest(entries, 0) from step order by 1, 2, 3, 4
            on conflict (test_id, period, starts_on, score) do update
            set entries = greatest(0, cell.entries + (
                select entries from step where (step.test_id, step.period, step.starts_on, step.score)
                                             = (cell.test_id, cell.period, cell.starts_on, cell.score)))
            "#,
            &tests as &[TestId],
            &periods as &[Period],
            &starts,
            &keys,
            &entries,
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// Adds to the counts of whole points.
pub(super) async fn add_to_bands(conn: &mut PgConnection, steps: &Steps) -> sqlx::Result<()> {
    for Columns { tests, periods, starts, keys, entries } in chunks(steps) {
        sqlx::query!(
            r#"
            with step as (
                select * from unnest($1::uuid[], $2::leaderboard_period[], $3::date[], $4::int[], $5::bigint[])
                         as step (test_id, period, starts_on, band, entries)
            )
            insert into leaderboard_bands as row (test_id, period, starts_on, band, entries)
            select test_id, period, starts_on, band, greatest(entries, 0) from step order by 1, 2, 3, 4
            on conflict (test_id, period, starts_on, band) do update
            set entries = greatest(0, row.entries + (
                select entries from step where (step.test_id, step.period, step.starts_on, step.band)
                                             = (row.test_id, row.period, row.starts_on, row.band)))
            "#,
            &tests as &[TestId],
            &periods as &[Period],
            &starts,
            &keys,
            &entries,
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}
