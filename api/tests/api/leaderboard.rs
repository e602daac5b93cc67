//! Leaderboards.

use bellwork_shared::ids::{AttemptId, UserId};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::application::Application;
use crate::exam::Exam;

async fn rank(app: &Application, exam: &Exam, user: UserId, score: i32) {
    let insert =
        "insert into attempts (id, user_id, test_id, job_id, status, answers, score, max_score, feedback, graded_at)
                  values ($1, $2, $3, $1, 'graded', '[]', $4, 500, '[]', now())";
    let id = AttemptId::new();
    sqlx::query(insert).bind(id.0).bind(user.0).bind(exam.id.0).bind(score).execute(&app.database).await.unwrap();
    let mut conn = app.database.begin().await.unwrap();
    bellwork_shared::leaderboard::record_score(&mut conn, id).await.unwrap();
    conn.commit().await.unwrap();
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn equal_scores_share_a_rank(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let students = [app.student().await, app.student().await, app.student().await, app.student().await];
    for (student, score) in students.iter().zip([500, 400, 400, 100]) {
        rank(&app, &exam, student.id, score).await;
    }
    for period in ["", "&period=all", "&period=month", "&period=week", "&period=day"] {
        let path = format!("/api/leaderboard?test_id={}{period}", exam.id);
        let board = students[2].get(&path).await.body;
        let places: Vec<_> = board["entries"].as_array().unwrap().iter().map(place).collect();
        assert_eq!(places, [(1, 5.0), (2, 4.0), (2, 4.0), (4, 1.0)], "{period}");
        assert_eq!(board["entries"][1]["user"], json!({ "id": students[1].id, "display_name": "Ada" }));
        assert_eq!(board["me"], json!({ "rank": 2, "percentile": 50.0, "score": 4 }));
        assert_eq!(board["total"], 4);
    }
    let first = students[0].get(&format!("/api/leaderboard?test_id={}&limit=1", exam.id)).await.body;
    assert_eq!((first["entries"].as_array().unwrap().len(), &first["total"]), (1, &json!(4)));
    app.stop().await;
}

fn place(entry: &Value) -> (i64, f64) {
    (entry["rank"].as_i64().unwrap(), entry["score"].as_f64().unwrap())
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_board_without_scores_is_empty_and_of_no_test_404(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let student = app.student().await;
    let empty = student.get(&format!("/api/leaderboard?test_id={}", exam.id)).await.body;
    assert_eq!(empty, json!({ "entries": [], "me": null, "total": 0 }));
    student.get(&format!("/api/leaderboard?test_id={}", Uuid::now_v7())).await.problem(404);
    app.stop().await;
}
