//! Leaderboards.

use bellwork_shared::ids::{AttemptId, UserId};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::application::{Answer, Application, Caller};
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

async fn set_visible(student: &Caller, visible: bool) {
    let body = json!({ "visible": visible });
    let answer = Answer::of(student.request(Method::PUT, "/api/leaderboard/visibility").json(&body)).await;
    assert_eq!((answer.status.as_u16(), answer.body), (200, body));
}

/// The ranks of a list, and which of `students` hold them; none where there is no name.
fn holders(list: &Value, students: &[Caller]) -> Vec<(i64, Option<usize>)> {
    let index = |id: &str| students.iter().position(|student| student.id.to_string() == id).unwrap();
    let holder = |entry: &Value| (entry["rank"].as_i64().unwrap(), entry["user"]["id"].as_str().map(index));
    list["entries"].as_array().unwrap().iter().map(holder).collect()
}

async fn seven_students(app: &Application, exam: &Exam) -> Vec<Caller> {
    let mut students = Vec::new();
    for score in [500, 400, 400, 400, 399, 300, 200] {
        let student = app.student().await;
        rank(app, exam, student.id, score).await;
        students.push(student);
    }
    students
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn neighbours_are_the_places_around_the_callers_with_exact_ranks(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let students = seven_students(&app, &exam).await;
    let ranked = [(1, Some(0)), (2, Some(1)), (2, Some(2)), (2, Some(3)), (5, Some(4)), (6, Some(5)), (7, Some(6))];
    for period in ["", "&period=month", "&period=week", "&period=day"] {
        let path = format!("/api/leaderboard/neighbours?test_id={}{period}", exam.id);
        for (index, student) in students.iter().enumerate() {
            let shown = holders(&student.get(&path).await.body, &students).len();
            assert_eq!(shown, (index + 6).min(7) - index.saturating_sub(5), "5 unless told");
            for around in [1, 2, 25] {
                let list = student.get(&format!("{path}&around={around}")).await.body;
                let expected = &ranked[index.saturating_sub(around)..(index + around + 1).min(7)];
                assert_eq!(holders(&list, &students), expected, "{around} around {index}{period}");
            }
        }
    }
    let path = format!("/api/leaderboard/neighbours?test_id={}", exam.id);
    assert_eq!(app.student().await.get(&path).await.body, json!({ "entries": [] }), "no score, no neighbours");
    for around in ["0", "26", "-1", "x"] {
        let pointers = students[0].get(&format!("{path}&around={around}")).await.problem(422);
        assert_eq!(pointers, ["/around"], "{around}");
    }
    students[0].get(&format!("/api/leaderboard/neighbours?test_id={}", Uuid::now_v7())).await.problem(404);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn who_opted_out_keeps_their_place_and_loses_their_name_at_once(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let students = seven_students(&app, &exam).await;
    let top = format!("/api/leaderboard?test_id={}&limit=3", exam.id);
    let neighbours = format!("/api/leaderboard/neighbours?test_id={}&around=1", exam.id);
    let visibility = "/api/leaderboard/visibility";
    assert_eq!(students[1].get(visibility).await.body, json!({ "visible": true }));
    let before = students[1].get(&top).await.body;
    for (visible, name) in [(false, None), (true, Some(1))] {
        set_visible(&students[1], visible).await;
        assert_eq!(students[1].get(visibility).await.body, json!({ "visible": visible }));
        let theirs = students[2].get(&top).await.body;
        assert_eq!(holders(&theirs, &students), [(1, Some(0)), (2, name), (2, Some(2))]);
        assert_eq!(theirs["total"], 7);
        let beside = students[2].get(&neighbours).await.body;
        assert_eq!(holders(&beside, &students), [(2, name), (2, Some(2)), (2, Some(3))]);
        assert_eq!(students[1].get(&top).await.body["me"], before["me"], "their own rank they see");
        let own = students[1].get(&neighbours).await.body;
        assert_eq!(holders(&own, &students), [(1, Some(0)), (2, Some(1)), (2, Some(2))], "and their own name");
    }
    assert_eq!(students[1].get(&top).await.body, before);
    for (body, pointer) in [(json!({}), "/visible"), (json!({ "visible": 1 }), "/visible"), (json!([]), "")] {
        let request = students[1].request(Method::PUT, visibility).json(&body);
        assert_eq!(Answer::of(request).await.problem(422), [pointer], "{body}");
    }
    app.stop().await;
}
