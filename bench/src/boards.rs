//! Reads of one board with a million entries, through the functions that the routes call, each as one client that waits
//! for its answer; and what a new best costs there.

use std::time::{Duration, Instant};

use bellwork_shared::database::MIGRATIONS;
use bellwork_shared::ids::{AttemptId, TestId, UserId};
use bellwork_shared::leaderboard;
use bellwork_shared::ranking::{self, Board, Period};
use clap::Args;
use sqlx::{Connection, Executor, PgConnection};
use url::Url;
use uuid::Uuid;

use crate::figures::Figures;
use crate::screen::Step;

/// How much is measured.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Entries of the board.
    #[arg(long, default_value_t = 1_000_000)]
    entries: i32,
    /// Reads of each kind.
    #[arg(long, default_value_t = 5_000)]
    samples: i64,
}

/// The most that the routes show.
const PLACES: i64 = 100;
const AROUND: i64 = 25;
/// A test of 100 points, marked to the hundredth: the most cells that a common test can have.
const MAX_SCORE: i32 = 10_000;
/// Reads before the first that counts.
const WARM_UP: usize = 100;

/// Measures on a database of its own, on the server of `DATABASE_URL`.
pub(crate) async fn measure(arguments: &Arguments) -> anyhow::Result<Figures> {
    let server: Url = bellwork_testkit::test_run::variable("DATABASE_URL").parse()?;
    let name = format!("bellwork_boards_{}", Uuid::new_v4().simple());
    let mut admin = PgConnection::connect(server.as_str()).await?;
    admin.execute(sqlx::AssertSqlSafe(format!("create database {name}"))).await?;
    let mut url = server;
    url.set_path(&name);
    let figures = measure_at(&url, arguments).await;
    admin.execute(sqlx::AssertSqlSafe(format!("drop database {name} with (force)"))).await?;
    figures
}

async fn measure_at(url: &Url, arguments: &Arguments) -> anyhow::Result<Figures> {
    let mut conn = PgConnection::connect(url.as_str()).await?;
    MIGRATIONS.run(&mut conn).await?;
    let test = TestId::new();
    Step::begin("Loading the board").during("", load(&mut conn, test, arguments.entries)).await?;
    let students = students(&mut conn, test, arguments.samples).await?;
    let board = Board::current(test, Period::All);
    let mut figures = Figures::default();
    let (mut top, mut me, mut neighbours, mut total) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for student in &students {
        top.push(timed(ranking::top(&mut conn, board, PLACES)).await?);
        me.push(timed(ranking::standing(&mut conn, board, *student)).await?);
        neighbours.push(timed(ranking::neighbours(&mut conn, board, *student, AROUND)).await?);
        total.push(timed(ranking::total(&mut conn, board)).await?);
    }
    for (name, mut samples) in [
        (format!("the first {PLACES}"), top),
        ("rank and percentile".to_owned(), me),
        (format!("{AROUND} neighbours on each side"), neighbours),
        ("number of students".to_owned(), total),
        ("a new best, with its commit".to_owned(), new_bests(&mut conn, test, &students).await?),
    ] {
        samples.drain(..WARM_UP.min(samples.len() / 2));
        figures.add_latencies(&name, &mut samples);
    }
    Ok(figures)
}

async fn timed<T>(read: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<Duration> {
    let began = Instant::now();
    read.await?;
    Ok(began.elapsed())
}

/// Scores are the mean of three even ones, so that most students are in the middle, as in life.
async fn load(conn: &mut PgConnection, test: TestId, entries: i32) -> sqlx::Result<()> {
    let users = "insert into users (id, email, display_name, password_hash)
                 select gen_random_uuid(), n || '@school.test', 'Student ' || n, '' from generate_series(1, $1) as n";
    sqlx::query(users).bind(entries).execute(&mut *conn).await?;
    let entries = "insert into leaderboard_entries
                          (test_id, period, starts_on, user_id, score, attempt_id, achieved_at)
                   select $1, 'all', '1970-01-01', id, ($2 * (random() + random() + random()) / 3)::int,
                          gen_random_uuid(), now() - random() * interval '300 days' from users";
    sqlx::query(entries).bind(test.0).bind(MAX_SCORE).execute(&mut *conn).await?;
    for count in [
        "insert into leaderboard_histogram
         select test_id, period, starts_on, score, count(*) from leaderboard_entries group by 1, 2, 3, 4",
        "insert into leaderboard_bands
         select test_id, period, starts_on, score / 100, count(*) from leaderboard_entries group by 1, 2, 3, 4",
        "vacuum analyze",
    ] {
        conn.execute(count).await?;
    }
    Ok(())
}

async fn students(conn: &mut PgConnection, test: TestId, count: i64) -> sqlx::Result<Vec<UserId>> {
    let random = "select user_id from leaderboard_entries where test_id = $1 order by random() limit $2";
    sqlx::query_scalar(random).bind(test.0).bind(count).fetch_all(conn).await
}

/// Each student takes the test again and is better by one point: four boards, of which three are new to them.
async fn new_bests(conn: &mut PgConnection, test: TestId, students: &[UserId]) -> sqlx::Result<Vec<Duration>> {
    let mut samples = Vec::new();
    for student in students {
        let attempt: AttemptId = sqlx::query_scalar(
            "insert into attempts (id, user_id, test_id, job_id, status, answers, score, max_score, feedback, graded_at)
             select gen_random_uuid(), user_id, test_id, gen_random_uuid(), 'graded', '[]', least(score + 100, $3), $3,
                    '[]', now()
             from leaderboard_entries where test_id = $1 and period = 'all' and starts_on = '1970-01-01' and user_id = $2
             returning id",
        )
        .bind(test.0)
        .bind(student.0)
        .bind(MAX_SCORE)
        .fetch_one(&mut *conn)
        .await?;
        let began = Instant::now();
        let mut transaction = conn.begin().await?;
        leaderboard::record_score(&mut transaction, attempt).await?;
        transaction.commit().await?;
        samples.push(began.elapsed());
    }
    Ok(samples)
}
