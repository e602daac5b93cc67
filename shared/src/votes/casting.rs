//! Casting a vote: the live row, its trace, the history and the counts, in one statement.

use sqlx::PgConnection;
use uuid::Uuid;

use super::evidence::{Gathered, NewVote};
use super::rules::{Reason, Verdict};
use super::{Ballot, VoteState};
use crate::ids::{ModelId, UserId, VoteId};

/// Casts the vote as the `verdict` says. The same vote again changes nothing. What was held back or rejected stays so, also
/// with another value and after a withdrawal.
///
/// The counts are taken from where the vote counted and added where it counts now, in one order for all transactions so
/// that they cannot deadlock.
///
/// # Errors
/// If the database fails.
pub async fn cast(
    conn: &mut PgConnection,
    vote: &NewVote<'_>,
    gathered: &Gathered,
    verdict: &Verdict,
) -> sqlx::Result<()> {
    let (state, reasons) = match verdict {
        Verdict::Hold(reasons) if vote.ballot != Ballot::Withdrawn => (VoteState::Held, &reasons[..]),
        _ => (VoteState::Counted, &[][..]),
    };
    let (device, network) = (vote.trace.device.as_ref(), vote.trace.network.as_ref());
    sqlx::query!(
        r#"
        with before as (
            select value, state, cast_at from votes where user_id = $1 and model_id = $2 for update
        ), live as (
            insert into votes as vote (id, user_id, model_id, value, state, cast_at, reasons, rules, cluster)
            select $3, $1, $2, $4, $5, now(), $6, $7, 
                   case when $5 = 'held'::vote_state then coalesce($8::bytea, $11::bytea) end
            where $4 is distinct from coalesce((select value from before), 0::smallint)
            on conflict (user_id, model_id) do update
            set value = excluded.value, cast_at = excluded.cast_at,
                state = case when vote.state = 'counted' then excluded.state else vote.state end,
                reasons = case when excluded.state = 'held' then excluded.reasons else vote.reasons end,
                rules = case when excluded.state = 'held' then excluded.rules else vote.rules end,
                cluster = coalesce(excluded.cluster, vote.cluster)
            returning id, value, state, cast_at
        ), event as (
            insert into vote_events (id, at, vote_id, user_id, model_id, action, value)
            select $9::uuid, cast_at, id, $1, $2, case value when 0 then 'withdraw' else 'cast' end::vote_action, value
            from live
            union all
            select $10::uuid, live.cast_at, id, $1, $2, 'hold', live.value from live left join before on true
            where live.state = 'held' and before.state is distinct from 'held'
        ), trace as (
            insert into vote_traces as trace
                   (vote_id, user_id, model_id, value, device, network, account_created_at, cast_at)
            select id, $1, $2, value, $8, $11, $12, cast_at from live
            on conflict (vote_id) do update
            set value = excluded.value, device = excluded.device, network = excluded.network, cast_at = excluded.cast_at
        ), steps as (
            select before.cast_at as at, before.value, -1 as step from before, live where before.state = 'counted'
            union all
            select cast_at, value, 1 from live where state = 'counted'
        ), counts as (
            insert into vote_counts as cell (model_id, period, starts_on, slot, up, down)
            select $2, period, starts_on, pg_backend_pid() % 16,
                   sum(step * (value = 1)::int), sum(step * (value = -1)::int)
            from steps cross join lateral board_periods(at)
            group by period, starts_on
            having sum(step * (value = 1)::int) <> 0 or sum(step * (value = -1)::int) <> 0
            order by period, starts_on
            on conflict (period, starts_on, model_id, slot) do update
            set up = cell.up + excluded.up, down = cell.down + excluded.down
        )
        select from live
        "#,
        vote.user as UserId,
        gathered.model as ModelId,
        VoteId::new() as VoteId,
        vote.ballot as Ballot,
        state as VoteState,
        serde_json::json!(reasons),
        &names(reasons),
        device.map(|device| device.of_today()),
        Uuid::now_v7(),
        Uuid::now_v7(),
        network.map(|network| network.of_today()),
        gathered.registered_at,
    )
    .fetch_optional(conn)
    .await?;
    Ok(())
}

/// The rules alone, for the search.
pub(super) fn names(reasons: &[Reason]) -> Vec<String> {
    reasons.iter().map(|reason| reason.rule.clone()).collect()
}

#[cfg(test)]
mod tests {
    use bellwork_testkit::within;
    use futures_util::future::join_all;
    use sqlx::PgPool;
    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

    use super::super::counts;
    use super::super::rehearsal::{Booth, Cast, publish, register, states, suspicion};
    use super::*;
    use crate::personal_data::erasure::{Erased, erase};
    use crate::ranking::Period;

    /// The ranking's first model, as `user` sees it: up, down, own vote.
    async fn seen(database: &PgPool, user: UserId) -> (i64, i64, Ballot) {
        let mut conn = database.acquire().await.unwrap();
        let ranking = counts::ranking(&mut conn, Period::Day, user, 1).await.unwrap();
        (ranking[0].up, ranking[0].down, ranking[0].my_vote)
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn a_held_vote_counts_for_its_voter_alone_whatever_they_do(database: PgPool) {
        let (model, booth) = (publish(&database, "a").await, Booth::new(&database));
        let (user, other) = (register(&database, 300).await, register(&database, 300).await);
        booth.force(user, &model, Ballot::Up, suspicion()).await;
        assert_eq!(seen(&database, user).await, (1, 0, Ballot::Up));
        assert_eq!(seen(&database, other).await, (0, 0, Ballot::Withdrawn));
        booth.force(user, &model, Ballot::Withdrawn, Verdict::Count).await;
        assert_eq!(seen(&database, user).await, (0, 0, Ballot::Withdrawn));
        booth.force(user, &model, Ballot::Down, Verdict::Count).await;
        assert_eq!(seen(&database, user).await, (0, 1, Ballot::Down));
        assert_eq!(seen(&database, other).await, (0, 0, Ballot::Withdrawn));
        assert_eq!(states(&database).await, (0, 1, 0), "a withdrawal does not wash it clean");
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn all_votes_of_one_student_at_once_are_one_vote(_: PgPoolOptions, options: PgConnectOptions) {
        let database = PgPoolOptions::new().max_connections(24).connect_with(options).await.unwrap();
        let (model, booth) = (publish(&database, "a").await, Booth::new(&database));
        let user = register(&database, 300).await;
        let ballots = [Ballot::Up, Ballot::Down].into_iter().cycle().take(20);
        join_all(ballots.map(|ballot| booth.force(user, &model, ballot, Verdict::Count))).await;
        let (up, down, own) = seen(&database, user).await;
        assert_eq!((up, down), if own == Ballot::Up { (1, 0) } else { (0, 1) });
        database.close().await;
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn the_same_vote_again_and_a_withdrawal_of_none_leave_no_trace(database: PgPool) {
        let (model, booth) = (publish(&database, "a").await, Booth::new(&database));
        let user = register(&database, 300).await;
        for (ballot, events) in
            [(Ballot::Withdrawn, 0), (Ballot::Up, 1), (Ballot::Up, 1), (Ballot::Withdrawn, 2), (Ballot::Withdrawn, 2)]
        {
            booth.force(user, &model, ballot, Verdict::Count).await;
            let count = sqlx::query_scalar::<_, i64>("select count(*) from vote_events").fetch_one(&database);
            assert_eq!(count.await.unwrap(), events, "{ballot:?}");
        }
    }

    /// How many rows of votes name `user`.
    async fn rows_of(database: &PgPool, user: UserId) -> i64 {
        let rows = "select (select count(*) from votes where user_id = $1)
                           + (select count(*) from vote_events where user_id = $1)
                           + (select count(*) from vote_traces where user_id = $1)";
        sqlx::query_scalar(rows).bind(user.0).fetch_one(database).await.unwrap()
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn the_votes_of_who_is_erased_stay_and_are_nobodys(database: PgPool) {
        let (model, booth) = (publish(&database, "a").await, Booth::new(&database));
        let (user, other) = (register(&database, 300).await, register(&database, 300).await);
        booth.force(user, &model, Ballot::Up, suspicion()).await;
        let Erased::Into(shell) = erase(&mut database.acquire().await.unwrap(), user).await.unwrap() else { panic!() };
        assert_eq!(seen(&database, shell).await, (1, 0, Ballot::Up));
        assert_eq!(seen(&database, other).await, (0, 0, Ballot::Withdrawn));
        assert_eq!(rows_of(&database, user).await, 0);
        let origins = "select (select count(*) from vote_traces) + (select count(cluster) from votes)";
        let origins: i64 = sqlx::query_scalar(origins).fetch_one(&database).await.unwrap();
        assert_eq!(origins, 0, "nothing tells the device");
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn who_votes_while_being_erased_counts_once(database: PgPool) {
        let (model, booth) = (publish(&database, "a").await, Booth::new(&database));
        let (user, other) = (register(&database, 300).await, register(&database, 300).await);
        booth.force(user, &model, Ballot::Up, Verdict::Count).await;
        let mut erasing = database.begin().await.unwrap();
        erase(&mut erasing, user).await.unwrap();
        let (late, ()) = tokio::join!(booth.attempt(user, &model, Ballot::Up), async {
            let waits = "select exists (select from pg_locks join pg_stat_activity using (pid)
                                        where not granted and datname = current_database())";
            within("the vote waits for the erasure", async {
                while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&database).await.unwrap() {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            erasing.commit().await.unwrap();
        });
        assert_eq!(late, Cast::Refused);
        assert_eq!((seen(&database, other).await, rows_of(&database, user).await), ((1, 0, Ballot::Withdrawn), 0));
    }
}
