//! Handing answers in.

use bellwork_queue::Place;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::application::{Answer, Application};
use crate::exam::Exam;

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn an_attempt_is_accepted_stored_and_pushed(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let student = app.student().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = student.request(Method::POST, "/api/attempts").json(&exam.submission());
    let answer = Answer::of(request.header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"))).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.body["status"], "queued");
    let (id, job) = (answer.body["id"].as_str().unwrap(), answer.body["job_id"].as_str().unwrap());
    assert_eq!(answer.header("location"), format!("/api/attempts/{id}"));

    let attempt = student.get(&format!("/api/attempts/{id}")).await.body;
    let nothing_yet = json!({
        "id": id, "test_id": exam.id, "status": "queued", "score": null, "max_score": 5, "percentile": null,
        "feedback": [], "submitted_at": attempt["submitted_at"], "graded_at": null,
    });
    assert_eq!(attempt, nothing_yet);
    assert_eq!(student.get("/api/attempts").await.body, json!({ "items": [attempt], "next_cursor": null }));

    let row: (String, String, String, Value) =
        sqlx::query_as("select kind, group_key, trace_parent, payload from jobs where id = $1::text::uuid")
            .bind(job)
            .fetch_one(&app.database)
            .await
            .unwrap();
    assert_eq!((row.0.as_str(), row.1), ("grade_attempt", student.id.to_string()));
    assert!(row.2.starts_with(&format!("00-{trace}-")) && !row.2.contains("00f067aa0ba902b7"), "{}", row.2);
    assert_eq!(row.3, json!({ "attempt_id": id }));
    assert_eq!(app.inspector.locate("ai", job.parse().unwrap()).await.unwrap(), Place::Ready);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn somebody_elses_attempt_is_none(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let (student, other, admin) = (app.student().await, app.student().await, app.admin().await);
    let answer = student.post("/api/attempts", &exam.submission()).await;
    let (id, job) = (answer.body["id"].as_str().unwrap(), answer.body["job_id"].as_str().unwrap());
    other.get(&format!("/api/attempts/{id}")).await.problem(404);
    other.get(&format!("/api/jobs/{job}")).await.problem(404);
    other.delete(&format!("/api/jobs/{job}")).await.problem(404);
    assert_eq!(other.get("/api/attempts").await.body["items"], json!([]));
    assert_eq!(admin.get(&format!("/api/jobs/{job}")).await.status, 200);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_graded_attempt_shows_its_result_and_its_place(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let student = app.student().await;
    let answer = student.post("/api/attempts", &exam.submission()).await;
    let id = answer.body["id"].as_str().unwrap();
    let feedback =
        json!([{ "question_id": exam.single, "correct": true, "points": 1, "comment": "", "graded_by": "exact" }]);
    let graded = sqlx::query(
        "update attempts set status = 'graded', score = 450, feedback = $2, graded_at = now() where id = $1::text::uuid",
    );
    graded.bind(id).bind(&feedback).execute(&app.database).await.unwrap();
    let histogram = "insert into leaderboard_histogram (test_id, period, starts_on, score, entries)
                     values ($1, 'all', '1970-01-01', 100, 3), ($1, 'all', '1970-01-01', 450, 1),
                            ($1, 'all', '1970-01-01', 500, 2), ($1, 'month', '2026-01-01', 0, 1000)";
    sqlx::query(histogram).bind(exam.id.0).execute(&app.database).await.unwrap();
    let bands = "insert into leaderboard_bands
                 select test_id, period, starts_on, score / 100, sum(entries) from leaderboard_histogram group by 1, 2, 3, 4";
    sqlx::query(bands).execute(&app.database).await.unwrap();
    let attempt = student.get(&format!("/api/attempts/{id}")).await.body;
    assert_eq!((&attempt["status"], &attempt["score"]), (&json!("graded"), &json!(4.5)));
    assert_eq!(attempt["feedback"], feedback);
    assert_eq!(attempt["percentile"], json!(58.3), "100 * (3 + 1/2) / 6");
    app.stop().await;
}
