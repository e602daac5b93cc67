//! What holds for every route.

use bellwork_api::routes::Role;
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::application::{Answer, Application};
use crate::exam::Exam;

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn an_unknown_path_is_404_and_a_wrong_method_405_with_allow(database: PgPool) {
    let app = Application::start(database).await;
    let caller = app.anybody();
    assert_eq!(caller.get("/nothing").await.body["instance"], "/nothing");
    caller.get("/api/tests/").await.problem(404);
    let answer = Answer::of(caller.request(Method::PUT, "/api/attempts")).await;
    answer.problem(405);
    assert_eq!(answer.header("allow"), "GET, HEAD, POST");
    caller.post("/api/me", &json!({})).await.problem(405);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn an_id_that_is_none_is_404(database: PgPool) {
    let app = Application::start(database).await;
    let student = app.student().await;
    for path in ["/api/tests/x", "/api/attempts/%00", "/api/jobs/1", "/api/attempts/123e4567"] {
        student.get(path).await.problem(404);
    }
    student.get(&format!("/api/tests/{}", Uuid::now_v7())).await.problem(404);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn every_answer_has_a_request_id_and_keeps_a_sane_one(database: PgPool) {
    let app = Application::start(database).await;
    let asked = |id: &'static str| Answer::of(app.anybody().request(Method::GET, "/api/me").header("x-request-id", id));
    assert_eq!(asked("abc-123").await.header("x-request-id"), "abc-123");
    let made = asked("not sane \"").await;
    assert_eq!(Uuid::parse_str(made.header("x-request-id")).unwrap().get_version_num(), 7);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn tests_are_shown_without_their_answers(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let list = app.anybody().get("/api/tests").await.body;
    assert_eq!(list["next_cursor"], json!(null));
    assert_eq!(list["items"][0]["question_count"], 4);
    assert_eq!(list["items"][0]["max_score"], 5);
    let sheet = app.anybody().get(&format!("/api/tests/{}", exam.id)).await.body;
    assert_eq!(sheet["passage"], "A text.");
    let choices = json!([{ "id": "a", "text": "A" }, { "id": "b", "text": "B" }, { "id": "c", "text": "C" }]);
    let single =
        json!({ "id": exam.single, "kind": "single_choice", "prompt": "Why?", "choices": choices, "points": 1 });
    assert_eq!(sheet["questions"][0], single);
    let text = sheet.to_string();
    for secret in ["answer_key", "secret reason", "Because", "tolerance", "explanation"] {
        assert!(!text.contains(secret), "{secret}");
    }
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_list_goes_on_where_its_cursor_says(database: PgPool) {
    for _ in 0..5 {
        Exam::seed(&database).await;
    }
    let app = Application::start(database).await;
    let (mut seen, mut path) = (Vec::new(), "/api/tests?limit=2".to_owned());
    loop {
        let page = app.anybody().get(&path).await.body;
        seen.extend(page["items"].as_array().unwrap().iter().map(|test| test["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/tests?limit=2&cursor={cursor}");
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted(), "{seen:?}");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_query_that_cannot_be_used_is_refused_with_its_name(database: PgPool) {
    let exam = Exam::seed(&database).await;
    Exam::seed(&database).await;
    let app = Application::start(database).await;
    let student = app.student().await;
    let cursor = student.get("/api/tests?limit=1").await.body["next_cursor"].as_str().unwrap().to_owned();
    let tampered =
        format!("/api/tests?cursor={}", cursor.replace(&cursor[..1], if cursor.starts_with('A') { "B" } else { "A" }));
    let elsewhere = format!("/api/attempts?cursor={cursor}");
    let no_period = format!("/api/leaderboard?test_id={}&period=year", exam.id);
    for (path, pointer) in [
        ("/api/tests?limit=0", "/limit"),
        ("/api/tests?limit=101", "/limit"),
        ("/api/tests?limit=-1", "/limit"),
        ("/api/tests?limit=99999999999999999999", "/limit"),
        ("/api/tests?page=1", "/page"),
        ("/api/leaderboard", "/test_id"),
        ("/api/leaderboard?test_id=x", "/test_id"),
        (no_period.as_str(), "/period"),
    ] {
        assert_eq!(student.get(path).await.problem(422), [pointer], "{path}");
    }
    for path in ["/api/tests?cursor=%00", &tampered, &elsewhere] {
        assert_eq!(student.get(path).await.problem(404), ["/cursor"], "{path}");
    }
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn head_is_get_without_its_body(database: PgPool) {
    let app = Application::start(database).await;
    let answer = Answer::of(app.anybody().request(Method::HEAD, "/api/tests")).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn metrics_are_for_the_machine_itself_and_for_the_token(database: PgPool) {
    let app = Application::start_with(database, &[("METRICS_TOKEN", "open sesame")]);
    app.anybody().get("/api/me").await.problem(401);
    let seconds =
        app.metric("bellwork_http_request_seconds_count", "route=\"/api/me\",method=\"GET\",status=\"401\"").await;
    assert!(seconds >= 1.0);
    assert!(app.metric("bellwork_db_pool_connections", "pool=\"primary\"").await >= 1.0);
    let proxied = |token: &str| {
        let request = app.anybody().request(Method::GET, "/api/metrics").header("x-forwarded-for", "203.0.113.1");
        request.bearer_auth(token.to_owned()).send()
    };
    assert_eq!(proxied("guess").await.unwrap().status(), 403);
    assert_eq!(proxied("open sesame").await.unwrap().status(), 200);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_process_serves_what_its_role_says(database: PgPool) {
    for (role, list, stream) in [(Role::Web, 401, 404), (Role::Stream, 404, 401), (Role::All, 401, 401)] {
        let app = Application::start_as(role, database.clone(), &[]);
        let anybody = app.anybody();
        assert_eq!(anybody.get("/api/notifications").await.status, list, "{role:?}");
        assert_eq!(anybody.get("/api/notifications/stream").await.status, stream, "{role:?}");
        assert_eq!(anybody.get("/api/health/live").await.status, 200, "{role:?}");
        app.stop().await;
    }
}
