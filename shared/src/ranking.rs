//! Leaderboards, read. A rank is a sum over bands of whole points and over the cells of one band, so it costs the same
//! with ten students and a million. Each read is one statement, and so of one instant.
//!
//! Who opted out keeps their place without a name: the ranks of others do not move when somebody hides, and stay the
//! share of all who took the test.

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::ids::{TestId, UserId};
use crate::points::Points;

/// What a board covers: everything, or the current month, week (from Monday) or day, in UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "leaderboard_period", rename_all = "snake_case")]
pub enum Period {
    /// Everything.
    #[default]
    All,
    /// This month.
    Month,
    /// This week.
    Week,
    /// Today.
    Day,
}

impl Period {
    /// The first day of the current one.
    #[must_use]
    pub fn starts_on(self, now: DateTime<Utc>) -> NaiveDate {
        let today = now.date_naive();
        match self {
            Self::All => NaiveDate::default(),
            Self::Month => today - Days::new(u64::from(today.day0())),
            Self::Week => today - Days::new(u64::from(today.weekday().num_days_from_monday())),
            Self::Day => today,
        }
    }
}

/// One board of one test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Board {
    /// The test.
    pub test: TestId,
    /// What it covers.
    pub period: Period,
    /// The first day of it.
    pub starts_on: NaiveDate,
}

impl Board {
    /// The current board of `test` for `period`.
    #[must_use]
    pub fn current(test: TestId, period: Period) -> Self {
        Self { test, period, starts_on: period.starts_on(Utc::now()) }
    }
}

/// A place on a board; equal scores share a rank, and the next rank is left out.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Entry {
    /// From 1.
    pub rank: i64,
    /// Who holds it; null if they do not want to be seen.
    pub user: Option<Ranked>,
    /// Their best score.
    pub score: Points,
}

/// A student, as others see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Ranked {
    /// Their id.
    pub id: UserId,
    /// Their name.
    pub display_name: String,
}

/// Where a student stands on a board.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Standing {
    /// From 1; equal scores share it.
    pub rank: i64,
    /// The share of ranked students whom the score is above, ties counted half, in percent with one decimal.
    pub percentile: Option<f64>,
    /// Their best score.
    pub score: Points,
}

/// Whether others see a student's name on the boards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Visibility {
    /// True unless the student opted out.
    pub visible: bool,
}

struct Row {
    rank: i64,
    user_id: UserId,
    display_name: Option<String>,
    score: Points,
}

impl From<Row> for Entry {
    fn from(Row { rank, user_id, display_name, score }: Row) -> Self {
        Self { rank, user: display_name.map(|display_name| Ranked { id: user_id, display_name }), score }
    }
}

/// The first `limit` places as everybody sees them; of equal scores the earlier comes first, then the smaller id.
///
/// # Errors
/// If the database fails.
pub async fn top(conn: &mut PgConnection, board: Board, limit: i64) -> sqlx::Result<Vec<Entry>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        with top as (
            select user_id, score, achieved_at from leaderboard_entries
            where test_id = $1 and period = $2 and starts_on = $3
            order by score desc, achieved_at, user_id limit $4
        )
        select rank() over (order by score desc) as "rank!", user_id as "user_id: UserId",
               case when leaderboard_visible then display_name end as display_name, score as "score: Points"
        from top join users on users.id = user_id order by score desc, achieved_at, user_id
        "#,
        board.test as TestId,
        board.period as Period,
        board.starts_on,
        limit,
    );
    Ok(rows.fetch_all(conn).await?.into_iter().map(Entry::from).collect())
}

/// How many students a board ranks.
///
/// # Errors
/// If the database fails.
pub async fn total(conn: &mut PgConnection, board: Board) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"
        select coalesce(sum(entries), 0)::bigint as "total!" from leaderboard_bands
        where test_id = $1 and period = $2 and starts_on = $3
        "#,
        board.test as TestId,
        board.period as Period,
        board.starts_on,
    )
    .fetch_one(conn)
    .await
}

/// Where `user` stands, if they have a score on the board.
///
/// # Errors
/// If the database fails.
pub async fn standing(conn: &mut PgConnection, board: Board, user: UserId) -> sqlx::Result<Option<Standing>> {
    sqlx::query_as!(
        Standing,
        r#"
        with own as (
            select score, score / 100 as band from leaderboard_entries
            where test_id = $1 and period = $2 and starts_on = $3 and user_id = $4
        ), bands as (
            select sum(entries) as total, sum(entries) filter (where band > (select band from own)) as above
            from leaderboard_bands where test_id = $1 and period = $2 and starts_on = $3
        ), cells as (
            select sum(entries) filter (where score > (select score from own)) as above,
                   sum(entries) filter (where score = (select score from own)) as equal
            from leaderboard_histogram
            where test_id = $1 and period = $2 and starts_on = $3
                  and score >= (select score from own) and score < (select 100 * (band + 1) from own)
        ), counts as (
            select coalesce(bands.above, 0) + coalesce(cells.above, 0) as above, coalesce(equal, 0) as equal, total
            from bands, cells
        )
        select score as "score: Points", 1 + above::bigint as "rank!",
               round(100 * (total - above - equal + equal / 2) / nullif(total, 0), 1)::float8 as percentile
        from own, counts
        "#,
        board.test as TestId,
        board.period as Period,
        board.starts_on,
        user as UserId,
    )
    .fetch_optional(conn)
    .await
}

/// The `around` places before and after those of `user`, who sees their own name whoever else does; nothing if they have
/// no score on the board. Equal and other scores are read apart, so that each is one range of the index in its order.
///
/// # Errors
/// If the database fails.
pub async fn neighbours(conn: &mut PgConnection, board: Board, user: UserId, around: i64) -> sqlx::Result<Vec<Entry>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        with own as (
            select user_id, score, achieved_at from leaderboard_entries
            where test_id = $1 and period = $2 and starts_on = $3 and user_id = $4
        ), ahead as (
            (select entry.user_id, entry.score, entry.achieved_at from leaderboard_entries as entry
             where test_id = $1 and period = $2 and starts_on = $3 and entry.score = (select score from own)
                   and (entry.achieved_at, entry.user_id) < ((select achieved_at from own), $4)
             order by entry.achieved_at desc, entry.user_id desc limit $5)
            union all
            (select entry.user_id, entry.score, entry.achieved_at from leaderboard_entries as entry
             where test_id = $1 and period = $2 and starts_on = $3 and entry.score > (select score from own)
             order by entry.score, entry.achieved_at desc, entry.user_id desc limit $5)
            order by score, achieved_at desc, user_id desc limit $5
        ), behind as (
            (select entry.user_id, entry.score, entry.achieved_at from leaderboard_entries as entry
             where test_id = $1 and period = $2 and starts_on = $3 and entry.score = (select score from own)
                   and (entry.achieved_at, entry.user_id) > ((select achieved_at from own), $4)
             order by entry.achieved_at, entry.user_id limit $5)
            union all
            (select entry.user_id, entry.score, entry.achieved_at from leaderboard_entries as entry
             where test_id = $1 and period = $2 and starts_on = $3 and entry.score < (select score from own)
             order by entry.score desc, entry.achieved_at, entry.user_id limit $5)
            order by score desc, achieved_at, user_id limit $5
        ), shown as (
            select * from ahead union all select * from own union all select * from behind
        ), bounds as (
            select max(score) as highest, min(score) as lowest, max(score) / 100 as band from shown
        ), above as (
            select (select coalesce(sum(entries), 0) from leaderboard_bands
                    where test_id = $1 and period = $2 and starts_on = $3 and band > (select band from bounds))
                 + (select coalesce(sum(entries), 0) from leaderboard_histogram
                    where test_id = $1 and period = $2 and starts_on = $3
                          and score > (select highest from bounds) and score < (select 100 * (band + 1) from bounds)) as entries
        ), ranks as (
            select cell.score, 1 + above.entries + sum(cell.entries) over (order by cell.score desc) - cell.entries as rank
            from leaderboard_histogram as cell, above
            where test_id = $1 and period = $2 and starts_on = $3
                  and cell.score between (select lowest from bounds) and (select highest from bounds)
        )
        select rank::bigint as "rank!", user_id as "user_id!: UserId", score as "score!: Points",
               case when leaderboard_visible or user_id = $4 then display_name end as display_name
        from shown join ranks using (score) join users on users.id = user_id
        order by score desc, achieved_at, user_id
        "#,
        board.test as TestId,
        board.period as Period,
        board.starts_on,
        user as UserId,
        around,
    );
    Ok(rows.fetch_all(conn).await?.into_iter().map(Entry::from).collect())
}

/// Whether others see the name of `user`.
///
/// # Errors
/// If the database fails.
pub async fn visibility(conn: &mut PgConnection, user: UserId) -> sqlx::Result<Visibility> {
    sqlx::query_as!(Visibility, "select leaderboard_visible as visible from users where id = $1", user as UserId)
        .fetch_one(conn)
        .await
}

/// Shows the name of `user` to others, or hides it, on all boards at once.
///
/// # Errors
/// If the database fails.
pub async fn set_visibility(conn: &mut PgConnection, user: UserId, visibility: Visibility) -> sqlx::Result<()> {
    sqlx::query!(
        "update users set leaderboard_visible = $2 where id = $1 and leaderboard_visible <> $2",
        user as UserId,
        visibility.visible,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The tests on whose boards `user` stands.
///
/// # Errors
/// If the database fails.
pub async fn tests_of(conn: &mut PgConnection, user: UserId) -> sqlx::Result<Vec<TestId>> {
    let tests = sqlx::query_scalar!(
        r#"select distinct test_id as "test: TestId" from leaderboard_entries where user_id = $1"#,
        user as UserId,
    );
    tests.fetch_all(conn).await
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    #[test]
    fn a_period_begins_on_its_first_day_in_utc_and_a_week_on_monday() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        for (now, month, week, today) in [
            ((2026, 3, 1, 23, 59), "2026-03-01", "2026-02-23", "2026-03-01"),
            ((2026, 3, 2, 0, 0), "2026-03-01", "2026-03-02", "2026-03-02"),
            ((2027, 1, 1, 12, 0), "2027-01-01", "2026-12-28", "2027-01-01"),
        ] {
            let now = Utc.with_ymd_and_hms(now.0, now.1, now.2, now.3, now.4, 0).unwrap();
            let starts = [Period::All, Period::Month, Period::Week, Period::Day].map(|period| period.starts_on(now));
            assert_eq!(starts, ["1970-01-01", month, week, today].map(day), "{now}");
        }
    }

    const STUDENTS: i32 = 20_000;

    /// A board on which every cell of 100 points is filled, among many with a single entry.
    async fn fill(conn: &mut PgConnection, test: TestId) {
        let entries = format!(
            "insert into leaderboard_entries (test_id, period, starts_on, user_id, score, attempt_id, achieved_at)
             select '{test}', 'all', '1970-01-01', id, row_number() over () % 10000, id, now() from users"
        );
        for statement in [
            // So that the vacuum below can tell at once that all see these rows.
            "set synchronous_commit = on".into(),
            format!(
                "insert into users (id, email, display_name, password_hash)
                     select gen_random_uuid(), n || '@x.test', 'x', '' from generate_series(1, {STUDENTS}) as n"
            ),
            entries,
            "insert into leaderboard_entries (test_id, period, starts_on, user_id, score, attempt_id, achieved_at)
             select gen_random_uuid(), 'day', '2026-01-01', id, 100, id, now() from users, generate_series(1, 3)"
                .into(),
            "insert into leaderboard_histogram
             select test_id, period, starts_on, score, count(*) from leaderboard_entries group by 1, 2, 3, 4"
                .into(),
            "insert into leaderboard_bands
             select test_id, period, starts_on, score / 100, count(*) from leaderboard_entries group by 1, 2, 3, 4"
                .into(),
            "vacuum analyze".into(),
            // As PostgreSQL plans for all boards alike, once a connection has looked at some.
            "set plan_cache_mode = force_generic_plan".into(),
        ] {
            sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *conn).await.unwrap();
        }
    }

    /// Blocks of indexes on entries that have been looked at so far.
    async fn index_blocks_read(conn: &mut PgConnection) -> i64 {
        sqlx::query("select pg_stat_force_next_flush()").execute(&mut *conn).await.unwrap();
        let read = "select (idx_blks_read + idx_blks_hit)::bigint from pg_statio_user_tables
                    where relname = 'leaderboard_entries'";
        sqlx::query_scalar(read).fetch_one(conn).await.unwrap()
    }

    /// Rows of entries, cells and bands that this connection has read so far, from tables and from indexes.
    async fn rows_read(conn: &mut PgConnection) -> i64 {
        sqlx::query("select pg_stat_force_next_flush()").execute(&mut *conn).await.unwrap();
        let read = "select (select sum(seq_tup_read) from pg_stat_user_tables where relname like 'leaderboard%')::bigint
                           + (select sum(idx_tup_read) from pg_stat_user_indexes where relname like 'leaderboard%')::bigint";
        sqlx::query_scalar(read).fetch_one(conn).await.unwrap()
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn a_look_touches_a_few_hundred_rows_of_a_large_board(database: sqlx::PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let board = Board::current(TestId::new(), Period::All);
        fill(&mut conn, board.test).await;
        let students: Vec<UserId> = sqlx::query_scalar(
            "select user_id from leaderboard_entries where period = 'all' order by score limit 1 offset 9999",
        )
        .fetch_all(&mut *conn)
        .await
        .unwrap();
        let before = rows_read(&mut conn).await;
        let blocks_before = index_blocks_read(&mut conn).await;
        assert_eq!(total(&mut conn, board).await.unwrap(), i64::from(STUDENTS));
        assert_eq!(top(&mut conn, board, 100).await.unwrap().len(), 100);
        assert_eq!(standing(&mut conn, board, students[0]).await.unwrap().unwrap().rank, 10_001);
        assert_eq!(neighbours(&mut conn, board, students[0], 25).await.unwrap().len(), 51);
        let read = rows_read(&mut conn).await - before;
        assert!((400..1_000).contains(&read), "{read} rows");
        let blocks = index_blocks_read(&mut conn).await - blocks_before;
        assert!((10..100).contains(&blocks), "{blocks} blocks");
    }
}
