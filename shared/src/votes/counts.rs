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
            select starts_on from board_periods(now()) where period = $1
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
    /// How many more votes are for it than were counted.
    pub up: i64,
    /// How many more votes are against it than were counted.
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
            from votes cross join lateral board_periods(cast_at)
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use chrono::{Datelike, Days, Utc};
    use futures_util::future::join_all;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use sqlx::PgPool;
    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

    use super::super::moderation::{self, Decision};
    use super::super::rehearsal::{Booth, publish, register, states, suspicion};
    use super::super::review;
    use super::super::rules::Verdict;
    use super::*;
    use crate::ids::VoteId;

    const BALLOTS: [Ballot; 3] = [Ballot::Up, Ballot::Down, Ballot::Withdrawn];

    async fn recounted(database: &PgPool) -> Vec<Drift> {
        let mut transaction = database.begin().await.unwrap();
        let drift = recount(&mut transaction).await.unwrap();
        transaction.commit().await.unwrap();
        drift
    }

    /// One of many who do anything in any order: vote, change, withdraw, hold back, release, reject, review, recount.
    async fn interfere(database: &PgPool, seed: u64, users: &[UserId], models: &[Slug]) {
        let mut random = StdRng::seed_from_u64(seed);
        let booth = Booth::new(database);
        for _ in 0..60 {
            let (user, model) =
                (users[random.random_range(0..users.len())], &models[random.random_range(0..models.len())]);
            let ballot = BALLOTS[random.random_range(0..3)];
            match random.random_range(0..20) {
                0..12 => booth.force(user, model, ballot, Verdict::Count).await,
                12..15 => booth.force(user, model, ballot, suspicion()).await,
                15..18 => settle_some(database, &mut random).await,
                18 => review_once(database).await,
                _ => assert_eq!(recounted(database).await, [], "seed {seed}"),
            }
        }
    }

    async fn settle_some(database: &PgPool, random: &mut StdRng) {
        let decision = if random.random() { Decision::Release } else { Decision::Reject };
        let share = random.random_range(0.0..0.3);
        let some: Vec<VoteId> = sqlx::query_scalar("select id from votes where random() < $1")
            .bind(share)
            .fetch_all(database)
            .await
            .unwrap();
        let mut transaction = database.begin().await.unwrap();
        moderation::settle_all(&mut transaction, &some, decision, UserId::new()).await.unwrap();
        transaction.commit().await.unwrap();
    }

    async fn review_once(database: &PgPool) {
        let findings = review::look(&mut database.acquire().await.unwrap(), Utc::now()).await.unwrap();
        let mut transaction = database.begin().await.unwrap();
        review::record(&mut transaction, &findings).await.unwrap();
        transaction.commit().await.unwrap();
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn any_interleaving_leaves_the_counts_that_a_recount_gives(_: PgPoolOptions, options: PgConnectOptions) {
        let database = PgPoolOptions::new().max_connections(24).connect_with(options).await.unwrap();
        let models = [publish(&database, "a").await, publish(&database, "b").await, publish(&database, "c").await];
        let mut users = Vec::new();
        for _ in 0..12 {
            users.push(register(&database, 300).await);
        }
        let seed: u64 = rand::rng().random();
        for round in 0..3 {
            let others = (0..8).map(|other| interfere(&database, seed ^ (round * 8 + other), &users, &models));
            join_all(others).await;
            assert_eq!(recounted(&database).await, [], "round {round}, seed {seed}");
        }
        // Whatever became of the others: one vote that counts and one that does not.
        let booth = Booth::new(&database);
        booth.force(register(&database, 300).await, &models[0], Ballot::Up, Verdict::Count).await;
        booth.force(register(&database, 300).await, &models[0], Ballot::Up, suspicion()).await;
        assert_eq!(recounted(&database).await, [], "at the end, seed {seed}");
        let (counted, held, rejected) = states(&database).await;
        assert!(counted > 0 && held + rejected > 0, "{counted} {held} {rejected}");
        let events: (i64, i64) = sqlx::query_as(
            "select (select count(distinct vote_id) from vote_events where action = 'cast'), (select count(*) from votes)",
        )
        .fetch_one(&database)
        .await
        .unwrap();
        assert_eq!(events.0, events.1, "every vote has a history");
        database.close().await;
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn a_recount_mends_what_has_drifted(database: PgPool) {
        let (model, user) = (publish(&database, "a").await, register(&database, 300).await);
        Booth::new(&database).force(user, &model, Ballot::Up, Verdict::Count).await;
        sqlx::query("update vote_counts set up = up + 5 where period in ('all', 'day')")
            .execute(&database)
            .await
            .unwrap();
        sqlx::query("delete from vote_counts where period = 'week'").execute(&database).await.unwrap();
        let drift = recounted(&database).await;
        let differences: Vec<_> = drift.iter().map(|drift| (drift.period, drift.up, drift.down)).collect();
        assert_eq!(differences, [(Period::All, -5, 0), (Period::Week, 1, 0), (Period::Day, -5, 0)]);
        assert_eq!(recounted(&database).await, []);
    }

    fn wilson(up: f64, down: f64) -> f64 {
        let (votes, z) = (up + down, 1.96_f64);
        if up == 0.0 {
            return 0.0;
        }
        let (share, square) = (up / votes, z * z);
        let margin = z * ((share * (1.0 - share) + square / (4.0 * votes)) / votes).sqrt();
        (share + square / (2.0 * votes) - margin) / (1.0 + square / votes)
    }

    fn is_within(period: Period, days_ago: u64) -> bool {
        let (today, day) = (Utc::now().date_naive(), Utc::now().date_naive() - Days::new(days_ago));
        match period {
            Period::All => true,
            Period::Month => (day.year(), day.month()) == (today.year(), today.month()),
            Period::Week => day.iso_week() == today.iso_week(),
            Period::Day => day == today,
        }
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn the_ranking_is_the_one_of_a_plain_model(database: PgPool) {
        let (names, days) = (["a", "b", "c", "d", "e"], [0, 1, 6, 20, 40]);
        for name in names {
            publish(&database, name).await;
        }
        let mut random = StdRng::seed_from_u64(7);
        let mut votes = Vec::new();
        for _ in 0..400 {
            let (model, value) = (random.random_range(0..4), [1_i16, 1, -1][random.random_range(0..3)]);
            votes.push((names[model], value, days[random.random_range(0..5)]));
        }
        // A twin, for the tie.
        let twins: Vec<_> = votes.iter().filter(|vote| vote.0 == "a").map(|vote| ("e", vote.1, vote.2)).collect();
        votes.extend(twins);
        for (model, value, days_ago) in &votes {
            let insert = "insert into votes (id, user_id, model_id, value, cast_at)
                          select gen_random_uuid(), gen_random_uuid(), id, $2, now() - make_interval(days => $3)
                          from models where slug = $1";
            let days_ago = i32::try_from(*days_ago).unwrap();
            sqlx::query(insert).bind(model).bind(value).bind(days_ago).execute(&database).await.unwrap();
        }
        recounted(&database).await;
        for period in [Period::All, Period::Month, Period::Week, Period::Day] {
            let mut tallies: HashMap<&str, (f64, f64)> = names.iter().map(|name| (*name, (0.0, 0.0))).collect();
            for (model, value, _) in votes.iter().filter(|vote| is_within(period, vote.2)) {
                let tally = tallies.get_mut(model).unwrap();
                if *value == 1 { tally.0 += 1.0 } else { tally.1 += 1.0 }
            }
            let mut conn = database.acquire().await.unwrap();
            let ranking = ranking(&mut conn, period, UserId::new(), 100).await.unwrap();
            assert_eq!(ranking.len(), 5);
            for entry in &ranking {
                let (up, down) = tallies[entry.model.slug.as_str()];
                assert_eq!((entry.up as f64, entry.down as f64), (up, down), "{period:?} {entry:?}");
                assert!((entry.score - wilson(up, down)).abs() < 1e-6, "{period:?} {entry:?}");
                let better = tallies.values().filter(|tally| wilson(tally.0, tally.1) > entry.score + 1e-6).count();
                assert_eq!(entry.rank as usize, better + 1, "{period:?} {entry:?}");
            }
            assert!(ranking.is_sorted_by_key(|entry| entry.rank));
        }
        let view: (i64, i64) = sqlx::query_as("select up, down from vote_summary where slug = 'a' and period = 'all'")
            .fetch_one(&database)
            .await
            .unwrap();
        let count = |value| votes.iter().filter(|vote| vote.0 == "a" && vote.1 == value).count() as i64;
        assert_eq!(view, (count(1), count(-1)));
    }
}
