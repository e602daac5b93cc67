//! How models stand: read from the counts that each vote keeps, and counted anew.

use serde::Serialize;
use sqlx::PgConnection;

use super::{Ballot, OwnVote, Tally};
use crate::ids::{ModelId, UserId};
use crate::models::{ModelName, Slug};
use crate::ranking::Period;

/// A model's place. Equal scores share a rank, and the next rank is left out.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct RankedModel {
    /// From 1.
    pub rank: i64,
    /// The model.
    pub model: ModelRef,
    /// Votes of the period for it.
    pub up: i64,
    /// Votes of the period against it.
    pub down: i64,
    /// Lower end of Wilson's interval at 95 % for the share of its votes that are up, from 0 to 1.
    pub score: f64,
    /// The caller's live vote, of any time: 1, 0 or -1.
    pub my_vote: Ballot,
}

/// A model, as far as a ranking names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ModelRef {
    /// Its name in paths.
    pub slug: Slug,
    /// Its name for people.
    pub name: ModelName,
}

/// The active models by score, the best first, by the votes that were cast in the current `period`. `user` sees their own
/// votes counted, also those that are held back.
///
/// # Errors
/// If the database fails.
pub async fn ranking(
    conn: &mut PgConnection,
    period: Period,
    user: UserId,
    limit: i64,
) -> sqlx::Result<Vec<RankedModel>> {
    let rows = sqlx::query!(
        r#"
        with current as (
            select starts_on from vote_periods(now()) where period = $1
        ), counts as (
            select model_id, sum(up) as up, sum(down) as down from vote_counts
            where period = $1 and starts_on = (select starts_on from current) group by model_id
        ), mine as (
            select model_id, value, state <> 'counted' as unseen,
                   (cast_at at time zone 'UTC')::date >= (select starts_on from current) as within
            from votes where user_id = $2
        ), tallies as (
            select slug, name, coalesce(value, 0::smallint) as value,
                   (coalesce(up, 0) + (unseen and within and value = 1 is true)::int)::bigint as up,
                   (coalesce(down, 0) + (unseen and within and value = -1 is true)::int)::bigint as down
            from models left join counts on counts.model_id = models.id left join mine on mine.model_id = models.id
            where active
        ), scores as (
            select *, wilson_lower_bound(up, down) as score from tallies
        )
        select rank() over (order by score desc) as "rank!", slug as "slug!: Slug", name as "name!: ModelName",
               up as "up!", down as "down!", score as "score!", value as "my_vote!: Ballot"
        from scores order by score desc, up desc, slug limit $3
        "#,
        period as Period,
        user as UserId,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let ranked = rows.into_iter().map(|row| RankedModel {
        rank: row.rank,
        model: ModelRef { slug: row.slug, name: row.name },
        up: row.up,
        down: row.down,
        score: row.score,
        my_vote: row.my_vote,
    });
    Ok(ranked.collect())
}

/// How `model` stands over all time, and the vote of `user`, which they see counted in any case.
///
/// # Errors
/// If the database fails.
pub async fn standing(conn: &mut PgConnection, model: ModelId, user: UserId) -> sqlx::Result<(OwnVote, Tally)> {
    let row = sqlx::query!(
        r#"
        with counts as (
            select coalesce(sum(up), 0)::bigint as up, coalesce(sum(down), 0)::bigint as down from vote_counts
            where model_id = $1 and period = 'all' and starts_on = '1970-01-01'
        ), tally as (
            select value, cast_at, up + (state <> 'counted' and value = 1 is true)::int as up,
                   down + (state <> 'counted' and value = -1 is true)::int as down
            from counts left join votes on user_id = $2 and model_id = $1
        )
        select up as "up!", down as "down!", wilson_lower_bound(up, down) as "score!",
               coalesce(value, 0::smallint) as "value!: Ballot", cast_at as "cast_at?"
        from tally
        "#,
        model as ModelId,
        user as UserId,
    )
    .fetch_one(conn)
    .await?;
    let own = OwnVote { value: row.value, cast_at: row.cast_at };
    Ok((own, Tally { up: row.up, down: row.down, score: row.score }))
}

/// A count that was not what the votes say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// The model.
    pub model_id: ModelId,
    /// The period.
    pub period: Period,
    /// Its first day.
    pub starts_on: chrono::NaiveDate,
    /// So many more votes are for it than were counted.
    pub up: i64,
    /// So many more votes are against it than were counted.
    pub down: i64,
}

/// Counts the live votes anew and mends the counts that differ, which it returns. Votes may go on meanwhile: both sides
/// are read in one snapshot, and the difference is added to whatever the count is by then. The transaction must be new.
///
/// # Errors
/// If the database fails.
pub async fn recount(conn: &mut PgConnection) -> sqlx::Result<Vec<Drift>> {
    sqlx::query!("set local statement_timeout = 0").execute(&mut *conn).await?;
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('recount votes', 0))").fetch_one(&mut *conn).await?;
    sqlx::query_as!(
        Drift,
        r#"
        with truth as (
            select model_id, period, starts_on,
                   count(*) filter (where value = 1) as up, count(*) filter (where value = -1) as down
            from votes cross join lateral vote_periods(cast_at)
            where state = 'counted' and value <> 0 group by model_id, period, starts_on
        ), kept as (
            select model_id, period, starts_on, sum(up)::bigint as up, sum(down)::bigint as down
            from vote_counts group by model_id, period, starts_on
        ), drift as (
            select model_id, period, starts_on, coalesce(truth.up, 0) - coalesce(kept.up, 0) as up,
                   coalesce(truth.down, 0) - coalesce(kept.down, 0) as down
            from truth full join kept using (model_id, period, starts_on)
            where coalesce(truth.up, 0) <> coalesce(kept.up, 0) or coalesce(truth.down, 0) <> coalesce(kept.down, 0)
        ), mended as (
            insert into vote_counts as cell (model_id, period, starts_on, slot, up, down)
            select model_id, period, starts_on, pg_backend_pid() % 16, up, down from drift
            order by model_id, period, starts_on
            on conflict (period, starts_on, model_id, slot) do update
            set up = cell.up + excluded.up, down = cell.down + excluded.down
        )
        select model_id as "model_id!: ModelId", period as "period!: Period", starts_on as "starts_on!",
               up as "up!", down as "down!"
        from drift order by model_id, period, starts_on
        "#,
    )
    .fetch_all(conn)
    .await
}
