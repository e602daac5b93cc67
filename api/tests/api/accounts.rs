//! Registering, signing in and out, and the sessions of a student.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::application::{Answer, Application};

fn registration(email: &str) -> Value {
    json!({ "email": email, "password": "correct horse", "display_name": "Ada" })
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_student_registers_signs_in_and_signs_out(database: PgPool) {
    let app = Application::start(database).await;
    let anybody = app.anybody();
    let registered = anybody.post("/api/auth/register", &registration("Ada@Example.com")).await;
    assert_eq!(registered.status, 201);
    assert_eq!(registered.body["user"]["email"], "ada@example.com");
    assert_eq!(registered.body["user"]["role"], "student");
    let cookie = registered.header("set-cookie");
    for part in ["bellwork_session=", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "{cookie}");

    let login = json!({ "email": "ADA@example.com", "password": "correct horse" });
    let answer = anybody.post("/api/auth/login", &login).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut student = app.anybody();
    student.token = answer.body["token"].as_str().map(str::to_owned);
    assert_eq!(student.get("/api/me").await.body, registered.body["user"]);

    assert_eq!(student.post("/api/auth/logout", &json!({})).await.status, 204);
    student.get("/api/me").await.problem(401);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_registration_that_cannot_be_used_names_every_field(database: PgPool) {
    let app = Application::start(database).await;
    let bad = json!({ "email": "nobody", "password": "short", "display_name": "a\u{0}b" });
    let answer = app.anybody().post("/api/auth/register", &bad).await;
    assert_eq!(answer.problem(422), ["/email", "/password", "/display_name"]);
    let mut more = registration("a@example.com");
    more["role"] = json!("admin");
    assert_eq!(app.anybody().post("/api/auth/register", &more).await.problem(422), ["/role"]);
    assert_eq!(app.count("users").await, 0);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn an_address_is_taken_once_whatever_its_case(database: PgPool) {
    let app = Application::start(database).await;
    assert_eq!(app.anybody().post("/api/auth/register", &registration("a@example.com")).await.status, 201);
    let again = app.anybody().post("/api/auth/register", &registration("A@EXAMPLE.com")).await;
    assert_eq!(again.problem(409), ["/email"]);
    assert_eq!((app.count("users").await, app.count("sessions").await), (1, 1));
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_wrong_password_and_an_unknown_address_get_the_same_answer(database: PgPool) {
    let app = Application::start(database).await;
    app.anybody().post("/api/auth/register", &registration("a@example.com")).await;
    let mut answers = Vec::new();
    for email in ["a@example.com", "b@example.com", "no address"] {
        let answer = app.anybody().post("/api/auth/login", &json!({ "email": email, "password": "wrong horse" })).await;
        answer.problem(401);
        answers.push(answer.body);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_student_sees_and_ends_their_own_sessions_only(database: PgPool) {
    let app = Application::start(database).await;
    let (student, other) = (app.student().await, app.student().await);
    let sessions = student.get("/api/me/sessions").await.body;
    assert_eq!(sessions["items"].as_array().unwrap().len(), 1);
    assert_eq!(sessions["items"][0]["current"], true);
    student.get("/api/me/sessions?limit=0").await.problem(422);
    student.get("/api/me/sessions?cursor=x").await.problem(404);
    let unknown = student.get("/api/me?verbose=1").await;
    unknown.problem(422);
    assert_eq!(unknown.body["errors"][0]["pointer"], "/verbose");
    let path = format!("/api/me/sessions/{}", sessions["items"][0]["id"].as_str().unwrap());
    other.delete(&path).await.problem(404);
    assert_eq!(student.delete(&path).await.status, 204);
    student.get("/api/me").await.problem(401);
    assert_eq!(other.get("/api/me").await.status, 200);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_cookie_counts_unless_another_site_sends_it(database: PgPool) {
    let app = Application::start(database).await;
    let student = app.student().await;
    let cookie = format!("bellwork_session={}", student.token.as_ref().unwrap());
    let by_cookie = |method, path: &str| app.anybody().request(method, path).header("cookie", &cookie);
    assert_eq!(Answer::of(by_cookie(Method::GET, "/api/me")).await.status, 200);
    let logout = || by_cookie(Method::POST, "/api/auth/logout");
    Answer::of(logout().header("sec-fetch-site", "cross-site")).await.problem(403);
    Answer::of(logout().header("origin", "https://evil.example")).await.problem(403);
    assert_eq!(Answer::of(logout().header("origin", &app.url)).await.status, 204);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn under_https_the_cookie_is_bound_to_the_host(database: PgPool) {
    let app = Application::start_with(database, &[("PUBLIC_URL", "https://bellwork.example")]);
    let answer = app.anybody().post("/api/auth/register", &registration("a@example.com")).await;
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Host-bellwork_session=") && cookie.contains("; Secure"), "{cookie}");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn who_is_not_signed_in_is_told_how(database: PgPool) {
    let app = Application::start(database).await;
    let mut caller = app.anybody();
    for token in [None, Some("x"), Some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")] {
        caller.token = token.map(str::to_owned);
        for path in ["/api/me", "/api/attempts", "/api/notifications/stream", "/api/admin/queues"] {
            let answer = caller.get(path).await;
            answer.problem(401);
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
    let expired = app.student().await;
    sqlx::query("update sessions set expires_at = now()").execute(&app.database).await.unwrap();
    expired.get("/api/me").await.problem(401);
    app.stop().await;
}
