//! Schedules, as operators see and steer them; and the figures that anybody sees.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;

use crate::application::{Answer, Application};
use crate::exam::Exam;

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn schedules_are_listed_paused_and_resumed(database: PgPool) {
    let app = Application::start(database).await;
    let admin = app.admin().await;
    let job = "insert into schedule_ticks (schedule, tick, job_id)
               values ('prune_ledger', '2026-11-19T03:17:00Z', '0193a5c0-7b00-7000-8000-000000000001')";
    sqlx::query(job).execute(&app.database).await.unwrap();
    let schedules = admin.get("/api/admin/schedules").await.body;
    assert_eq!(schedules["items"].as_array().unwrap().len(), bellwork_jobs::schedules::ALL.len());
    let listed = schedules["items"].as_array().unwrap().iter().find(|listed| listed["name"] == "prune_ledger").unwrap();
    let expected = json!({
        "name": "prune_ledger", "cron": "0 17 3 * * *", "missed": "run_once", "paused": false, "paused_at": null,
        "next_tick": listed["next_tick"], "last_tick": "2026-11-19T03:17:00Z",
        "last_job_id": "0193a5c0-7b00-7000-8000-000000000001",
    });
    assert_eq!(listed, &expected);
    assert!(listed["next_tick"].as_str().unwrap().ends_with("T03:17:00Z"), "{listed}");
    let paused = admin.post("/api/admin/schedules/prune_ledger/pause", &json!({})).await.body;
    assert_eq!((&paused["paused"], &paused["next_tick"]), (&json!(true), &json!(null)));
    let again = admin.post("/api/admin/schedules/prune_ledger/pause", &json!({})).await.body;
    assert_eq!(again["paused_at"], paused["paused_at"]);
    let resumed = admin.post("/api/admin/schedules/prune_ledger/resume", &json!({})).await.body;
    assert_eq!((&resumed["paused"], &resumed["next_tick"]), (&json!(false), &listed["next_tick"]));
    admin.post("/api/admin/schedules/nothing/pause", &json!({})).await.problem(404);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_schedule_run_twenty_times_at_once_with_one_key_submits_one_job(database: PgPool) {
    let app = Application::start(database).await;
    let admin = app.admin().await;
    app.forget_jobs().await;
    let run = |name: &str| {
        let path = format!("/api/admin/schedules/{name}/run");
        Answer::of(admin.request(Method::POST, &path).header("idempotency-key", "tonight"))
    };
    let answers = join_all((0..20).map(|_| run("close_stale_sessions"))).await;
    assert!(answers.iter().all(|answer| [202, 409].contains(&answer.status.as_u16())), "{answers:?}");
    assert_eq!(app.count("jobs").await, 1);
    let repeated = run("close_stale_sessions").await;
    assert_eq!((repeated.status.as_u16(), repeated.header("idempotency-replayed")), (202, "true"));
    let job = admin.get(repeated.header("location")).await.body;
    assert_eq!((&job["id"], &job["kind"]), (&repeated.body["job_id"], &json!("close_stale_sessions")));
    assert_eq!((&job["state"], &job["submitter"]), (&json!("ready"), &json!(admin.id)));
    assert_eq!(run("prune_ledger").await.status, 202);
    assert_eq!(app.count("jobs").await, 2, "a key belongs to one schedule");
    admin.post("/api/admin/schedules/close_stale_sessions/pause", &json!({})).await;
    let unkeyed = admin.post("/api/admin/schedules/close_stale_sessions/run", &json!({})).await;
    assert_eq!(unkeyed.status, 202, "who asks for a run gets it, also in a rest");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn anybody_sees_the_figures_of_the_last_minute(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let student = app.student().await;
    student.post("/api/attempts", &exam.submission()).await;
    sqlx::query("update attempts set status = 'graded', score = 1, feedback = '[]', graded_at = now()")
        .execute(&app.database)
        .await
        .unwrap();
    let figures = app.anybody().get("/api/stats").await.body;
    let expected = json!({
        "students": 1, "attempts_graded": 1, "attempts_graded_today": figures["attempts_graded_today"], "tests": 1,
        "questions": 4, "votes": 0, "counted_at": figures["counted_at"],
    });
    assert_eq!(figures, expected);
    app.student().await;
    assert_eq!(app.anybody().get("/api/stats").await.body, figures, "nobody makes the server count anew");
    app.stop().await;
}
