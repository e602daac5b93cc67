//! Boards compared with the attempts that they come from, and put right where they differ, while students go on submitting:
//! nothing is emptied first, so that no reader sees less than there was.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use sqlx::{Connection, PgConnection};

use super::oldest_kept;
use super::tallies::{self, Steps};
use crate::ids::{AttemptId, TestId, UserId};
use crate::points::Points;
use crate::ranking::{Board, Period};

/// Students compared by one statement.
const STUDENTS: i64 = 500;
/// Students and tests put right by one transaction: each is a lock, of which PostgreSQL has some thousands.
const TOGETHER: usize = 200;
/// An attempt that was graded later may still wait for its own job to rank it.
const RANKED_BY: TimeDelta = TimeDelta::hours(1);

/// Which boards are compared.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Of this test alone, or of all.
    pub test: Option<TestId>,
    /// What is not on a board yet.
    pub late: Late,
}

/// What to do about an attempt that was graded lately and is not on its boards yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// Rank it; its job will find nothing to do.
    Rank,
    /// Leave it to its job, and do not call it wrong.
    Await,
}

/// What was compared, and how much of it was wrong and is right now.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Repaired {
    /// Students compared.
    pub students: u64,
    /// Entries that were missing, wrong, or of no attempt.
    pub entries: u64,
    /// Counts that did not agree with the entries.
    pub counts: u64,
    /// The tests some of whose boards are not what they were: what caches keep of them is out of date.
    #[serde(skip)]
    pub tests: BTreeSet<TestId>,
}

/// Compares and repairs in steps that commit by themselves, and can be begun again; `progress` hears after each how many
/// students were compared.
///
/// # Errors
/// If the database fails.
pub async fn repair(
    conn: &mut PgConnection,
    scope: Scope,
    mut progress: impl FnMut(u64) + Send,
) -> sqlx::Result<Repaired> {
    let mut repaired = Repaired::default();
    let mut after = UserId(uuid::Uuid::nil());
    loop {
        let students = students_after(conn, after).await?;
        let Some(last) = students.last() else { break };
        after = *last;
        let drift = repair_students(conn, scope, &students).await?;
        repaired.entries += drift.len() as u64;
        repaired.tests.extend(drift.iter().map(|drift| drift.test_id));
        repaired.students += students.len() as u64;
        progress(repaired.students);
    }
    for test in tests(conn, scope.test).await? {
        let wrong = tallies::recount(conn, test).await?;
        repaired.counts += wrong;
        repaired.tests.extend((wrong > 0).then_some(test));
    }
    Ok(repaired)
}

async fn students_after(conn: &mut PgConnection, after: UserId) -> sqlx::Result<Vec<UserId>> {
    let students = sqlx::query_scalar!(
        r#"select id as "id: UserId" from users where id > $1 order by id limit $2"#,
        after as UserId,
        STUDENTS,
    );
    students.fetch_all(conn).await
}

/// The tests whose boards there may be.
pub(super) async fn tests(conn: &mut PgConnection, only: Option<TestId>) -> sqlx::Result<Vec<TestId>> {
    let tests = sqlx::query_scalar!(
        r#"select id as "id: TestId" from practice_tests where id = $1 or $1 is null order by id"#,
        only as Option<TestId>,
    );
    tests.fetch_all(conn).await
}

/// Looks without a lock, and locks only where something is wrong. Returns what was.
async fn repair_students(conn: &mut PgConnection, scope: Scope, students: &[UserId]) -> sqlx::Result<Vec<Drift>> {
    let places: HashSet<_> = drift(conn, scope, students).await?.iter().map(Drift::place).collect();
    let mut places: Vec<_> = places.into_iter().collect();
    places.sort_unstable();
    let mut repaired = Vec::new();
    for places in places.chunks(TOGETHER) {
        let mut transaction = conn.begin().await?;
        one_repair_at_a_time(&mut transaction).await?;
        repaired.extend(repair_places(&mut transaction, scope, places).await?);
        transaction.commit().await?;
    }
    Ok(repaired)
}

/// Looks again under the locks that keep these students' own jobs out.
async fn repair_places(conn: &mut PgConnection, scope: Scope, places: &[(TestId, UserId)]) -> sqlx::Result<Vec<Drift>> {
    lock(conn, places).await?;
    let students: Vec<_> = places.iter().map(|(_, user)| *user).collect();
    let mut drift = drift(conn, scope, &students).await?;
    drift.retain(|drift| places.binary_search(&drift.place()).is_ok());
    remove(conn, &drift).await?;
    store(conn, &drift).await?;
    let (mut cells, mut bands) = (Steps::new(), Steps::new());
    for drift in &drift {
        for (score, step) in [(drift.score, 1), (drift.kept, -1)] {
            let Some(Points(score)) = score else { continue };
            *cells.entry((drift.board(), score)).or_default() += step;
            *bands.entry((drift.board(), score / 100)).or_default() += step;
        }
    }
    tallies::add_to_cells(conn, &cells).await?;
    tallies::add_to_bands(conn, &bands).await?;
    Ok(drift)
}

/// Keeps other repairs out until the transaction ends: two that find the same difference would both add it.
pub(super) async fn one_repair_at_a_time(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('leaderboard repair', 0))").execute(conn).await?;
    Ok(())
}

/// The locks that `record_score` takes, one statement before what they guard.
async fn lock(conn: &mut PgConnection, places: &[(TestId, UserId)]) -> sqlx::Result<()> {
    let (tests, users): (Vec<_>, Vec<_>) = places.iter().copied().unzip();
    sqlx::query!(
        r#"
        select pg_advisory_xact_lock(hashtextextended(concat('leaderboard ', test_id, ' ', user_id), 0))
        from unnest($1::uuid[], $2::uuid[]) as place (test_id, user_id)
        "#,
        &tests as &[TestId],
        &users as &[UserId],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// An entry that is not what the attempts say.
#[derive(Debug)]
struct Drift {
    test_id: TestId,
    period: Period,
    starts_on: NaiveDate,
    user_id: UserId,
    /// The best, if the student has a graded attempt.
    score: Option<Points>,
    attempt_id: Option<AttemptId>,
    achieved_at: Option<DateTime<Utc>>,
    /// What the entry says, if there is one.
    kept: Option<Points>,
}

impl Drift {
    fn place(&self) -> (TestId, UserId) {
        (self.test_id, self.user_id)
    }

    fn board(&self) -> Board {
        Board { test: self.test_id, period: self.period, starts_on: self.starts_on }
    }
}

/// Compares the entries of `students` with their attempts, on all boards that are kept.
async fn drift(conn: &mut PgConnection, scope: Scope, students: &[UserId]) -> sqlx::Result<Vec<Drift>> {
    let now = Utc::now();
    let ranked_by = (scope.late == Late::Await).then(|| now - RANKED_BY);
    sqlx::query_as!(
        Drift,
        r#"
        with graded as (
            select id, test_id, user_id, score, submitted_at, graded_at from attempts
            where user_id = any($1) and status = 'graded' and ranks and (test_id = $2 or $2::uuid is null)
        ), best as (
            select distinct on (test_id, period, starts_on, user_id)
                   test_id, period, starts_on, user_id, score, id, submitted_at, graded_at
            from graded cross join lateral board_periods(submitted_at)
            where period = 'all' or starts_on >= $3
            order by test_id, period, starts_on, user_id, score desc, submitted_at, id
        ), entry as (
            select test_id, period, starts_on, user_id, score, achieved_at from leaderboard_entries
            where user_id = any($1) and (test_id = $2 or $2::uuid is null) and (period = 'all' or starts_on >= $3)
        )
        select test_id as "test_id!: TestId", period as "period!: Period", starts_on as "starts_on!",
               user_id as "user_id!: UserId", best.score as "score?: Points", id as "attempt_id?: AttemptId",
               submitted_at as "achieved_at?", entry.score as "kept?: Points"
        from best full join entry using (test_id, period, starts_on, user_id)
        where (best.score, submitted_at) is distinct from (entry.score, achieved_at)
              and (graded_at < $4 or graded_at is null or $4::timestamptz is null)
        "#,
        students as &[UserId],
        scope.test as Option<TestId>,
        oldest_kept(now),
        ranked_by as Option<DateTime<Utc>>,
    )
    .fetch_all(conn)
    .await
}

/// Removes the entries of no attempt.
async fn remove(conn: &mut PgConnection, drift: &[Drift]) -> sqlx::Result<()> {
    let gone: Vec<_> = drift.iter().filter(|drift| drift.score.is_none()).collect();
    sqlx::query!(
        r#"
        delete from leaderboard_entries
        where (test_id, period, starts_on, user_id) in (
            select * from unnest($1::uuid[], $2::leaderboard_period[], $3::date[], $4::uuid[])
        )
        "#,
        &gone.iter().map(|drift| drift.test_id).collect::<Vec<_>>() as &[TestId],
        &gone.iter().map(|drift| drift.period).collect::<Vec<_>>() as &[Period],
        &gone.iter().map(|drift| drift.starts_on).collect::<Vec<_>>(),
        &gone.iter().map(|drift| drift.user_id).collect::<Vec<_>>() as &[UserId],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Stores the entries that were missing or wrong.
async fn store(conn: &mut PgConnection, drift: &[Drift]) -> sqlx::Result<()> {
    let best: Vec<_> = drift.iter().filter(|drift| drift.score.is_some()).collect();
    sqlx::query!(
        r#"
        insert into leaderboard_entries (test_id, period, starts_on, user_id, score, attempt_id, achieved_at)
        select * from unnest($1::uuid[], $2::leaderboard_period[], $3::date[], $4::uuid[], $5::int[], $6::uuid[],
                             $7::timestamptz[])
        on conflict (test_id, period, starts_on, user_id) do update
        set score = excluded.score, attempt_id = excluded.attempt_id, achieved_at = excluded.achieved_at
        "#,
        &best.iter().map(|drift| drift.test_id).collect::<Vec<_>>() as &[TestId],
        &best.iter().map(|drift| drift.period).collect::<Vec<_>>() as &[Period],
        &best.iter().map(|drift| drift.starts_on).collect::<Vec<_>>(),
        &best.iter().map(|drift| drift.user_id).collect::<Vec<_>>() as &[UserId],
        &best.iter().filter_map(|drift| drift.score).map(|Points(score)| score).collect::<Vec<_>>(),
        &best.iter().filter_map(|drift| drift.attempt_id).collect::<Vec<_>>() as &[AttemptId],
        &best.iter().filter_map(|drift| drift.achieved_at).collect::<Vec<_>>(),
    )
    .execute(conn)
    .await?;
    Ok(())
}
