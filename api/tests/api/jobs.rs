//! Jobs, as their submitters see them.

use bellwork_queue::Place;
use bellwork_testkit::until;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::application::{Application, Caller};
use crate::exam::Exam;
use crate::holder::Holder;

async fn submitted(student: &Caller, exam: &Exam) -> (String, String) {
    let body = student.post("/api/attempts", &exam.submission()).await.body;
    let path = |prefix: &str, id: &Value| format!("{prefix}/{}", id.as_str().unwrap());
    (path("/api/attempts", &body["id"]), path("/api/jobs", &body["job_id"]))
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_job_tells_how_far_it_is(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let student = app.student().await;
    let (_, path) = submitted(&student, &exam).await;
    let job = student.get(&path).await.body;
    let expected = json!({
        "id": path.rsplit('/').next(), "kind": "grade_attempt", "queue": "ai", "priority": "normal", "state": "ready",
        "attempt": 0, "max_attempts": 5, "progress": null, "run_at": job["run_at"], "created_at": job["created_at"],
        "finished_at": null, "error": null, "result": null,
    });
    assert_eq!(job, expected);
    sqlx::query("update jobs set state = 'retrying', attempts = 2, last_error = 'it broke: on host 7 (pid 12)'")
        .execute(&app.database)
        .await
        .unwrap();
    let job = student.get(&path).await.body;
    assert_eq!((&job["state"], &job["attempt"]), (&json!("retrying"), &json!(2)));
    assert_eq!(job["error"], "it broke", "why may name hosts");
    assert_eq!(app.admin().await.get(&path).await.body["error"], "it broke: on host 7 (pid 12)");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn an_operators_token_for_less_sees_and_does_what_a_students_does(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let (student, admin) = (app.student().await, app.admin().await);
    let (attempt, job) = submitted(&student, &exam).await;
    let token = async |scopes: &[&str]| {
        let expires_at = chrono::Utc::now() + chrono::TimeDelta::days(1);
        let wanted = json!({ "name": "a program", "scopes": scopes, "expires_at": expires_at });
        admin.with(&admin.post("/api/me/tokens", &wanted).await.body["token"])
    };
    let (reader, operator) = (token(&["read", "jobs:write"]).await, token(&["read", "admin:read"]).await);
    reader.get(&job).await.problem(404);
    reader.delete(&job).await.problem(404);
    assert_eq!(student.get(&attempt).await.body["status"], "queued");
    assert_eq!(operator.get(&job).await.status, 200);
    assert_eq!(reader.get("/api/question-bank").await.body["items"][0].get("answer_key"), None);
    assert!(operator.get("/api/question-bank").await.body["items"][0].get("answer_key").is_some());
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_cancelled_job_does_not_run_and_its_attempt_has_failed(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let student = app.student().await;
    let (attempt, job) = submitted(&student, &exam).await;
    assert_eq!(student.delete(&job).await.status, 204);
    assert_eq!(student.get(&job).await.body["state"], "cancelled");
    assert_eq!(student.get(&attempt).await.body["status"], "failed");
    let id = job.rsplit('/').next().unwrap().parse().unwrap();
    assert_eq!(app.inspector.locate("ai", id).await.unwrap(), Place::Absent);
    student.delete(&job).await.problem(409);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn an_operator_opens_a_cancelled_job_again(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let (student, admin) = (app.student().await, app.admin().await);
    let (attempt, job) = submitted(&student, &exam).await;
    let id = job.rsplit('/').next().unwrap();
    let retry = format!("/api/admin/jobs/{id}/retry");
    admin.post(&retry, &json!({})).await.problem(409);
    student.delete(&job).await;
    let reopened = admin.post(&retry, &json!({})).await;
    assert_eq!((reopened.status.as_u16(), &reopened.body["state"]), (200, &json!("ready")));
    assert_eq!(student.get(&attempt).await.body["status"], "queued");
    assert_eq!(app.inspector.locate("ai", id.parse().unwrap()).await.unwrap(), Place::Ready);
    admin.post(&format!("/api/admin/jobs/{}/retry", uuid::Uuid::now_v7()), &json!({})).await.problem(404);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_running_job_says_so_and_cannot_be_cancelled(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let (student, admin) = (app.student().await, app.admin().await);
    let (attempt, job) = submitted(&student, &exam).await;
    let _holder = Holder::start(app.engine.clone(), "ai").await;
    until("it runs", async || student.get(&job).await.body["state"] == "running").await;
    assert_eq!(student.get(&job).await.body["attempt"], 1);
    student.delete(&job).await.problem(409);
    assert_eq!(student.get(&attempt).await.body["status"], "queued");
    let queues = admin.get("/api/admin/queues").await.body;
    let ai = queues["items"].as_array().unwrap().iter().find(|queue| queue["name"] == "ai").unwrap();
    assert_eq!((&ai["counts"]["running"], &ai["counts"]["ready"], &ai["workers"]), (&json!(1), &json!(0), &json!(1)));
    app.stop().await;
}
