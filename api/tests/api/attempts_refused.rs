//! Answers that cannot be taken: each is refused with a pointer, and nothing is stored and nothing enqueued.

use reqwest::{Body, Method};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::application::{Answer, Application, Caller};
use crate::exam::Exam;

async fn send(student: &Caller, body: impl Into<Body>) -> Answer {
    let request = student.request(Method::POST, "/api/attempts").header("content-type", "application/json");
    Answer::of(request.header("idempotency-key", "the-same").body(body)).await
}

async fn nothing_happened(app: &Application) {
    let outbox = "job_outbox join jobs on id = job_id and kind = 'grade_attempt'";
    for table in ["attempts", "jobs where kind = 'grade_attempt'", outbox, "idempotency_keys"] {
        assert_eq!(app.count(table).await, 0, "{table}");
    }
    assert_eq!(app.inspector.counts("ai").await.unwrap().ready_total(), 0);
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn wrong_input_is_refused_with_a_pointer(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let other = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let student = app.student().await;
    let (test, one) = (exam.id, json!({ "question_id": exam.single, "choice_ids": ["b"] }));
    let answers = |answers: Value| json!({ "test_id": test, "answers": answers });
    let long = "x".repeat(10_001);
    let cases = [
        (json!({}), "/test_id"),
        (json!({ "test_id": test }), "/answers"),
        (json!({ "test_id": test, "answers": [one], "score": 5 }), "/score"),
        (json!({ "test_id": "x", "answers": [one] }), "/test_id"),
        (json!({ "test_id": 7, "answers": [one] }), "/test_id"),
        (json!([]), ""),
        (json!([test, [one]]), ""),
        (answers(json!([])), "/answers"),
        (answers(json!({})), "/answers"),
        (answers(json!([[exam.single, ["b"]]])), "/answers/0"),
        (answers(json!([{ "choice_ids": ["b"] }])), "/answers/0/question_id"),
        (answers(json!([{ "question_id": exam.single }])), "/answers/0"),
        (answers(json!([{ "question_id": exam.single, "choice_ids": "b" }])), "/answers/0/choice_ids"),
        (answers(json!([{ "question_id": exam.single, "choice_ids": ["b"], "number": 1 }])), "/answers/0"),
        (answers(json!([{ "question_id": exam.single, "choice_ids": ["z"] }])), "/answers/0/choice_ids/0"),
        (answers(json!([{ "question_id": exam.single, "choice_ids": ["\u{0}"] }])), "/answers/0/choice_ids/0"),
        (answers(json!([{ "question_id": exam.single, "choice_ids": ["a", "b"] }])), "/answers/0/choice_ids"),
        (answers(json!([{ "question_id": exam.multiple, "choice_ids": ["a", "a"] }])), "/answers/0/choice_ids/1"),
        (answers(json!([{ "question_id": exam.numeric, "text": "42" }])), "/answers/0"),
        (answers(json!([{ "question_id": exam.numeric, "number": "42" }])), "/answers/0/number"),
        (answers(json!([{ "question_id": exam.text, "number": 42 }])), "/answers/0"),
        (answers(json!([one, { "question_id": exam.text, "text": "a\u{0}b" }])), "/answers/1/text"),
        (answers(json!([{ "question_id": exam.text, "text": long }])), "/answers/0/text"),
        (answers(json!([one, one])), "/answers/1/question_id"),
        (answers(json!([{ "question_id": exam.numeric, "number": 1e101 }])), "/answers/0/number"),
        (answers(json!([{ "question_id": exam.single, "choice_ids": ["b"], "points": 9 }])), "/answers/0/points"),
    ];
    for (body, pointer) in cases {
        let answer = send(&student, body.to_string()).await;
        assert_eq!(answer.problem(422), [pointer], "{body}");
    }
    let nowhere = json!({ "test_id": Uuid::now_v7(), "answers": [one] });
    assert_eq!(send(&student, nowhere.to_string()).await.problem(404), ["/test_id"]);
    for question in [other.single.0, Uuid::now_v7()] {
        let stray = answers(json!([{ "question_id": question, "choice_ids": ["b"] }]));
        assert_eq!(send(&student, stray.to_string()).await.problem(404), ["/answers/0/question_id"]);
    }
    nothing_happened(&app).await;
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn what_is_not_json_is_refused(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let student = app.student().await;
    let with_number = |number| {
        format!(
            r#"{{"test_id": "{}", "answers": [{{"question_id": "{}", "number": {number}}}]}}"#,
            exam.id, exam.numeric
        )
    };
    for number in ["NaN", "Infinity", "-"] {
        assert_eq!(send(&student, with_number(number)).await.problem(400), ["/answers/0/number"], "{number}");
    }
    assert_eq!(send(&student, with_number("1e999")).await.problem(422), ["/answers/0/number"], "JSON, but no f64");
    send(&student, with_number("0x10")).await.problem(400);
    for text in ["", "{", "{}{}", "NaN", "{\"test_id\": \"\u{0}\"}"] {
        send(&student, text).await.problem(400);
    }
    send(&student, vec![b'{', 0xff, b'}']).await.problem(400);
    send(&student, "[".repeat(100_000)).await.problem(400);
    nothing_happened(&app).await;
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_body_too_large_or_of_another_type_is_refused(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let student = app.student().await;
    let large = json!({ "test_id": exam.id, "answers": [{ "question_id": exam.text, "text": "x".repeat(1 << 20) }] });
    send(&student, large.to_string()).await.problem(413);
    let form = student.request(Method::POST, "/api/attempts").body(exam.submission().to_string());
    Answer::of(form.header("content-type", "text/plain")).await.problem(415);
    nothing_happened(&app).await;
    assert_eq!(student.post("/api/attempts", &exam.submission()).await.status, 202, "the next one is taken");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn who_is_not_signed_in_stores_nothing(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    app.anybody().post("/api/attempts", &exam.submission()).await.problem(401);
    nothing_happened(&app).await;
    app.stop().await;
}
