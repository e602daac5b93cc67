//! Leaderboards, read. A rank is a sum over the histogram, so it costs the same with ten students and a million.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::ids::{TestId, UserId};
use crate::points::Points;

/// What a board covers: everything, or the current month, week (from Monday) or day, in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
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

/// One board of one test.
#[derive(Clone, Copy, Debug)]
pub struct Board {
    /// The test.
    pub test: TestId,
    /// What it covers.
    pub period: Period,
    /// The first day of it.
    pub starts_on: NaiveDate,
}

/// A place on a board; equal scores share a rank, and the next rank is left out.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Entry {
    /// From 1.
    pub rank: i64,
    /// Who holds it.
    pub user: Ranked,
    /// Their best score.
    pub score: Points,
}

/// A student, as others see them.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Ranked {
    /// Their id.
    pub id: UserId,
    /// Their name.
    pub display_name: String,
}

/// Where a student stands on a board.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
pub struct Standing {
    /// From 1; equal scores share it.
    pub rank: i64,
    /// The share of ranked students whom the score is above, ties counted half, in percent with one decimal.
    pub percentile: Option<f64>,
    /// Their best score.
    pub score: Points,
}

/// The current board of `test` for `period`.
///
/// # Errors
/// If the database fails.
pub async fn board(conn: &mut PgConnection, test: TestId, period: Period) -> sqlx::Result<Board> {
    let starts_on = sqlx::query_scalar!(
        r#"
        select case $1::leaderboard_period when 'all' then date '1970-01-01'
               else date_trunc($1::text, now() at time zone 'UTC')::date end as "starts_on!"
        "#,
        period as Period,
    )
    .fetch_one(conn)
    .await?;
    Ok(Board { test, period, starts_on })
}

/// The first `limit` places; of equal scores the earlier comes first.
///
/// # Errors
/// If the database fails.
pub async fn top(conn: &mut PgConnection, board: Board, limit: i64) -> sqlx::Result<Vec<Entry>> {
    let rows = sqlx::query!(
        r#"
        with top as (
            select user_id, score, achieved_at from leaderboard_entries
            where test_id = $1 and period = $2 and starts_on = $3
            order by score desc, achieved_at, user_id limit $4
        )
        select rank() over (order by score desc) as "rank!", user_id as "user_id: UserId", display_name,
               score as "score: Points"
        from top join users on users.id = user_id order by score desc, achieved_at, user_id
        "#,
        board.test as TestId,
        board.period as Period,
        board.starts_on,
        limit,
    );
    let rows = rows.fetch_all(conn).await?;
    let entry = |(rank, id, display_name, score)| Entry { rank, user: Ranked { id, display_name }, score };
    Ok(rows.into_iter().map(|row| entry((row.rank, row.user_id, row.display_name, row.score))).collect())
}

/// How many students a board ranks.
///
/// # Errors
/// If the database fails.
pub async fn total(conn: &mut PgConnection, board: Board) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"
        select coalesce(sum(entries), 0)::bigint as "total!" from leaderboard_histogram
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
            select score from leaderboard_entries
            where test_id = $1 and period = $2 and starts_on = $3 and user_id = $4
        ), cells as (
            select cell.entries, cell.score as score, own.score as own
            from leaderboard_histogram as cell, own where test_id = $1 and period = $2 and starts_on = $3
        )
        select own.score as "score: Points",
               1 + (select coalesce(sum(entries), 0) from cells where score > own)::bigint as "rank!",
               (select round(100 * (coalesce(sum(entries) filter (where score < own), 0)
                                    + coalesce(sum(entries) filter (where score = own), 0) / 2)
                             / nullif(sum(entries), 0), 1) from cells)::float8 as percentile
        from own
        "#,
        board.test as TestId,
        board.period as Period,
        board.starts_on,
        user as UserId,
    )
    .fetch_optional(conn)
    .await
}
