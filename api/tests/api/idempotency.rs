//! Idempotency keys: one effect however often a request is sent.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::Value;
use sqlx::PgPool;

use crate::application::{Answer, Application, Caller};
use crate::exam::Exam;

async fn submit(student: &Caller, key: &str, body: &Value) -> Answer {
    Answer::of(student.request(Method::POST, "/api/attempts").header("idempotency-key", key).json(body)).await
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn the_same_key_and_body_get_the_same_answer(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let student = app.student().await;
    let first = submit(&student, "\"key-1\"", &exam.submission()).await;
    let again = submit(&student, "key-1", &exam.submission()).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (202, 202));
    assert_eq!(first.body, again.body);
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));
    assert_eq!((app.count("attempts").await, app.count("jobs where kind = 'grade_attempt'").await), (1, 1));
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn the_same_key_with_another_body_is_refused(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let student = app.student().await;
    submit(&student, "key-1", &exam.submission()).await;
    let mut other = exam.submission();
    other["answers"].as_array_mut().unwrap().pop();
    let answer = submit(&student, "key-1", &other).await;
    answer.problem(422);
    assert_eq!(answer.body["type"], "urn:bellwork:problem:idempotency-key-reused");
    assert_eq!(app.count("attempts").await, 1);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn keys_belong_to_their_user_and_last_a_day(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let (student, other) = (app.student().await, app.student().await);
    let first = submit(&student, "key-1", &exam.submission()).await;
    assert_ne!(submit(&other, "key-1", &exam.submission()).await.body, first.body);
    sqlx::query("update idempotency_keys set created_at = now() - interval '25 hours'")
        .execute(&app.database)
        .await
        .unwrap();
    let later = submit(&student, "key-1", &exam.submission()).await;
    assert_ne!(later.body, first.body);
    assert_eq!(submit(&student, "key-1", &exam.submission()).await.body, later.body);
    assert_eq!((app.count("attempts").await, app.count("idempotency_keys").await), (3, 2));
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_key_that_cannot_be_used_is_refused(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let student = app.student().await;
    for key in ["\"\"", "two words", &"x".repeat(256)] {
        submit(&student, key, &exam.submission()).await.problem(422);
    }
    assert_eq!(app.count("attempts").await, 0);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn fifty_requests_at_once_make_one_attempt(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let student = app.student().await;
    let body = exam.submission();
    let answers = join_all((0..50).map(|_| submit(&student, "key-1", &body))).await;
    let (accepted, others): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 202);
    assert!(!accepted.is_empty());
    assert!(accepted.iter().all(|answer| answer.body == accepted[0].body));
    assert_eq!(accepted.iter().filter(|answer| answer.header("idempotency-replayed").is_empty()).count(), 1);
    for answer in others {
        answer.problem(409);
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert_eq!((app.count("attempts").await, app.count("jobs where kind = 'grade_attempt'").await), (1, 1));
    app.stop().await;
}

/// A key that has been answered is never "in use", however soon it comes again.
#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_settled_key_gets_its_answer_at_once(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let student = app.student().await;
    let mut other = exam.submission();
    other["answers"].as_array_mut().unwrap().pop();
    submit(&student, "key-1", &exam.submission()).await;
    for _ in 0..100 {
        assert_eq!(submit(&student, "key-1", &exam.submission()).await.status, 202);
        assert_eq!(submit(&student, "key-1", &other).await.status, 422);
    }
    app.stop().await;
}
