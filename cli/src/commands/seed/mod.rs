//! `bellwork seed`: what a new installation begins with. A second run changes nothing.

mod scale;

use std::time::Instant;

use anyhow::Context;
use bellwork_shared::content::{self, ImportError, Imported, OnDifference, TestFile};
use bellwork_shared::models::{self, NewModel, Slug, Stored};
use bellwork_shared::passwords;
use bellwork_shared::users::{self, DisplayName, Email, NewUser, Registration, Role};
use clap::Args;
use serde::Serialize;
use serde_json::json;
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::users::generate_password;
use crate::screen::{Screen, Tone};
use crate::stores;

const TESTS: [&str; 4] = [
    include_str!("../../../../content/algebra.json"),
    include_str!("../../../../content/biology.json"),
    include_str!("../../../../content/reading.json"),
    include_str!("../../../../content/mental-arithmetic.json"),
];
const MODELS: &str = include_str!("../../../../content/models.json");
const ADMIN: &str = "admin@bellwork.local";
const ADMIN_NAME: &str = "Administrator";

/// Import the practice tests that come with Bellwork and AI models to vote on, and make the first administrator. What
/// is there already is left alone.
#[derive(Debug, Args)]
pub(crate) struct Seed {
    /// Load as much as a large installation has, too, into a database without attempts: for benchmarks, it takes minutes.
    #[arg(long)]
    scale: bool,
    #[command(flatten)]
    size: scale::Size,
}

/// What became of one test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Created,
    Unchanged,
    Different,
}

#[derive(Debug, Serialize)]
struct SeededTest {
    slug: String,
    title: String,
    questions: usize,
    outcome: Outcome,
}

#[derive(Debug, Serialize)]
struct Admin {
    email: &'static str,
    password: String,
}

/// What a run came to. The administrator is there only if this run made them.
#[derive(Debug, Serialize)]
struct Seeded {
    tests: Vec<SeededTest>,
    /// The slugs of those that were not there.
    models: Vec<Slug>,
    admin: Option<Admin>,
}

impl Seed {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        let mut transaction = stores::database()?.begin().await.context("nothing was seeded")?;
        let seeded = seed(&mut transaction).await.context("nothing was seeded")?;
        transaction.commit().await.context("nothing was seeded")?;
        stores::forget_tests().await;
        show(&seeded, screen)?;
        if self.scale { load(self.size, screen).await } else { Ok(()) }
    }
}

async fn load(size: scale::Size, screen: &mut Screen) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut conn = PgConnection::connect_with(&stores::unlimited_database()?.disable_statement_logging()).await?;
    let tables = scale::load(&mut conn, size, screen).await?;
    let (rows, seconds) = (tables.iter().map(scale::Loaded::rows).sum::<u64>(), began.elapsed().as_secs_f64());
    screen.json(&json!({ "tables": tables, "rows": rows, "seconds": seconds }))?;
    let mark = screen.toned(Tone::Good, "✓");
    Ok(screen.say(format_args!("{mark} {rows} rows in {seconds:.0} s"))?)
}

async fn seed(conn: &mut PgConnection) -> anyhow::Result<Seeded> {
    let mut tests = Vec::with_capacity(TESTS.len());
    for json in TESTS {
        let test = content::read(json).expect("the tests that come with Bellwork are valid: a test reads them");
        let outcome = import(conn, &test).await?;
        tests.push(SeededTest { slug: test.slug, title: test.title, questions: test.questions.len(), outcome });
    }
    Ok(Seeded { tests, models: add_models(conn).await?, admin: make_first_admin(conn).await? })
}

async fn import(conn: &mut PgConnection, test: &TestFile) -> Result<Outcome, ImportError> {
    match content::import(conn, test, OnDifference::Refuse).await {
        Ok(Imported::Created | Imported::Replaced) => Ok(Outcome::Created),
        Ok(Imported::Unchanged) => Ok(Outcome::Unchanged),
        Err(ImportError::Different(_)) => Ok(Outcome::Different),
        Err(error) => Err(error),
    }
}

async fn add_models(conn: &mut PgConnection) -> anyhow::Result<Vec<Slug>> {
    let models: Vec<NewModel> =
        serde_json::from_str(MODELS).expect("the models that come with Bellwork are valid: a test reads them");
    let mut added = Vec::new();
    for model in &models {
        if let Stored::New(model) = models::insert(conn, model).await? {
            added.push(model.slug);
        }
    }
    Ok(added)
}

async fn make_first_admin(conn: &mut PgConnection) -> anyhow::Result<Option<Admin>> {
    let there = sqlx::query_scalar!(r#"select exists (select from users where role = 'admin') as "there!""#);
    if there.fetch_one(&mut *conn).await? {
        return Ok(None);
    }
    let password = generate_password();
    let new = NewUser {
        email: &Email::parse(ADMIN)?,
        display_name: &DisplayName::parse(ADMIN_NAME)?,
        role: Role::Admin,
        password_hash: &passwords::hash(&password)?,
    };
    let made = matches!(users::insert(conn, &new).await?, Registration::New(_));
    Ok(made.then_some(Admin { email: ADMIN, password }))
}

fn show(seeded: &Seeded, screen: &mut Screen) -> anyhow::Result<()> {
    screen.json(seeded)?;
    for test in &seeded.tests {
        show_test(test, screen)?;
    }
    if !seeded.models.is_empty() {
        let mark = screen.toned(Tone::Good, "✓");
        screen.say(format_args!("{mark} {} AI models to vote on", seeded.models.len()))?;
    }
    if let Some(admin) = &seeded.admin {
        let mark = screen.toned(Tone::Good, "✓");
        let password = screen.toned(Tone::Strong, &admin.password);
        screen.say(format_args!("{mark} administrator {}, password {password}   (shown this once)", admin.email))?;
    }
    let nothing_added = seeded.models.is_empty() && seeded.tests.iter().all(|test| test.outcome != Outcome::Created);
    if seeded.admin.is_none() && nothing_added {
        screen.say("Nothing to seed: the practice tests and an administrator are there. Nothing was changed.")?;
    }
    Ok(())
}

fn show_test(test: &SeededTest, screen: &mut Screen) -> anyhow::Result<()> {
    let SeededTest { slug, title, questions, outcome } = test;
    match outcome {
        Outcome::Created => {
            let mark = screen.toned(Tone::Good, "✓");
            screen.say(format_args!("{mark} {slug}: {title} ({questions} questions)"))?;
        }
        Outcome::Unchanged => {}
        Outcome::Different => {
            let mark = screen.toned(Tone::Caution, "!");
            screen
                .hint(format_args!("{mark} {slug} has other content than the one that comes with Bellwork: kept."))?;
            screen.hint(format_args!("  `bellwork tests import content/{slug}.json --replace` replaces it."))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_second_run_changes_nothing(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let first = seed(&mut conn).await.unwrap();
        assert!(first.tests.iter().all(|test| test.outcome == Outcome::Created));
        assert_eq!(first.models.len(), 5);
        let admin = first.admin.expect("the first run makes the administrator");
        let (user, hash) = users::find_with_password(&mut conn, &Email::parse(ADMIN).unwrap()).await.unwrap().unwrap();
        assert_eq!(user.role, Role::Admin);
        assert!(passwords::verify(&admin.password, &hash));

        let second = seed(&mut conn).await.unwrap();
        assert!(second.tests.iter().all(|test| test.outcome == Outcome::Unchanged));
        assert!(second.admin.is_none() && second.models.is_empty());
        let counts: (i64, i64, i64) = sqlx::query_as(
            "select (select count(*) from practice_tests), (select count(*) from questions), (select count(*) from users)",
        )
        .fetch_one(&mut *conn)
        .await
        .unwrap();
        assert_eq!(counts, (4, 70, 1));
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_test_that_was_edited_is_kept(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        seed(&mut conn).await.unwrap();
        sqlx::query("update practice_tests set title = 'Ours', source_hash = 'ours' where slug = 'algebra'")
            .execute(&mut *conn)
            .await
            .unwrap();
        let again = seed(&mut conn).await.unwrap();
        assert_eq!(again.tests.iter().filter(|test| test.outcome == Outcome::Different).count(), 1);
        let title: String = sqlx::query_scalar("select title from practice_tests where slug = 'algebra'")
            .fetch_one(&mut *conn)
            .await
            .unwrap();
        assert_eq!(title, "Ours");
    }
}
