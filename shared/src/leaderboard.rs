//! Leaderboards, written: each student's best score per test and period, and how many students hold each score and each
//! band of whole points.
//!
//! The score of an attempt counts for the periods in which it was submitted, in UTC; weeks begin on Monday.

mod repair;
mod retention;
mod tallies;

use chrono::{DateTime, Days, NaiveDate, Utc};
use sqlx::PgConnection;

pub use self::repair::{Late, Repaired, Scope, repair};
pub use self::retention::prune;
use crate::ids::AttemptId;

/// How long a board of a day, week or month is kept from its first day: as long as any can be current, and a month
/// more for those who look back.
const KEPT: Days = Days::new(62);

/// Boards that began earlier are neither kept nor repaired, but for those of everything.
fn oldest_kept(now: DateTime<Utc>) -> NaiveDate {
    now.date_naive() - KEPT
}

/// What became of a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is the student's best in this many of the four periods.
    Best(usize),
    /// The attempt has no result, or has vanished.
    NoResult,
}

/// Ranks the score of a graded attempt where it is its student's best: higher, or as high and earlier. Any order of the
/// attempts, any repetition and any concurrency give the same boards.
///
/// # Errors
/// If the database fails.
pub async fn record_score(conn: &mut PgConnection, id: AttemptId) -> sqlx::Result<Recorded> {
    if lock(conn, id).await? { move_best(conn, id).await.map(Recorded::Best) } else { Ok(Recorded::NoResult) }
}

/// One writer at a time per student and test, until the transaction ends; false if there is no graded attempt. It must be
/// a statement of its own: the next one's snapshot is then younger than whatever the lock waited for.
async fn lock(conn: &mut PgConnection, id: AttemptId) -> sqlx::Result<bool> {
    let locked = sqlx::query!(
        r#"
        select pg_advisory_xact_lock(hashtextextended(concat('leaderboard ', test_id, ' ', user_id), 0))
        from attempts where id = $1 and status = 'graded'
        "#,
        id as AttemptId,
    );
    Ok(locked.fetch_optional(conn).await?.is_some())
}

/// Moves the student's entries and, in one order for all transactions so that they cannot deadlock, the histogram's
/// cells and after them the bands, those between which the student moves. An upsert carries the step in its proposed
/// row, 1 for up and 0 for down, since a check forbids -1 there; the cell of an old best is always present.
async fn move_best(conn: &mut PgConnection, id: AttemptId) -> sqlx::Result<usize> {
    let moved = sqlx::query_scalar!(
        r#"
        with attempt as (
            select id, test_id, user_id, score, submitted_at from attempts where id = $1
        ), boards as (
            select attempt.*, period, starts_on from attempt cross join lateral board_periods(submitted_at)
        ), before as (
            select period, starts_on, entry.score, entry.achieved_at
            from leaderboard_entries as entry join boards using (test_id, period, starts_on, user_id)
        ), best as (
            insert into leaderboard_entries as entry
                   (test_id, period, starts_on, user_id, score, attempt_id, achieved_at)
            select test_id, period, starts_on, user_id, boards.score, id, submitted_at
            from boards left join before using (period, starts_on)
            where before.score is null or boards.score > before.score
                  or (boards.score = before.score and submitted_at < before.achieved_at)
            order by period, starts_on
            on conflict (test_id, period, starts_on, user_id) do update
            set score = excluded.score, attempt_id = excluded.attempt_id, achieved_at = excluded.achieved_at
            returning test_id, period, starts_on, score
        ), steps as (
            select best.test_id, period, starts_on, step.score, step.entries,
                   best.score / 100 is distinct from before.score / 100 as crosses
            from best left join before using (period, starts_on)
                 cross join lateral (values (best.score, 1), (before.score, 0)) as step (score, entries)
            where step.score is not null and best.score is distinct from before.score
        ), histogram as (
            insert into leaderboard_histogram as cell (test_id, period, starts_on, score, entries)
            select test_id, period, starts_on, score, entries from steps order by period, starts_on, score
            on conflict (test_id, period, starts_on, score) do update
            set entries = cell.entries + case excluded.entries when 0 then -1 else 1 end
            returning 1
        ), bands as (
            insert into leaderboard_bands as band (test_id, period, starts_on, band, entries)
            select test_id, period, starts_on, score / 100, entries
            from steps, (select count(*) from histogram) as cells_come_first
            where crosses order by period, starts_on, score
            on conflict (test_id, period, starts_on, band) do update
            set entries = band.entries + case excluded.entries when 0 then -1 else 1 end
        )
        select count(*) as "moved!" from best
        "#,
        id as AttemptId,
    )
    .fetch_one(conn)
    .await?;
    Ok(usize::try_from(moved).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use chrono::TimeZone;
    use futures_util::future::try_join_all;
    use futures_util::{StreamExt, TryStreamExt, stream};
    use sqlx::PgPool;
    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

    use super::*;
    use crate::ids::{TestId, UserId};
    use crate::ranking::{self, Board, Period};

    async fn register(conn: &mut PgConnection) -> UserId {
        let id = UserId::new();
        let insert = "insert into users (id, email, display_name, password_hash) values ($1, $1::text, '', '')";
        sqlx::query(insert).bind(id.0).execute(conn).await.unwrap();
        id
    }

    async fn publish(conn: &mut PgConnection) -> TestId {
        let id = TestId::new();
        let insert = "insert into practice_tests (id, slug, title, subject, description, max_score, source_hash)
                      values ($1, $1::text, '', '', '', 2000, '')";
        sqlx::query(insert).bind(id.0).execute(conn).await.unwrap();
        id
    }

    async fn graded(conn: &mut PgConnection, user: UserId, test: TestId, score: i32, at: DateTime<Utc>) -> AttemptId {
        let id = AttemptId::new();
        let insert = "insert into attempts (id, user_id, test_id, job_id, status, answers, score, max_score, feedback,
                                            submitted_at, graded_at)
                      values ($1, $2, $3, $1, 'graded', '[]', $4, 2000, '[]', $5, now())";
        let insert = sqlx::query(insert).bind(id.0).bind(user.0).bind(test.0).bind(score).bind(at);
        insert.execute(conn).await.unwrap();
        id
    }

    fn at(day: u32, hour: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 3, day, hour, 0, 0).unwrap()
    }

    async fn record(database: &PgPool, attempt: AttemptId) -> sqlx::Result<Recorded> {
        let mut transaction = database.begin().await?;
        let recorded = record_score(&mut transaction, attempt).await?;
        transaction.commit().await?;
        Ok(recorded)
    }

    /// The cells and bands in which the counts and the entries, grouped, are not the same.
    async fn assert_exact(database: &PgPool) {
        let differences: Vec<String> = sqlx::query_scalar(
            "with counted as (
                 select 'cell' as kind, test_id, period, starts_on, score as key, count(*) as entries
                 from leaderboard_entries group by 2, 3, 4, 5
                 union all
                 select 'band', test_id, period, starts_on, score / 100, count(*)
                 from leaderboard_entries group by 2, 3, 4, 5
             ), kept as (
                 select 'cell' as kind, * from leaderboard_histogram where entries > 0
                 union all
                 select 'band', * from leaderboard_bands where entries > 0
             ), named as (select kind, test_id, period, starts_on, score as key, entries from kept)
             select format('%s counted %s kept %s', row(kind, period, starts_on, key), counted.entries, named.entries)
             from counted full join named using (kind, test_id, period, starts_on, key)
             where counted.entries is distinct from named.entries",
        )
        .fetch_all(database)
        .await
        .unwrap();
        assert!(differences.is_empty(), "{differences:?}");
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn a_score_counts_for_the_day_week_and_month_of_its_submission_in_utc(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let (user, test) = (register(&mut conn).await, publish(&mut conn).await);
        // A Sunday evening; the next day is another week.
        let attempt = graded(&mut conn, user, test, 100, at(1, 23)).await;
        record(&database, attempt).await.unwrap();
        let entries: Vec<(String, String)> =
            sqlx::query_as("select period::text, starts_on::text from leaderboard_entries as e order by e.period")
                .fetch_all(&mut *conn)
                .await
                .unwrap();
        let expected = [("all", "1970-01-01"), ("month", "2026-03-01"), ("week", "2026-02-23"), ("day", "2026-03-01")];
        assert_eq!(entries, expected.map(|(period, starts_on)| (period.to_owned(), starts_on.to_owned())));
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn any_order_gives_the_highest_score_and_of_equal_ones_the_earliest(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
            let (user, test) = (register(&mut conn).await, publish(&mut conn).await);
            let mut attempts = Vec::new();
            for (score, hour) in [(500, 1), (900, 2), (900, 3), (100, 4)] {
                attempts.push(graded(&mut conn, user, test, score, at(4, hour)).await);
            }
            for index in order {
                record(&database, attempts[index]).await.unwrap();
                assert_eq!(record(&database, attempts[index]).await.unwrap(), Recorded::Best(0), "a repetition");
            }
            let best: Vec<(uuid::Uuid, i32)> =
                sqlx::query_as("select attempt_id, score from leaderboard_entries where test_id = $1")
                    .bind(test.0)
                    .fetch_all(&mut *conn)
                    .await
                    .unwrap();
            assert_eq!(best, vec![(attempts[1].0, 900); 4], "{order:?}");
        }
        assert_exact(&database).await;
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn two_hundred_concurrent_updates_leave_an_exact_histogram(_: PgPoolOptions, options: PgConnectOptions) {
        let database = PgPoolOptions::new().max_connections(24).connect_with(options).await.unwrap();
        let mut conn = database.acquire().await.unwrap();
        let test = publish(&mut conn).await;
        let (mut attempts, mut users) = (Vec::new(), Vec::new());
        for _ in 0..40 {
            users.push(register(&mut conn).await);
        }
        for n in 0..5u32 {
            for (user, id) in (0u32..).zip(&users) {
                // Few cells and rising scores: nearly every update takes from a cell to which another one adds.
                let score = i32::try_from((n + user % 3) * 100).unwrap();
                attempts.push(graded(&mut conn, *id, test, score, at(1 + (user + n) % 2, n)).await);
            }
        }
        drop(conn);
        try_join_all(attempts.iter().map(|attempt| record(&database, *attempt))).await.unwrap();
        assert_exact(&database).await;
        let wrong: i64 = sqlx::query_scalar(
            "select count(*) from (
                 select user_id, max(score) as best from attempts group by user_id
             ) as truth full join (select * from leaderboard_entries where period = 'all') as entry using (user_id)
             where best is distinct from score",
        )
        .fetch_one(&database)
        .await
        .unwrap();
        assert_eq!(wrong, 0);
        database.close().await;
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn two_first_scores_of_one_student_at_once_are_one_entry(_: PgPoolOptions, options: PgConnectOptions) {
        let database = PgPoolOptions::new().max_connections(24).connect_with(options).await.unwrap();
        let mut conn = database.acquire().await.unwrap();
        for _ in 0..10 {
            let (user, test) = (register(&mut conn).await, publish(&mut conn).await);
            let mut attempts = Vec::new();
            for n in 0..20 {
                attempts.push(graded(&mut conn, user, test, n * 100, at(4, 1)).await);
            }
            try_join_all(attempts.iter().map(|attempt| record(&database, *attempt))).await.unwrap();
        }
        assert_exact(&database).await;
        let entries: (i64, i32, i32) =
            sqlx::query_as("select count(*), min(score), max(score) from leaderboard_entries")
                .fetch_one(&mut *conn)
                .await
                .unwrap();
        assert_eq!(entries, (40, 1900, 1900));
        drop(conn);
        database.close().await;
    }

    /// What is known of an attempt, and what the boards must say of it.
    #[derive(Clone, Copy)]
    struct Sat {
        user: UserId,
        test: TestId,
        score: i32,
        at: DateTime<Utc>,
    }

    /// Every entry of a board that is kept: its board and student, score and time.
    type Model = BTreeMap<(Board, UserId), (i32, i64)>;

    fn model(attempts: &[Sat], now: DateTime<Utc>) -> Model {
        let mut model = Model::new();
        for sat in attempts {
            for period in [Period::All, Period::Month, Period::Week, Period::Day] {
                let starts_on = period.starts_on(sat.at);
                if period != Period::All && starts_on < oldest_kept(now) {
                    continue;
                }
                let (place, new) =
                    ((Board { test: sat.test, period, starts_on }, sat.user), (sat.score, -sat.at.timestamp()));
                let best = model.entry(place).or_insert(new);
                *best = new.max(*best);
            }
        }
        model
    }

    async fn boards(database: &PgPool, now: DateTime<Utc>) -> Model {
        let rows: Vec<(TestId, Period, NaiveDate, UserId, i32, DateTime<Utc>)> = sqlx::query_as(
            "select test_id, period, starts_on, user_id, score, achieved_at from leaderboard_entries
             where period = 'all' or starts_on >= $1",
        )
        .bind(oldest_kept(now))
        .fetch_all(database)
        .await
        .unwrap();
        let entry = |(test, period, starts_on, user, score, at): (_, _, _, _, _, DateTime<Utc>)| {
            ((Board { test, period, starts_on }, user), (score, -at.timestamp()))
        };
        rows.into_iter().map(entry).collect()
    }

    /// Attempts of `students` at two tests in the last 70 days, on and beside the bounds of bands.
    async fn random_attempts(conn: &mut PgConnection, students: usize, attempts: usize) -> Vec<Sat> {
        let (mut users, mut tests) = (Vec::new(), Vec::new());
        for _ in 0..students {
            users.push(register(conn).await);
        }
        for _ in 0..2 {
            tests.push(publish(conn).await);
        }
        let now = Utc::now();
        let sat = |_| Sat {
            user: users[rand::random_range(0..users.len())],
            test: tests[rand::random_range(0..tests.len())],
            score: [0, 50, 99, 100, 101, 199, 200, 1999, 2000][rand::random_range(0..9)],
            // In days, so that there are many ties of the second column, too.
            at: now - Days::new(rand::random_range(0..70)),
        };
        (0..attempts).map(sat).collect()
    }

    async fn sit_and_record(database: &PgPool, sat: &Sat) -> sqlx::Result<Recorded> {
        let attempt = graded(&mut *database.acquire().await?, sat.user, sat.test, sat.score, sat.at).await;
        record(database, attempt).await
    }

    const RANK_ALL: Scope = Scope { test: None, late: Late::Rank };

    async fn repair_again_and_again(database: &PgPool) -> sqlx::Result<()> {
        let mut conn = database.acquire().await?;
        for _ in 0..8 {
            repair(&mut conn, RANK_ALL, |_| {}).await?;
        }
        Ok(())
    }

    /// Fails when a board becomes smaller.
    async fn watch_totals(database: &PgPool, tests: BTreeSet<TestId>) -> std::convert::Infallible {
        let mut seen = BTreeMap::new();
        let mut conn = database.acquire().await.unwrap();
        loop {
            for test in &tests {
                let total = ranking::total(&mut conn, Board::current(*test, Period::All)).await.unwrap();
                let before = seen.insert(*test, total).unwrap_or_default();
                assert!(before <= total, "{total} entries, and {before} before");
            }
        }
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn a_rebuild_beside_submissions_gives_what_the_attempts_say(_: PgPoolOptions, options: PgConnectOptions) {
        let database = PgPoolOptions::new().max_connections(24).connect_with(options).await.unwrap();
        let attempts = random_attempts(&mut database.acquire().await.unwrap(), 12, 300).await;
        let tests = attempts.iter().map(|sat| sat.test).collect();
        let submissions = stream::iter(&attempts).map(|sat| sit_and_record(&database, sat)).buffer_unordered(12);
        let submissions = submissions.try_for_each(async |_| Ok(()));
        let rebuilds = try_join_all([(); 3].map(|()| repair_again_and_again(&database)));
        tokio::select! {
            done = async { tokio::try_join!(submissions, rebuilds) } => drop(done.unwrap()),
            never = watch_totals(&database, tests) => match never {},
        }
        let now = Utc::now();
        assert_eq!(boards(&database, now).await, model(&attempts, now));
        assert_exact(&database).await;
        let again = repair(&mut database.acquire().await.unwrap(), RANK_ALL, |_| {}).await.unwrap();
        assert_eq!(again, Repaired { students: 12, ..Repaired::default() });
        database.close().await;
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn a_rebuild_repairs_whatever_went_wrong(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let attempts = random_attempts(&mut conn, 6, 80).await;
        for damage in [
            "delete from leaderboard_entries",
            "delete from leaderboard_histogram",
            "delete from leaderboard_bands where band = 0",
            "delete from leaderboard_entries where score < 100",
            "update leaderboard_entries set score = score + 7",
            "update leaderboard_histogram set entries = 5",
            "update leaderboard_entries set achieved_at = achieved_at - interval '1 second' where period = 'all'",
            "with gone as (delete from attempts where score = 2000 returning 1) select from gone",
            "truncate leaderboard_entries, leaderboard_histogram, leaderboard_bands",
        ] {
            sqlx::query("delete from attempts").execute(&mut *conn).await.unwrap();
            for sat in &attempts {
                graded(&mut conn, sat.user, sat.test, sat.score, sat.at).await;
            }
            repair(&mut conn, RANK_ALL, |_| {}).await.unwrap();
            sqlx::query(damage).execute(&mut *conn).await.unwrap();
            repair(&mut conn, RANK_ALL, |_| {}).await.unwrap();
            let lost = damage.contains("from attempts");
            let left: Vec<_> = attempts.iter().copied().filter(|sat| !lost || sat.score < 2000).collect();
            let now = Utc::now();
            assert_eq!(boards(&database, now).await, model(&left, now), "{damage}");
            assert_exact(&database).await;
        }
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn a_rebuild_of_one_test_leaves_the_others_alone(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let user = register(&mut conn).await;
        let tests = [publish(&mut conn).await, publish(&mut conn).await];
        for test in tests {
            graded(&mut conn, user, test, 100, Utc::now()).await;
        }
        let scope = Scope { test: Some(tests[1]), late: Late::Rank };
        let repaired = repair(&mut conn, scope, |_| {}).await.unwrap();
        assert_eq!(repaired, Repaired { students: 1, entries: 4, counts: 0, tests: [tests[1]].into() });
        let totals = [
            ranking::total(&mut conn, Board::current(tests[0], Period::All)).await.unwrap(),
            ranking::total(&mut conn, Board::current(tests[1], Period::All)).await.unwrap(),
        ];
        assert_eq!(totals, [0, 1]);
    }
}
