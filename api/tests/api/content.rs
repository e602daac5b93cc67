//! Test files, and what authors do with them over HTTP.

use bellwork_jobs::kinds::grade_attempt::GradeAttempt;
use bellwork_tests::rehearsal::Rehearsal;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::application::{Answer, Caller};

/// A test file with a choice about adding and a number about taking away.
pub(crate) fn sums(slug: &str) -> Value {
    json!({
        "slug": slug, "title": "Sums", "subject": "mathematics", "description": "Two questions.",
        "questions": [
            choice("one", "adding", 1, "How much is one plus one?"),
            number("two", "subtracting", 2, "How much is five minus three?", 2.0),
        ],
    })
}

/// A single choice whose right answer is `a`.
pub(crate) fn choice(slug: &str, topic: &str, difficulty: i16, prompt: &str) -> Value {
    json!({
        "slug": slug, "kind": "single_choice", "topic": topic, "difficulty": difficulty, "prompt": prompt, "points": 1,
        "choices": [{ "id": "a", "text": "Two" }, { "id": "b", "text": "Three" }],
        "answer": { "choice_ids": ["a"] }, "explanation": "Count your fingers.",
    })
}

/// A number.
pub(crate) fn number(slug: &str, topic: &str, difficulty: i16, prompt: &str, right: f64) -> Value {
    json!({
        "slug": slug, "kind": "numeric", "topic": topic, "difficulty": difficulty, "prompt": prompt, "points": 2,
        "answer": { "number": right, "tolerance": 0.0 }, "explanation": "Count your toes.",
    })
}

/// Makes and publishes a test.
pub(crate) async fn publish(admin: &Caller, content: &Value) -> String {
    let made = admin.post("/api/admin/tests", content).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.body["id"].as_str().unwrap().to_owned();
    publish_draft(admin, &id).await;
    id
}

/// Publishes `content` as the next version of a test.
pub(crate) async fn republish(admin: &Caller, id: &str, content: &Value) {
    let saved = save(admin, id, "*", content).await;
    assert_eq!(saved.status, 200, "{saved:?}");
    publish_draft(admin, id).await;
}

pub(crate) async fn publish_draft(admin: &Caller, id: &str) {
    let published = Answer::of(admin.request(Method::POST, &format!("/api/admin/tests/{id}/publish"))).await;
    assert_eq!((published.status.as_u16(), &published.body["state"]), (200, &json!("published")), "{published:?}");
}

pub(crate) async fn save(admin: &Caller, id: &str, seen: &str, content: &Value) -> Answer {
    let request = admin.request(Method::PUT, &format!("/api/admin/tests/{id}"));
    Answer::of(request.header("if-match", seen).json(content)).await
}

/// POST without a body.
pub(crate) async fn post_nothing(caller: &Caller, path: &str) -> Answer {
    Answer::of(caller.request(Method::POST, path)).await
}

/// Right answers to what was asked of [`sums`].
pub(crate) fn right_answers(asked: &Value) -> Value {
    let questions = asked["questions"].as_array().unwrap().iter();
    let answer = |question: &Value| match question["kind"].as_str() {
        Some("numeric") => json!({ "question_id": question["id"], "number": 2 }),
        _ => json!({ "question_id": question["id"], "choice_ids": ["a"] }),
    };
    questions.map(answer).collect()
}

/// Grades an attempt as a worker does.
pub(crate) async fn grade(database: &PgPool, attempt: &Value) {
    let attempt_id = attempt.as_str().unwrap().parse().unwrap();
    let row = Rehearsal::new(database).await.run(&GradeAttempt { attempt_id }).await;
    assert_eq!(row.state.name(), "done", "{row:?}");
}
