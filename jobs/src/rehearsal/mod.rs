//! For tests: a platform on the test's own database, a student who takes a test, and the way of a job from run to commit.

pub(crate) mod chat_server;
pub(crate) mod smtp_server;

use std::sync::Arc;

use bellwork_queue::Server;
use bellwork_shared::answers::{Answer, Response};
use bellwork_shared::attempts::{self, NewAttempt};
use bellwork_shared::cache::Invalidator;
use bellwork_shared::catalogue::Catalogue;
use bellwork_shared::config::mail::MailConfig;
use bellwork_shared::ids::{AttemptId, JobId, QuestionId, TestId, UserId};
use bellwork_shared::ledger;
use bellwork_shared::points::Points;
use bellwork_shared::versions::Taken;
use bellwork_testkit::folder::Folder;
use bellwork_testkit::test_run::redis_url;
use bellwork_testkit::until;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::context::{Context, Platform, Publisher};
use crate::failure::Failure;
use crate::job::Job;
use crate::mailer::Mailer;
use crate::marker::Marker;
use crate::recording::{Aftermath, Recording};

/// An address where nobody listens, held so that nobody begins to.
pub(crate) fn deserted_address() -> (tokio::net::TcpSocket, std::net::SocketAddr) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((std::net::Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// A platform with a channel prefix and a mail directory of its own.
pub(crate) struct Stage {
    pub(crate) platform: Platform,
    pub(crate) prefix: String,
    pub(crate) mail: Folder,
}

pub(crate) fn redis() -> Server {
    redis_url().parse().unwrap()
}

impl Stage {
    pub(crate) fn new(database: &PgPool, marker: Marker) -> Self {
        let (mail, prefix) = (Folder::new(), format!("test-{}", Uuid::new_v4().simple()));
        let from = "Bellwork <bellwork@school.test>".to_owned();
        let mailer = Mailer::new(&MailConfig { smtp_url: None, from, dir: mail.path().to_owned() }).unwrap();
        let platform = Platform {
            database: database.clone(),
            catalogue: Catalogue::new(database.clone()),
            cache: Invalidator::new(crate::cache::redis(&redis()), &prefix),
            publisher: Publisher::new(redis().connection(), &prefix),
            marker: Arc::new(marker),
            mailer,
            public_url: "https://school.test/practice/".parse().unwrap(),
            ledger_retention_days: 30,
            vote_retention_months: 24,
        };
        Self { platform, prefix, mail }
    }

    /// Runs and records `job` as the executor does, but for the closing of its row.
    pub(crate) async fn perform<J: Job>(&self, job: &J) -> Result<Performed, Failure> {
        self.perform_as(JobId::new(), None, job).await
    }

    pub(crate) async fn perform_as<J: Job>(
        &self,
        id: JobId,
        submitter: Option<UserId>,
        job: &J,
    ) -> Result<Performed, Failure> {
        let output = job.run(Context { platform: &self.platform, job: id, submitter, reporter: None }).await?;
        let mut recording = Recording::new(&self.platform.database, id, submitter, None);
        job.record(output, &mut recording).await?;
        recording.transaction().await?;
        let (transaction, aftermath) = recording.finish();
        let mut transaction = transaction.unwrap();
        ledger::insert(&mut transaction, &aftermath.children).await?;
        transaction.commit().await?;
        Ok(Performed { job: id, aftermath })
    }

    /// Buries `job` as the executor does.
    pub(crate) async fn bury<J: Job>(&self, job: &J) -> Aftermath {
        self.bury_as(JobId::new(), job).await
    }

    pub(crate) async fn bury_as<J: Job>(&self, id: JobId, job: &J) -> Aftermath {
        let mut recording = Recording::new(&self.platform.database, id, None, None);
        job.buried(&mut recording).await.unwrap();
        let (transaction, aftermath) = recording.finish();
        transaction.unwrap().commit().await.unwrap();
        aftermath
    }
}

/// A job that was run and recorded.
#[derive(Debug)]
pub(crate) struct Performed {
    pub(crate) job: JobId,
    pub(crate) aftermath: Aftermath,
}

impl Performed {
    pub(crate) fn result(&self) -> &Value {
        self.aftermath.result.as_ref().expect("the job left a result")
    }

    pub(crate) fn children(&self) -> Vec<(&str, &Value)> {
        self.aftermath.children.iter().map(|job| (job.kind, &job.payload)).collect()
    }
}

/// Returns once this many statements wait for the locks of others.
pub(crate) async fn waiting(database: &PgPool, statements: i64) {
    let count = "select count(distinct pid) from pg_locks join pg_stat_activity using (pid)
                 where not granted and datname = current_database()";
    until("they wait", async || sqlx::query_scalar::<_, i64>(count).fetch_one(database).await.unwrap() >= statements)
        .await;
}

pub(crate) async fn register(conn: &mut PgConnection, name: &str) -> UserId {
    let (id, email) = (UserId::new(), format!("{}@home.test", name.to_lowercase()));
    let insert = "insert into users (id, email, display_name, role, password_hash) values ($1, $2, $3, 'student', '')";
    sqlx::query(insert).bind(id.0).bind(email).bind(name).execute(conn).await.unwrap();
    id
}

/// A test and its questions, in their order.
pub(crate) struct PracticeTest {
    pub(crate) id: TestId,
    pub(crate) questions: Vec<QuestionId>,
}

/// A test worth 9 points: a choice (1), choices (2), a number (2), and two texts (2 each).
pub(crate) async fn publish_test(conn: &mut PgConnection) -> PracticeTest {
    let id = TestId::new();
    let insert = "insert into practice_tests (id, slug, title, subject, description, passage, max_score, source_hash) \
                  values ($1, $2, 'The harbour', 'reading', '', 'The mill stood still.', 900, '')";
    sqlx::query(insert).bind(id.0).bind(id.to_string()).execute(&mut *conn).await.unwrap();
    let insert = "insert into test_versions \
                  (test_id, version, title, subject, description, passage, max_score, source_hash) \
                  select id, 1, title, subject, description, passage, max_score, source_hash from practice_tests \
                  where id = $1";
    sqlx::query(insert).bind(id.0).execute(&mut *conn).await.unwrap();
    let choices = json!([{"id": "a", "text": "Ann"}, {"id": "b", "text": "Bea & <Co>"}, {"id": "c", "text": "Cid"}]);
    let key_points = json!([
        {"id": "k1", "text": "The mill was a failure.", "terms": [["mill"], ["failed", "jammed"]]},
        {"id": "k2", "text": "The market grew.", "terms": [["market"], ["grew", "growth"]]},
    ]);
    let text_key = json!({ "model_answer": "The mill failed and the market grew.", "key_points": key_points });
    let rows = [
        ("single_choice", choices.clone(), json!({ "choice_ids": ["b"] }), 100),
        ("multiple_choice", choices, json!({ "choice_ids": ["a", "c"] }), 200),
        ("numeric", json!([]), json!({ "number": 4, "tolerance": 0 }), 200),
        ("free_text", json!([]), text_key.clone(), 200),
        ("free_text", json!([]), text_key, 200),
    ];
    let mut questions = Vec::new();
    for (index, (kind, choices, key, points)) in rows.into_iter().enumerate() {
        let (question, position) = (QuestionId::new(), i16::try_from(index).unwrap() + 1);
        let insert = "insert into questions (id, test_id, slug, position, kind, subject, topic, difficulty, prompt, choices, \
                      answer_key, explanation, points) \
                      values ($1, $2, $3, $4, $5::question_kind, 'reading', 'mills', 1, $6, $7, $8, 'So it is.', $9)";
        sqlx::query(insert)
            .bind(question.0)
            .bind(id.0)
            .bind(format!("q{position}"))
            .bind(position)
            .bind(kind)
            .bind(format!("Question {position}?"))
            .bind(choices)
            .bind(key)
            .bind(points)
            .execute(&mut *conn)
            .await
            .unwrap();
        questions.push(question);
    }
    PracticeTest { id, questions }
}

/// Stores an attempt at `test`; the responses go to its questions in their order.
pub(crate) async fn attempt(
    conn: &mut PgConnection,
    user: UserId,
    test: &PracticeTest,
    responses: impl IntoIterator<Item = Response>,
) -> AttemptId {
    let questions = test.questions.iter().copied();
    let answers: Vec<_> =
        questions.zip(responses).map(|(question_id, response)| Answer { question_id, response }).collect();
    let (id, job) = (AttemptId::new(), JobId::new());
    let new = NewAttempt {
        id,
        user,
        taken: Taken::Version(test.id, 1),
        job,
        answers: &answers,
        max_score: Points(900),
        sat: None,
    };
    attempts::insert(conn, &new).await.unwrap();
    id
}

/// Responses to all questions of the test; the written ones are `first` and `second`.
pub(crate) fn responses(first: &str, second: &str) -> [Response; 5] {
    let ids = |ids: &str| Response::ChoiceIds(ids.chars().map(String::from).collect());
    [ids("b"), ids("a"), Response::Number(5.0), Response::Text(first.to_owned()), Response::Text(second.to_owned())]
}

/// An attempt with that score, as if it had just been graded.
pub(crate) async fn graded_attempt(
    conn: &mut PgConnection,
    user: UserId,
    test: &PracticeTest,
    score: i32,
) -> AttemptId {
    let id = attempt(&mut *conn, user, test, []).await;
    let update = "update attempts set status = 'graded', score = $2, feedback = '[]', graded_at = now() where id = $1";
    sqlx::query(update).bind(id.0).bind(score).execute(conn).await.unwrap();
    id
}
