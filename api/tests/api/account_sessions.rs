//! Sessions, and what changes about an account.

use bellwork_shared::passwords;
use bellwork_testkit::until;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::application::{Answer, Application, Caller};
use crate::events::Events;

/// "correct horse" under weaker settings than today's.
pub(crate) const OUTDATED: &str =
    "$argon2id$v=19$m=8192,t=1,p=1$A/Ip+B5YWGTlzWszVNg7Qg$XIMhX3Ys/bbPTnlgqglc64VMfZPqMn7h5El9szMc9TM";

pub(crate) async fn log_in(app: &Application, email: &str, password: &str) -> Answer {
    app.anybody().post("/api/auth/login", &json!({ "email": email, "password": password })).await
}

/// The same student with another session.
async fn elsewhere(app: &Application, student: &Caller) -> Caller {
    student.with(&log_in(app, &student.email().await, "correct horse").await.body["token"])
}

fn change(current: &str, new: &str) -> Value {
    json!({ "current_password": current, "new_password": new })
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_new_password_ends_the_other_sessions_and_keeps_this_one_under_a_new_token(database: PgPool) {
    let app = Application::start(database).await;
    let student = app.student().await;
    let (email, other) = (student.email().await, elsewhere(&app, &student).await);
    let (mut here, _) = Events::greeted(&student, None).await;
    let (mut there, _) = Events::greeted(&other, None).await;
    let session = student.get("/api/me/sessions").await.body["items"][1]["id"].clone();
    let changed = student.post("/api/me/password", &change("correct horse", "battery staple")).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert!(changed.header("set-cookie").contains(changed.body["token"].as_str().unwrap()));
    assert!(there.end().await.is_some());
    student.get("/api/me").await.problem(401);
    other.get("/api/me").await.problem(401);
    let student = student.with(&changed.body["token"]);
    let sessions = student.get("/api/me/sessions").await.body;
    assert_eq!((sessions["items"].as_array().unwrap().len(), &sessions["items"][0]["id"]), (1, &session));
    app.notify(student.id, "still here").await;
    assert_eq!(here.next_seq().await, 1);
    log_in(&app, &email, "correct horse").await.problem(401);
    assert_eq!(log_in(&app, &email, "battery staple").await.status, 200);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_password_is_changed_only_by_who_knows_it(database: PgPool) {
    let app = Application::start(database).await;
    let student = app.student().await;
    let wrong = student.post("/api/me/password", &change("wrong horse", "battery staple")).await;
    assert_eq!(wrong.problem(403), ["/current_password"]);
    assert_eq!(student.post("/api/me/password", &change("correct horse", "x")).await.problem(422), ["/new_password"]);
    for _ in 0..5 {
        student.post("/api/me/password", &change("wrong horse", "battery staple")).await;
    }
    let slowed = student.post("/api/me/password", &change("correct horse", "battery staple")).await;
    slowed.problem(429);
    assert!(slowed.header("retry-after").parse::<u64>().unwrap() >= 1);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn two_changes_at_once_have_one_winner(database: PgPool) {
    let app = Application::start(database).await;
    let student = app.student().await;
    let (first, second) = (change("correct horse", "the first one"), change("correct horse", "the second one"));
    let path = "/api/me/password";
    let (first, second) = futures_util::future::join(student.post(path, &first), student.post(path, &second)).await;
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    // The loser comes at the same time, after the other's commit with the old password, or after it with the old token.
    assert!(statuses[0] == 200 && [401, 403, 409].contains(&statuses[1]), "{statuses:?}");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_name_is_changed_and_nothing_else(database: PgPool) {
    let app = Application::start(database).await;
    let student = app.student().await;
    let patch = async |body: Value| student.send(Method::PATCH, "/api/me", &body).await;
    assert_eq!(patch(json!({ "display_name": " Grace " })).await.body["display_name"], "Grace");
    assert_eq!(student.get("/api/me").await.body["display_name"], "Grace");
    assert_eq!(patch(json!({ "display_name": "a\u{0}b" })).await.problem(422), ["/display_name"]);
    assert_eq!(patch(json!({ "display_name": "Eve", "role": "admin" })).await.problem(422), ["/role"]);
    assert_eq!(student.get("/api/me").await.body["role"], "student");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn all_other_sessions_end_at_once(database: PgPool) {
    let app = Application::start(database).await;
    let (student, stranger) = (app.student().await, app.student().await);
    let (first, second) = (elsewhere(&app, &student).await, elsewhere(&app, &student).await);
    let (mut stream, _) = Events::greeted(&first, None).await;
    assert_eq!(student.delete("/api/me/sessions").await.status, 204);
    assert!(stream.end().await.is_some());
    first.get("/api/me").await.problem(401);
    second.get("/api/me").await.problem(401);
    assert_eq!(student.get("/api/me/sessions").await.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(stranger.get("/api/me").await.status, 200);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_session_ends_when_it_is_not_used_and_its_use_is_noted_coarsely(database: PgPool) {
    let app = Application::start(database.clone()).await;
    let student = app.student().await;
    let times = async || {
        let select = "select last_seen_at, idle_at from sessions where user_id = $1";
        let times: (chrono::DateTime<chrono::Utc>, chrono::DateTime<chrono::Utc>) =
            sqlx::query_as(select).bind(student.id.0).fetch_one(&database).await.unwrap();
        times
    };
    let opened = times().await;
    student.get("/api/me").await;
    assert_eq!(times().await, opened, "so soon nothing is written");
    let age = "update sessions set last_seen_at = now() - interval '11 minutes', idle_at = now() + interval '1 minute'";
    sqlx::query(age).execute(&database).await.unwrap();
    app.forget_session(&student).await;
    until("its use is noted", async || {
        assert_eq!(student.get("/api/me").await.status, 200);
        let noted = times().await;
        noted.0 > opened.0 && noted.1 > opened.1
    })
    .await;
    sqlx::query("update sessions set idle_at = now()").execute(&database).await.unwrap();
    app.forget_session(&student).await;
    until("it has ended", async || student.get("/api/me").await.status == 401).await;
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_password_hashed_under_older_settings_is_hashed_anew_at_the_next_login(database: PgPool) {
    let app = Application::start(database.clone()).await;
    let student = app.student().await;
    let email = student.email().await;
    let stored = async || {
        let select = "select password_hash from users where id = $1";
        sqlx::query_scalar::<_, String>(select).bind(student.id.0).fetch_one(&database).await.unwrap()
    };
    let current = stored().await;
    log_in(&app, &email, "correct horse").await;
    assert_eq!(stored().await, current, "today's settings stay");
    sqlx::query("update users set password_hash = $1").bind(OUTDATED).execute(&database).await.unwrap();
    log_in(&app, &email, "wrong horse").await.problem(401);
    assert_eq!(stored().await, OUTDATED);
    assert_eq!(log_in(&app, &email, "correct horse").await.status, 200);
    assert!(!passwords::is_outdated(&stored().await));
    assert_eq!(log_in(&app, &email, "correct horse").await.status, 200);
    app.stop().await;
}
