//! The question bank: filters, search, cursors and pages.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::application::{Application, Caller};
use crate::content::{choice, number, publish, sums};

fn library() -> Value {
    let mut content = sums("library");
    content["questions"] = json!([
        choice("q1", "triangles", 1, "Which triangles have equal sides?"),
        choice("q2", "triangles", 2, "How does the triangle inequality limit a side?"),
        choice("q3", "circles", 2, "Which line touches a circle once?"),
        number("q4", "circles", 3, "How many degrees has a full circle?", 360.0),
        choice("q5", "angles", 3, "Which angle is a right angle in a triangle?"),
    ]);
    content
}

async fn slugs(caller: &Caller, query: &str) -> Vec<String> {
    let answer = caller.get(&format!("/api/question-bank?{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let items = answer.body["items"].as_array().unwrap().iter();
    items.map(|item| item["prompt"].as_str().unwrap().split(' ').take(3).collect::<Vec<_>>().join(" ")).collect()
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn filters_narrow_and_students_see_no_answers(database: PgPool) {
    let app = Application::start(database).await;
    let (admin, student) = (app.admin().await, app.student().await);
    publish(&admin, &library()).await;
    for (query, count) in [
        ("", 5),
        ("subject=mathematics", 5),
        ("subject=history", 0),
        ("topic=circles", 2),
        ("difficulty=2", 2),
        ("kind=numeric", 1),
        ("topic=circles&kind=single_choice&difficulty=2&subject=mathematics", 1),
        ("q=", 5),
    ] {
        assert_eq!(slugs(&student, query).await.len(), count, "{query}");
    }
    let seen = student.get("/api/question-bank").await.body.to_string();
    assert!(!seen.contains("answer_key") && !seen.contains("explanation") && !seen.contains("\"number\""), "{seen}");
    let known = admin.get("/api/question-bank?kind=numeric").await.body;
    assert_eq!(known["items"][0]["answer_key"], json!({ "number": 360.0, "tolerance": 0.0 }));
    assert_eq!(known["items"][0]["explanation"], "Count your toes.");
    app.anybody().get("/api/question-bank").await.problem(401);
    let topics = student.get("/api/question-bank/topics?limit=2").await.body;
    let expected = json!([
        { "subject": "mathematics", "topic": "angles", "questions": 1 },
        { "subject": "mathematics", "topic": "circles", "questions": 2 },
    ]);
    assert_eq!(topics["items"], expected);
    let rest = format!("/api/question-bank/topics?cursor={}", topics["next_cursor"].as_str().unwrap());
    assert_eq!(student.get(&rest).await.body["items"][0]["topic"], "triangles");
    assert_eq!(student.get("/api/question-bank/topics?subject=history").await.body["items"], json!([]));
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn words_are_stemmed_quoted_excluded_and_ranked(database: PgPool) {
    let app = Application::start(database).await;
    let (admin, student) = (app.admin().await, app.student().await);
    publish(&admin, &library()).await;
    let found = slugs(&student, "q=triangle").await;
    assert_eq!(found.len(), 3, "one triangle finds triangles: {found:?}");
    assert_eq!(found[2], "Which angle is", "a topic and a prompt weigh more than a prompt: {found:?}");
    assert_eq!(slugs(&student, "q=\"triangle+inequality\"").await, ["How does the"]);
    assert_eq!(slugs(&student, "q=\"inequality+triangle\"").await.len(), 0);
    assert_eq!(slugs(&student, "q=triangle+-inequality").await.len(), 2);
    assert_eq!(slugs(&student, "q=touching+or+degree").await.len(), 2);
    assert_eq!(slugs(&student, "q=three&topic=angles").await.len(), 1, "choices are searched too");
    assert_eq!(slugs(&student, "q=the").await.len(), 0);
    assert_eq!(slugs(&student, "q=%27%22%26%7C%21%3A*%28%29%5C").await.len(), 0, "no operators of the engine");
    assert_eq!(slugs(&student, "q=fingers").await.len(), 0, "explanations would tell the answers");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_list_goes_on_where_it_ended_for_the_same_filters_only(database: PgPool) {
    let app = Application::start(database).await;
    let (admin, student) = (app.admin().await, app.student().await);
    publish(&admin, &library()).await;
    for filter in ["", "q=triangle", "topic=triangles", "q=triangle+or+circle&subject=mathematics"] {
        let whole = slugs(&student, filter).await;
        let (mut walked, mut cursor) = (Vec::new(), String::new());
        loop {
            let query = format!("{filter}&limit=1{cursor}");
            walked.extend(slugs(&student, &query).await);
            match student.get(&format!("/api/question-bank?{query}")).await.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(walked, whole, "{filter}");
        assert!(!whole.is_empty());
    }
    let first = student.get("/api/question-bank?limit=1&topic=triangles").await.body;
    let cursor = first["next_cursor"].as_str().unwrap();
    for other in ["topic=circles", "", "topic=triangles&difficulty=2", "topic=triangles&q=side"] {
        let refused = student.get(&format!("/api/question-bank?limit=1&{other}&cursor={cursor}")).await;
        assert_eq!(refused.problem(404), ["/cursor"], "{other}");
    }
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn operators_jump_to_pages_and_know_the_total(database: PgPool) {
    let app = Application::start(database).await;
    let (admin, student) = (app.admin().await, app.student().await);
    publish(&admin, &library()).await;
    let whole = slugs(&admin, "").await;
    for (page, expected) in [(1, &whole[..2]), (2, &whole[2..4]), (3, &whole[4..]), (4, &[])] {
        assert_eq!(slugs(&admin, &format!("page={page}&per_page=2")).await, expected, "{page}");
    }
    for (query, total) in
        [("page=1", 5), ("page=9&topic=circles", 2), ("per_page=1&q=triangle", 3), ("page=1&topic=x", 0)]
    {
        assert_eq!(admin.get(&format!("/api/question-bank?{query}")).await.body["total"], total, "{query}");
    }
    let best = slugs(&admin, "q=triangle&page=3&per_page=1").await;
    assert_eq!(best, slugs(&admin, "q=triangle").await[2..]);
    student.get("/api/question-bank?page=1").await.problem(403);
    for (query, pointer) in [
        ("page=0", "/page"),
        ("page=10001", "/page"),
        ("per_page=101", "/per_page"),
        ("difficulty=0", "/difficulty"),
        ("kind=essay", "/kind"),
        ("q=%00", "/q"),
        ("subject=%00", "/subject"),
        ("author=me", "/author"),
    ] {
        assert_eq!(admin.get(&format!("/api/question-bank?{query}")).await.problem(422), [pointer], "{query}");
    }
    assert_eq!(slugs(&admin, "page=1&limit=2").await.len(), 2);
    assert_eq!(admin.get("/api/question-bank?page=1&cursor=x").await.problem(404), ["/cursor"]);
    assert_eq!(admin.get(&format!("/api/question-bank?q={}", "a".repeat(201))).await.problem(422), ["/q"]);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn timed_tests_are_not_in_the_bank(database: PgPool) {
    let app = Application::start(database).await;
    let (admin, student) = (app.admin().await, app.student().await);
    let mut content = library();
    content["time_limit"] = json!({ "minutes": 5 });
    publish(&admin, &content).await;
    assert_eq!(slugs(&student, "").await.len(), 0);
    assert_eq!(student.get("/api/question-bank/topics").await.body["items"], json!([]));
    app.stop().await;
}
