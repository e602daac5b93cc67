//! `bellwork seed --scale`: as much as a large installation has after two years, for benchmarks and for the plans of
//! queries. Every row is a function of its number, made by PostgreSQL itself in chunks that commit by themselves, with all
//! indexes and constraints in place: what is loaded is what the platform could have written.

use std::time::Instant;

use anyhow::Context;
use bellwork_shared::votes::counts;
use chrono::{TimeDelta, Utc};
use clap::Args;
use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::advice::{Misuse, advised};
use crate::screen::{Screen, Tone};

/// The practice tests that are taken, plus one; each has four questions.
const TAKEN: u64 = 500;
const TAKEN_QUESTIONS: u64 = 4 * (TAKEN - 1);
/// Questions of each of the other tests.
const QUESTIONS: u64 = 20;
/// Different results of a test.
const SHEETS: u64 = 64;
/// Models that are voted on.
const MODELS: u32 = 40;
const IMPORTS: u64 = 1000;
/// All has happened a moment ago, even what takes a while.
const PAST: TimeDelta = TimeDelta::minutes(1);

/// How much is loaded.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Size {
    /// Students.
    #[arg(long, default_value_t = 1_000_000, requires = "scale", value_parser = clap::value_parser!(u64).range(1..=20_000_000))]
    users: u64,
    /// Attempts, graded and ranked.
    #[arg(long, default_value_t = 5_000_000, requires = "scale", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    attempts: u64,
    /// Votes on models, about.
    #[arg(long, default_value_t = 10_000_000, requires = "scale", value_parser = clap::value_parser!(u64).range(1..=200_000_000))]
    votes: u64,
    /// Questions, of which most are there to be searched.
    #[arg(long, default_value_t = 200_000, requires = "scale", value_parser = clap::value_parser!(u64).range(2000..=5_000_000))]
    questions: u64,
}

impl Size {
    fn tests(self) -> u64 {
        TAKEN - 1 + self.questions.saturating_sub(TAKEN_QUESTIONS).div_ceil(QUESTIONS)
    }

    /// The share of the users who vote on the first model; on the m-th it is this, divided by the root of m.
    #[expect(clippy::cast_precision_loss, reason = "numbers of rows are far below 2^52")]
    fn voters(self) -> Result<f64, Misuse> {
        let votes_of_all: f64 = (1..=MODELS).map(|model| f64::from(model).sqrt().recip()).sum();
        let share = self.votes as f64 / self.users as f64 / votes_of_all;
        if share > 1.0 {
            return Err(Misuse(format!("There are {MODELS} models: a user has at most {votes_of_all:.0} votes.")));
        }
        Ok(share)
    }
}

/// What a statement is repeated for, in chunks that take some seconds.
#[derive(Clone, Copy, Debug)]
enum Over {
    Once,
    Models,
    Imports,
    TakenTests,
    Tests,
    Users,
    Attempts,
}

impl Over {
    fn count_and_chunk(self, size: Size) -> (u64, u64) {
        match self {
            Self::Once => (1, 1),
            Self::Models => (u64::from(MODELS), 100),
            Self::Imports => (IMPORTS, IMPORTS),
            Self::TakenTests => (TAKEN - 1, 100),
            Self::Tests => (size.tests(), 1000),
            Self::Users => (size.users, 20_000),
            Self::Attempts => (size.attempts, 100_000),
        }
    }
}

/// What fills a table, from number `$1` through `$2`.
struct Step {
    table: &'static str,
    over: Over,
    sql: &'static str,
}

macro_rules! step {
    ($table:literal, $over:ident) => {
        Step { table: $table, over: Over::$over, sql: include_str!(concat!("scale/", $table, ".sql")) }
    };
}

/// THE TABLE of what is loaded, in the order in which one needs the other.
const STEPS: &[Step] = &[
    step!("practice_tests", Tests),
    step!("test_versions", Tests),
    step!("questions", Tests),
    step!("sheets", TakenTests),
    step!("users", Users),
    step!("sessions", Users),
    step!("api_tokens", Users),
    step!("attempts", Attempts),
    step!("jobs", Attempts),
    step!("job_failures", Once),
    step!("leaderboard_entries", Users),
    step!("leaderboard_histogram", Once),
    step!("leaderboard_bands", Once),
    step!("topic_standings", Users),
    step!("sittings", Users),
    step!("notifications", Users),
    step!("notification_streams", Users),
    step!("study_aids", Users),
    step!("ai_usage", Users),
    step!("models", Models),
    step!("votes", Users),
    step!("vote_traces", Once),
    step!("imports", Imports),
    step!("import_problems", Once),
];

const SETUP: &str = include_str!("scale/setup.sql");
/// A crash of the server is the end of the load in any case.
const SESSION: &str = "set synchronous_commit = off; set work_mem = '256MB'; set timezone = 'UTC'";

/// What a table got.
#[derive(Debug, Serialize)]
pub(super) struct Loaded {
    table: &'static str,
    rows: u64,
    seconds: f64,
}

impl Loaded {
    /// How many.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }
}

/// Loads everything, and tells after each table how many rows it got and how fast.
pub(super) async fn load(conn: &mut PgConnection, size: Size, screen: &mut Screen) -> anyhow::Result<Vec<Loaded>> {
    let voters = size.voters()?;
    must_be_new(conn).await?;
    conn.execute(SESSION).await?;
    let fill_in = filler(size, voters);
    conn.execute(sqlx::raw_sql(AssertSqlSafe(fill_in(SETUP)))).await?;
    let mut tables = Vec::new();
    for step in STEPS {
        let loaded = load_table(conn, step, &fill_in(step.sql), size, screen)
            .await
            .with_context(|| format!("{} was not loaded to the end: begin again with a new database", step.table))?;
        show(&loaded, screen)?;
        tables.push(loaded);
    }
    count_votes(conn).await?;
    screen.living_line("vacuum, and statistics for the planner …")?;
    conn.execute("vacuum (analyze)").await?;
    Ok(tables)
}

/// Two loads would number their rows alike.
async fn must_be_new(conn: &mut PgConnection) -> anyhow::Result<()> {
    let used = sqlx::query_scalar!(
        r#"select exists (select from attempts) or exists (select from votes)
                  or exists (select from practice_tests where slug = 'scale-1') as "used!""#
    );
    if used.fetch_one(conn).await? {
        return Err(advised(
            "There are attempts, votes or an earlier load in this database. Nothing was changed.",
            "Make a new database for it: createdb, `bellwork migrate`, `bellwork seed --scale`.",
        ));
    }
    Ok(())
}

/// Puts the numbers of this load into a statement: PostgreSQL plans with numbers, not with look-ups.
fn filler(size: Size, voters: f64) -> impl Fn(&str) -> String {
    let until = (Utc::now() - PAST).timestamp_millis();
    let values = [
        ("{users}", size.users.to_string()),
        ("{attempts}", size.attempts.to_string()),
        ("{tests}", size.tests().to_string()),
        ("{taken}", TAKEN.to_string()),
        ("{sheets}", SHEETS.to_string()),
        ("{models}", MODELS.to_string()),
        ("{voters}", voters.to_string()),
        ("{until}", until.to_string()),
    ];
    move |sql| values.iter().fold(sql.to_owned(), |sql, (name, value)| sql.replace(name, value))
}

async fn load_table(
    conn: &mut PgConnection,
    step: &Step,
    sql: &str,
    size: Size,
    screen: &mut Screen,
) -> anyhow::Result<Loaded> {
    let (began, table) = (Instant::now(), step.table);
    let (count, chunk) = step.over.count_and_chunk(size);
    let (mut from, mut rows) = (1, 0);
    while from <= count {
        let through = count.min(from + chunk - 1);
        let filled = sqlx::query(AssertSqlSafe(sql)).bind(i64::try_from(from)?).bind(i64::try_from(through)?);
        rows += filled.execute(&mut *conn).await?.rows_affected();
        screen.living_line(format_args!("{table}: {rows} rows, {} % …", 100 * through / count))?;
        from = through + 1;
    }
    // The statements that follow are planned by it.
    conn.execute(AssertSqlSafe(format!("analyze {table}"))).await?;
    Ok(Loaded { table, rows, seconds: began.elapsed().as_secs_f64() })
}

/// By the same statement as `bellwork models recount`.
async fn count_votes(conn: &mut PgConnection) -> anyhow::Result<()> {
    let mut transaction = conn.begin().await?;
    counts::recount(&mut transaction).await.context("the votes were not counted: run `bellwork models recount`")?;
    Ok(transaction.commit().await?)
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn show(loaded: &Loaded, screen: &mut Screen) -> std::io::Result<()> {
    let Loaded { table, rows, seconds } = loaded;
    let mark = screen.toned(Tone::Good, "✓");
    let rate = screen.toned(Tone::Faint, format_args!("{:>9.0} a second", *rows as f64 / seconds.max(0.001)));
    screen.say(format_args!("{mark} {table:<22} {rows:>11} rows {seconds:>8.1} s {rate}"))
}

#[cfg(test)]
mod tests {
    use std::io;

    use bellwork_shared::leaderboard::{self, Late, Scope};
    use sqlx::PgPool;

    use super::*;
    use crate::screen::{Reader, Surface};

    const SMALL: Size = Size { users: 300, attempts: 3000, votes: 2500, questions: 2100 };

    fn nowhere() -> Screen {
        Screen::on(Box::new(io::sink()), Box::new(io::sink()), Reader::Programs, Surface::Stream)
    }

    async fn count(conn: &mut PgConnection, table: &str) -> i64 {
        let count = AssertSqlSafe(format!("select count(*) from {table}"));
        sqlx::query_scalar(count).fetch_one(conn).await.unwrap()
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn what_is_loaded_is_what_the_platform_would_have_written(database: PgPool) {
        let (mut conn, mut screen) = (database.acquire().await.unwrap(), nowhere());
        let tables = load(&mut conn, SMALL, &mut screen).await.unwrap();
        for Loaded { table, rows, .. } in &tables {
            assert!(*rows > 0, "{table}");
        }
        assert_eq!((count(&mut conn, "users").await, count(&mut conn, "attempts").await), (300, 3000));
        let votes = count(&mut conn, "votes").await;
        assert!((2250..2750).contains(&votes), "{votes}");
        for some in ["votes where state = 'held'", "jobs where state = 'dead'", "attempts where status = 'failed'"] {
            assert!(count(&mut conn, some).await > 0, "{some}");
        }
        for empty in [
            "jobs_default",
            "vote_events_default",
            "job_outbox",
            "attempts join users on users.id = user_id where users.created_at > submitted_at",
            "(select max(seq) <> count(*) as gap from notifications group by user_id) as stream where gap",
            "(select sum(questions) from question_bank_counts) as kept (n)
             join (select count(*) from questions where listed) as counted (n) on kept.n <> counted.n",
        ] {
            assert_eq!(count(&mut conn, empty).await, 0, "{empty}");
        }

        let mut transaction = conn.begin().await.unwrap();
        assert_eq!(counts::recount(&mut transaction).await.unwrap(), []);
        transaction.commit().await.unwrap();
        let scope = Scope { test: None, late: Late::Rank };
        let repaired = leaderboard::repair(&mut conn, scope, |_| {}).await.unwrap();
        assert_eq!((repaired.students, repaired.entries, repaired.counts), (300, 0, 0));

        let again = load(&mut conn, SMALL, &mut screen).await.unwrap_err();
        assert!(again.to_string().contains("Nothing was changed"), "{again}");
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn topics_stand_as_results_would_have_moved_them(database: PgPool) {
        let (mut conn, mut screen) = (database.acquire().await.unwrap(), nowhere());
        load(&mut conn, SMALL, &mut screen).await.unwrap();
        let wrong = "(
            select user_id, questions.subject, questions.topic, count(*)::int as answered,
                   (count(*) filter (where (given ->> 'correct')::boolean))::int as correct,
                   sum((given ->> 'points')::numeric * 100)::bigint as earned, sum(points)::bigint as possible
            from attempts cross join lateral jsonb_array_elements(feedback) as given
            join questions on questions.id = (given ->> 'question_id')::uuid where status = 'graded' group by 1, 2, 3
            except select user_id, subject, topic, answered, correct, earned, possible from topic_standings) as wrong";
        assert_eq!(count(&mut conn, wrong).await, 0);
    }

    #[test]
    fn a_user_has_no_more_votes_than_there_are_models() {
        assert!(Size { votes: 3600, ..SMALL }.voters().is_err());
        assert!(Size { votes: 3000, ..SMALL }.voters().is_ok());
    }
}
