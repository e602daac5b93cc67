//! Practice by topic, and what a student knows of each.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::application::{Application, Caller};
use crate::content::{choice, grade, publish, republish, right_answers, sums};

fn ten_questions() -> Value {
    let question =
        |n: i32| choice(&format!("q{n:02}"), if n <= 6 { "adding" } else { "counting" }, 1, &format!("Number {n}?"));
    let mut content = sums("ten");
    content["questions"] = (1..=10).map(question).collect();
    content
}

async fn practise(student: &Caller, wish: Value) -> Value {
    let made = student.post("/api/practice", &wish).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.body
}

fn prompts(set: &Value) -> Vec<&str> {
    set["questions"].as_array().unwrap().iter().map(|question| question["prompt"].as_str().unwrap()).collect()
}

/// Hands in a set with this choice everywhere, and has it graded.
async fn answer(app: &Application, student: &Caller, set: &Value, choice: &str) -> Value {
    let questions = set["questions"].as_array().unwrap().iter();
    let answers: Value =
        questions.map(|question| json!({ "question_id": question["id"], "choice_ids": [choice] })).collect();
    let accepted = student.post("/api/attempts", &json!({ "test_id": set["test_id"], "answers": answers })).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    grade(&app.database, &accepted.body["id"]).await;
    student.get(&format!("/api/attempts/{}", accepted.body["id"].as_str().unwrap())).await.body
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_set_holds_what_was_not_met_and_then_what_is_known_least(database: PgPool) {
    let app = Application::start(database).await;
    let (admin, student) = (app.admin().await, app.student().await);
    let test = publish(&admin, &ten_questions()).await;
    let wish = json!({ "topic": "adding", "count": 4 });
    let first = practise(&student, wish.clone()).await;
    assert_eq!(prompts(&first), ["Number 1?", "Number 2?", "Number 3?", "Number 4?"]);
    assert_eq!((&first["title"], &first["test_id"]), (&json!("Practice: adding"), &first["id"]));
    assert_eq!(prompts(&practise(&student, wish.clone()).await), prompts(&first), "nothing was answered meanwhile");

    let graded = answer(&app, &student, &first, "a").await;
    assert_eq!((&graded["status"], &graded["score"], &graded["max_score"]), (&json!("graded"), &json!(4), &json!(4)));
    let second = practise(&student, json!({ "topic": "adding", "count": 2 })).await;
    assert_eq!(prompts(&second), ["Number 5?", "Number 6?"]);
    answer(&app, &student, &second, "b").await;
    let third = practise(&student, wish).await;
    assert_eq!(prompts(&third)[..2], ["Number 5?", "Number 6?"], "the wrong ones come first now");

    let mut corrected = ten_questions();
    corrected["questions"][4]["prompt"] = json!("Number five?");
    republish(&admin, &test, &corrected).await;
    let fourth = practise(&student, json!({ "topic": "adding", "count": 2 })).await;
    assert_eq!(prompts(&fourth), ["Number five?", "Number 6?"], "what is known of a question outlives its correction");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn practice_is_reviewed_but_neither_ranked_nor_mailed_nor_somebody_elses(database: PgPool) {
    let app = Application::start(database).await;
    let (admin, student, other) = (app.admin().await, app.student().await, app.student().await);
    publish(&admin, &ten_questions()).await;
    let set = practise(&student, json!({ "count": 3 })).await;
    let answers = right_answers(&set);
    let submission = json!({ "test_id": set["id"], "answers": answers });
    assert_eq!(other.post("/api/attempts", &submission).await.problem(404), ["/test_id"]);
    let graded = answer(&app, &student, &set, "a").await;
    assert_eq!(graded["percentile"], json!(null));
    let review = student.get(&format!("/api/attempts/{}/review", graded["id"].as_str().unwrap())).await.body;
    assert_eq!((&review["version"], prompts(&review)), (&json!(null), prompts(&set)));
    assert_eq!(app.count("jobs where kind in ('update_leaderboard', 'send_email')").await, 0);
    assert_eq!(app.count("jobs where kind = 'notify_user'").await, 1);
    let refused = student.post("/api/attempts", &submission).await;
    refused.problem(409);
    assert_eq!(refused.body["type"], "urn:bellwork:problem:sitting-over");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn what_cannot_be_practised_is_refused(database: PgPool) {
    let app = Application::start(database).await;
    let (admin, student) = (app.admin().await, app.student().await);
    let mut about_a_text = ten_questions();
    about_a_text["passage"] = json!("Once upon a time.");
    publish(&admin, &about_a_text).await;
    for (wish, status, pointers) in [
        (json!({ "count": 5 }), 404, vec![""]),
        (json!({ "count": 0 }), 422, vec!["/count"]),
        (json!({ "count": 51 }), 422, vec!["/count"]),
        (json!({ "count": 5, "difficulty": 4 }), 422, vec!["/difficulty"]),
        (json!({ "count": 5, "topic": "a\u{0}" }), 422, vec!["/topic"]),
        (json!({ "count": 5, "subject": "a".repeat(65) }), 422, vec!["/subject"]),
        (json!({ "count": 5, "q": "a" }), 422, vec!["/q"]),
    ] {
        assert_eq!(student.post("/api/practice", &wish).await.problem(status), pointers, "{wish}");
    }
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn what_a_student_knows_moves_on_with_each_result(database: PgPool) {
    let app = Application::start(database).await;
    let (admin, student) = (app.admin().await, app.student().await);
    publish(&admin, &ten_questions()).await;
    assert_eq!(student.get("/api/me/topics").await.body["items"], json!([]));
    let set = practise(&student, json!({ "count": 10 })).await;
    answer(&app, &student, &set, "a").await;
    let adding = practise(&student, json!({ "topic": "adding", "count": 6 })).await;
    answer(&app, &student, &adding, "b").await;
    let first = student.get("/api/me/topics?limit=1").await.body;
    let topic = &first["items"][0];
    assert_eq!((&topic["subject"], &topic["topic"]), (&json!("mathematics"), &json!("adding")));
    assert_eq!((&topic["answered"], &topic["correct"], &topic["share"]), (&json!(12), &json!(6), &json!(0.5)));
    let rest = student.get(&format!("/api/me/topics?cursor={}", first["next_cursor"].as_str().unwrap())).await.body;
    assert_eq!((&rest["items"][0]["topic"], &rest["items"][0]["correct"]), (&json!("counting"), &json!(4)));
    let mut conn = app.database.acquire().await.unwrap();
    let weakest = bellwork_shared::topics::weakest(&mut conn, student.id, None, 1).await.unwrap();
    assert_eq!(weakest[0].topic, "adding");
    drop(conn);
    app.stop().await;
}
