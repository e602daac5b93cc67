//! Reads a file that an operator has handed in, stores the test in it, and writes the report.

use std::time::Duration;

use bellwork_shared::cache::Scope;
use bellwork_shared::content::{self, ImportError, TestFile};
use bellwork_shared::formats::{self, Label, Naming, Reading};
use bellwork_shared::ids::{ImportId, JobId};
use bellwork_shared::imports::{self, Found, HandedIn, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;

use crate::context::Context;
use crate::failure::Failure;
use crate::job::Job;
use crate::queues::{MAINTENANCE, Queue};
use crate::recording::Recording;

/// What is out of date once a test is stored.
const OUTDATED: [Scope; 2] = [Scope::Tests, Scope::QuestionBank];

/// The payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportContent {
    /// The file and how it is to be read.
    pub import_id: ImportId,
}

/// A file that was read, for `record` to store.
#[derive(Debug)]
pub struct Read {
    handed_in: HandedIn,
    reading: Reading,
    test: Result<TestFile, String>,
}

impl Job for ImportContent {
    const KIND: &'static str = "import_content";
    const QUEUE: &'static Queue = &MAINTENANCE;
    const TIMEOUT: Duration = Duration::from_secs(120);
    const MAX_ATTEMPTS: u16 = 3;

    /// None: the import is gone, or has ended.
    type Output = Option<Box<Read>>;

    /// A file that is wrong does not fail the job: the import says so, and reading it again would find the same.
    async fn run(&self, context: Context<'_>) -> Result<Option<Box<Read>>, Failure> {
        context.progress(5, "Fetching the file").await;
        let handed_in = imports::handed_in(&mut *context.platform.database.acquire().await?, self.import_id).await?;
        let Some(handed_in) = handed_in else {
            tracing::warn!(import = %self.import_id, "an import that is gone, or has ended, is not read");
            return Ok(None);
        };
        context.progress(20, "Reading the questions").await;
        // On a thread of its own, so that a file on which a parser panics ends this job and nothing else.
        let read = tokio::task::spawn_blocking(move || read(handed_in)).await;
        let read = read.map_err(|_| Failure::fatal("the file broke its parser"))?;
        context
            .progress(70, &format!("Storing {} of {} questions", read.reading.questions.len(), read.reading.found))
            .await;
        Ok(Some(Box::new(read)))
    }

    async fn record(&self, read: Option<Box<Read>>, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        let Some(read) = read else { return Ok(()) };
        let conn = recording.transaction().await?;
        let stored = store(conn, &read).await?;
        let (state, error) = stored.as_ref().map_or_else(|error| ("failed", Some(error.clone())), |_| ("done", None));
        let outcome = stored.as_ref().ok().map(|(outcome, _)| *outcome);
        let (found, usable) = (read.reading.found, read.reading.questions.len());
        let report = Found { format: read.reading.format, found, usable, problems: &read.reading.problems, stored };
        imports::finish(conn, self.import_id, &report).await?;
        if outcome.is_some() {
            OUTDATED.into_iter().for_each(|scope| recording.outdate(scope));
        }
        let (id, problems) = (self.import_id, read.reading.problems.len());
        recording.result(json!({
            "import_id": id, "state": state, "outcome": outcome, "found": found, "usable": usable, "problems": problems,
            "error": error,
        }));
        Ok(())
    }

    async fn outdated(&self, _: &mut PgConnection) -> sqlx::Result<Vec<Scope>> {
        Ok(OUTDATED.to_vec())
    }

    async fn buried(&self, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        let why = "The file could not be read; the job's errors say why.";
        Ok(imports::fail(recording.transaction().await?, self.import_id, why).await?)
    }

    async fn cancelled(&self, _: JobId, conn: &mut PgConnection) -> sqlx::Result<()> {
        imports::fail(conn, self.import_id, "The import was cancelled.").await
    }

    async fn reopened(&self, conn: &mut PgConnection) -> sqlx::Result<()> {
        imports::reopen(conn, self.import_id).await
    }
}

fn read(handed_in: HandedIn) -> Read {
    let format = handed_in.format.as_deref().and_then(formats::find);
    let filename = handed_in.filename.as_deref();
    let reading = formats::read(&handed_in.file, Label { format, filename, media_type: None });
    let naming = Naming { title: handed_in.title.as_deref(), subject: handed_in.subject.as_deref(), filename };
    let test = reading.test(naming).map_err(|unusable| sentence(&unusable));
    Read { handed_in, reading, test }
}

/// What was stored, with the test's slug, or why nothing was.
async fn store<'a>(conn: &mut PgConnection, read: &'a Read) -> sqlx::Result<Result<(Outcome, &'a str), String>> {
    let test = match &read.test {
        Ok(test) => test,
        Err(why) => return Ok(Err(why.clone())),
    };
    if read.handed_in.dry_run {
        return Ok(Ok((Outcome::Checked, &test.slug)));
    }
    match content::import(conn, test, read.handed_in.on_existing.into()).await {
        Ok(imported) => Ok(Ok((imported.into(), &test.slug))),
        Err(ImportError::Database(error)) => Err(error),
        Err(error) => Ok(Err(sentence(&error))),
    }
}

fn sentence(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}

#[cfg(test)]
mod tests {
    use bellwork_shared::formats::Severity;
    use bellwork_shared::ids::UserId;
    use bellwork_shared::imports::{Import, ImportState, NewImport, OnExisting, Request};
    use bellwork_shared::personal_data::erasure::erase;
    use sqlx::PgPool;

    use super::*;
    use crate::marker::Marker;
    use crate::rehearsal::{Stage, register};

    const QUIZ: &str = "::One::1 + 1 {#2}\n\n::Two::What? {=a ~b#no}\n\n::Three::Describe it. {}";

    async fn import(database: &PgPool, request: Request<'_>, file: &[u8]) -> (Import, UserId) {
        let (id, submitter) = (ImportId::new(), UserId::new());
        let new = NewImport { id, submitter, job: JobId::new(), request, file };
        imports::insert(&mut database.acquire().await.unwrap(), &new).await.unwrap();
        let stage = Stage::new(database, Marker::Rubric);
        stage.perform(&ImportContent { import_id: id }).await.unwrap();
        (imports::find(&mut database.acquire().await.unwrap(), id).await.unwrap().unwrap(), submitter)
    }

    fn quiz(title: &str) -> Request<'_> {
        Request { title: Some(title), filename: Some("quiz.gift"), ..Request::default() }
    }

    async fn count(database: &PgPool, count: &'static str) -> i64 {
        sqlx::query_scalar(count).fetch_one(database).await.unwrap()
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn what_can_be_used_is_stored_and_the_rest_is_reported(database: PgPool) {
        let (import, _) = import(&database, quiz("A quiz"), QUIZ.as_bytes()).await;
        assert_eq!((import.state, import.outcome, import.error), (ImportState::Done, Some(Outcome::Created), None));
        assert_eq!((import.found, import.usable, import.lost, import.changed), (3, 2, 2, 0));
        assert_eq!(import.format.as_deref(), Some("gift"));
        assert_eq!(count(&database, "select count(*) from questions").await, 2);
        let report = imports::report(&mut database.acquire().await.unwrap(), import.id, 0, 10).await.unwrap();
        let rows: Vec<_> = report.iter().map(|row| (row.row, row.problem.line, row.problem.severity)).collect();
        assert_eq!(rows, [(1, Some(3), Severity::Lost), (2, Some(5), Severity::Lost)]);
        let test: String = sqlx::query_scalar("select slug from practice_tests where id = $1")
            .bind(import.test_id.unwrap().0)
            .fetch_one(&database)
            .await
            .unwrap();
        assert_eq!(test, "a-quiz");
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn the_same_content_twice_changes_nothing_and_other_content_is_refused(database: PgPool) {
        import(&database, quiz("A quiz"), QUIZ.as_bytes()).await;
        let stamps = "select count(*) from questions where xmin::text = (select max(xmin::text) from practice_tests)";
        let before = count(&database, stamps).await;
        let (again, _) = import(&database, quiz("A quiz"), QUIZ.replace("\n", "\r\n").as_bytes()).await;
        assert_eq!(again.outcome, Some(Outcome::Unchanged));
        assert_eq!((before, count(&database, stamps).await), (2, 2), "the rows are those of the first import");
        let (other, _) = import(&database, quiz("A quiz"), b"::One::1 + 1 {#2:1}").await;
        assert_eq!(other.state, ImportState::Failed);
        assert_eq!(other.error.as_deref(), Some("The test \"a-quiz\" exists with other content."));
        let replace = Request { on_existing: OnExisting::Replace, ..quiz("A quiz") };
        let (replaced, _) = import(&database, replace, b"::One::1 + 1 {#2:1}").await;
        assert_eq!(replaced.outcome, Some(Outcome::Replaced));
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_dry_run_reports_and_stores_nothing(database: PgPool) {
        let (import, _) = import(&database, Request { dry_run: true, ..quiz("A quiz") }, QUIZ.as_bytes()).await;
        assert_eq!((import.state, import.outcome, import.test_id), (ImportState::Done, Some(Outcome::Checked), None));
        assert_eq!((import.usable, import.lost), (2, 2));
        assert_eq!(count(&database, "select count(*) from practice_tests").await, 0);
        assert_eq!(count(&database, "select count(*) from import_problems").await, 2);
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_file_of_which_nothing_can_be_used_fails_visibly_and_is_not_read_again(database: PgPool) {
        let hostile = br#"<!DOCTYPE quiz [<!ENTITY a "ha">]><quiz>&a;</quiz>"#;
        for (name, file) in [("quiz.xml", &hostile[..]), ("letter.doc", b"Dear colleague"), ("quiz.gift", b"::A::B {}")]
        {
            let (import, _) = import(&database, Request { filename: Some(name), ..Request::default() }, file).await;
            assert_eq!(import.state, ImportState::Failed, "{name}");
            assert_eq!(import.error.as_deref(), Some("The file holds no question that can be used."), "{name}");
            assert!(import.lost > 0 && import.finished_at.is_some(), "{name}");
        }
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_job_that_is_given_up_fails_its_import_until_it_is_opened_again(database: PgPool) {
        let new = NewImport {
            id: ImportId::new(),
            submitter: UserId::new(),
            job: JobId::new(),
            request: quiz("A quiz"),
            file: QUIZ.as_bytes(),
        };
        let mut conn = database.acquire().await.unwrap();
        imports::insert(&mut conn, &new).await.unwrap();
        let (stage, job) = (Stage::new(&database, Marker::Rubric), ImportContent { import_id: new.id });
        stage.bury(&job).await;
        let buried = imports::find(&mut conn, new.id).await.unwrap().unwrap();
        assert_eq!((buried.state, buried.error.is_some()), (ImportState::Failed, true));
        assert!(stage.perform(&job).await.unwrap().aftermath.result.is_none(), "an import that has ended is not read");
        job.reopened(&mut conn).await.unwrap();
        stage.perform(&job).await.unwrap();
        assert_eq!(imports::find(&mut conn, new.id).await.unwrap().unwrap().state, ImportState::Done);
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn an_import_that_waits_fails_with_the_account_that_handed_it_in(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let (id, job, submitter) = (ImportId::new(), JobId::new(), register(&mut conn, "Zoe").await);
        let new = NewImport { id, submitter, job, request: quiz("A quiz"), file: QUIZ.as_bytes() };
        imports::insert(&mut conn, &new).await.unwrap();
        erase(&mut conn, submitter).await.unwrap();
        let left = imports::find(&mut conn, id).await.unwrap().unwrap();
        assert_eq!(left.state, ImportState::Failed);
        assert_eq!(left.error.as_deref(), Some("The account that handed it in was deleted."));
    }

    #[test]
    fn the_stored_shape_is_read() {
        let stored = r#"{"import_id": "0199c0de-0000-7000-8000-000000000000"}"#;
        assert!(serde_json::from_str::<ImportContent>(stored).is_ok());
    }
}
