//! What operators may do, and nobody else.

use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::application::Application;
use crate::exam::Exam;

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn operators_routes_are_closed_to_students(database: PgPool) {
    let app = Application::start(database).await;
    let student = app.student().await;
    student.get("/api/admin/queues").await.problem(403);
    student.post("/api/admin/queues/ai/pause", &json!({})).await.problem(403);
    student.post("/api/admin/queues/ai/resume", &json!({})).await.problem(403);
    student.get(&format!("/api/admin/jobs/{}", Uuid::now_v7())).await.problem(403);
    student.post(&format!("/api/admin/jobs/{}/retry", Uuid::now_v7()), &json!({})).await.problem(403);
    assert!(!app.inspector.counts("ai").await.unwrap().paused);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_queue_is_seen_paused_and_resumed(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let (student, admin) = (app.student().await, app.admin().await);
    student.post("/api/attempts", &exam.submission()).await;
    let paused = admin.post("/api/admin/queues/ai/pause", &json!({})).await;
    assert_eq!(paused.status, 200);
    let expected = json!({
        "name": "ai", "paused": true, "concurrency": 8, "counts": { "ready": 1, "scheduled": 0, "running": 0, "dead": 0 },
        "by_priority": { "critical": 0, "high": 0, "normal": 1, "low": 0 },
        "oldest_ready_seconds": paused.body["oldest_ready_seconds"], "workers": 0,
    });
    assert_eq!(paused.body, expected);
    assert!(paused.body["oldest_ready_seconds"].as_f64().unwrap() < 60.0);
    let queues = admin.get("/api/admin/queues").await.body;
    assert_eq!(queues["items"].as_array().unwrap().len(), bellwork_jobs::queues::ALL.len());
    assert_eq!(admin.post("/api/admin/queues/ai/resume", &json!({})).await.body["paused"], false);
    admin.post("/api/admin/queues/nothing/pause", &json!({})).await.problem(404);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_dead_job_is_counted_and_runs_again_on_request(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let (student, admin) = (app.student().await, app.admin().await);
    let job = student.post("/api/attempts", &exam.submission()).await.body["job_id"].as_str().unwrap().to_owned();
    sqlx::query("update jobs set state = 'dead', finished_at = now(), last_error = 'it broke', attempts = 5")
        .execute(&app.database)
        .await
        .unwrap();
    let queues = admin.get("/api/admin/queues").await.body;
    let ai = queues["items"].as_array().unwrap().iter().find(|queue| queue["name"] == "ai").unwrap();
    assert_eq!(ai["counts"]["dead"], 1);
    sqlx::query(
        "insert into job_failures (job_id, attempt, error, worker) values ($1::text::uuid, 1, 'it broke', 'w')",
    )
    .bind(&job)
    .execute(&app.database)
    .await
    .unwrap();
    let inspected = admin.get(&format!("/api/admin/jobs/{job}")).await.body;
    assert_eq!((&inspected["error"], &inspected["failures"][0]["error"]), (&json!("it broke"), &json!("it broke")));
    assert_eq!(inspected["submitter"], json!(student.id));
    let reopened = admin.post(&format!("/api/admin/jobs/{job}/retry"), &json!({})).await.body;
    assert_eq!((&reopened["state"], &reopened["attempt"]), (&json!("ready"), &json!(0)));
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_waiting_job_is_cancelled_on_request_and_can_be_retried(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let (student, admin) = (app.student().await, app.admin().await);
    let submitted = student.post("/api/attempts", &exam.submission()).await.body;
    let (attempt, job) = (submitted["id"].as_str().unwrap(), submitted["job_id"].as_str().unwrap());
    student.post(&format!("/api/admin/jobs/{job}/cancel"), &json!({})).await.problem(403);
    let cancelled = admin.post(&format!("/api/admin/jobs/{job}/cancel"), &json!({})).await;
    assert_eq!((cancelled.status.as_u16(), &cancelled.body["state"]), (200, &json!("cancelled")));
    assert_eq!(student.get(&format!("/api/attempts/{attempt}")).await.body["status"], "failed");
    admin.post(&format!("/api/admin/jobs/{job}/cancel"), &json!({})).await.problem(409);
    let retried = admin.post(&format!("/api/admin/jobs/{job}/retry"), &json!({})).await;
    assert_eq!((retried.status.as_u16(), &retried.body["state"]), (200, &json!("ready")));
    assert_eq!(student.get(&format!("/api/attempts/{attempt}")).await.body["status"], "queued");
    app.stop().await;
}
