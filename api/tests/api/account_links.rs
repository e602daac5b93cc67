//! One-time links that are mailed.

use bellwork_jobs::kinds::request_password_reset::RequestPasswordReset;
use bellwork_tests::rehearsal::Rehearsal;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::application::{Answer, Application, Caller};
use crate::events::Events;

/// Runs all jobs, and returns the tokens of the links that were mailed, the last one last.
async fn mailed_tokens(database: &PgPool, page: &str) -> Vec<String> {
    let rehearsal = Rehearsal::new(database).await;
    rehearsal.adopt().await;
    rehearsal.drain().await;
    let mails = std::fs::read_dir(rehearsal.mail.path()).unwrap().map(|file| file.unwrap().path());
    // A mail's file has the name of its job, so that names sort by time.
    let mut mails: Vec<_> = mails.filter(|file| file.extension().is_some_and(|end| end == "eml")).collect();
    mails.sort();
    let token = |mail: &std::path::PathBuf| {
        let mail = std::fs::read_to_string(mail).unwrap().replace("=\r\n", "").replace("=3D", "=");
        let link = mail.split_once(&format!("/api/auth/{page}#token="))?.1.to_owned();
        Some(link.chars().take(43).collect())
    };
    mails.iter().filter_map(token).collect()
}

async fn forget(app: &Application, email: &str) -> Answer {
    app.anybody().post("/api/auth/forgot-password", &json!({ "email": email })).await
}

fn reset(token: &str, password: &str) -> Value {
    json!({ "token": token, "new_password": password })
}

async fn log_in(app: &Application, email: &str, password: &str) -> Answer {
    app.anybody().post("/api/auth/login", &json!({ "email": email, "password": password })).await
}

async fn is_verified(student: &Caller) -> bool {
    student.get("/api/me").await.body["email_verified"].as_bool().unwrap()
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_registration_mails_a_link_that_proves_the_address_once(database: PgPool) {
    let app = Application::start(database.clone()).await;
    let student = app.student().await;
    assert!(!is_verified(&student).await);
    let tokens = mailed_tokens(&database, "verify-email").await;
    let body = json!({ "token": tokens[0] });
    let page = app.anybody().request(Method::GET, "/api/auth/verify-email").send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert!(page.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    assert!(!is_verified(&student).await, "opening a link uses nothing up");
    assert_eq!(app.anybody().post("/api/auth/verify-email", &body).await.status, 204);
    assert!(is_verified(&student).await);
    assert_eq!(app.anybody().post("/api/auth/verify-email", &body).await.problem(404), ["/token"]);
    student.post("/api/me/verification", &json!({})).await.problem(409);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_new_link_voids_the_old_one(database: PgPool) {
    let app = Application::start(database.clone()).await;
    let student = app.student().await;
    let old = mailed_tokens(&database, "verify-email").await;
    let again = student.post("/api/me/verification", &json!({})).await;
    assert_eq!(again.status, 202, "{again:?}");
    assert_eq!(student.get(again.header("location")).await.body["kind"], "mail_link");
    let new = mailed_tokens(&database, "verify-email").await;
    let verify = async |token: &str| app.anybody().post("/api/auth/verify-email", &json!({ "token": token })).await;
    assert_eq!(verify(&old[0]).await.problem(404), ["/token"]);
    assert_eq!(verify(&new[0]).await.status, 204);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_reset_sets_the_password_and_ends_sessions_streams_and_tokens(database: PgPool) {
    let app = Application::start(database.clone()).await;
    let student = app.student().await;
    let email = student.email().await;
    let expires_at = chrono::Utc::now() + chrono::TimeDelta::days(1);
    let wanted = json!({ "name": "laptop", "scopes": ["read"], "expires_at": expires_at });
    let program = student.with(&student.post("/api/me/tokens", &wanted).await.body["token"]);
    let (mut stream, _) = Events::greeted(&student, None).await;
    assert_eq!(forget(&app, &email.to_uppercase()).await.status, 202);
    let tokens = mailed_tokens(&database, "reset-password").await;
    let answer = app.anybody().post("/api/auth/reset-password", &reset(&tokens[0], "battery staple")).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    assert!(answer.header("set-cookie").starts_with("bellwork_known="), "{answer:?}");
    assert!(stream.end().await.is_some());
    student.get("/api/me").await.problem(401);
    program.get("/api/me").await.problem(401);
    log_in(&app, &email, "correct horse").await.problem(401);
    assert_eq!(log_in(&app, &email, "battery staple").await.body["user"]["email_verified"], true);
    let again = app.anybody().post("/api/auth/reset-password", &reset(&tokens[0], "another one")).await;
    assert_eq!(again.problem(404), ["/token"]);
    app.stop().await;
}

/// The cookie of its device that an answer sets.
fn device(answer: &Answer) -> String {
    let cookies = answer.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let device = cookies.into_iter().find(|cookie| cookie.starts_with("bellwork_known=")).unwrap();
    device.split(';').next().unwrap().to_owned()
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_new_password_opens_at_once_whatever_was_tried_before(database: PgPool) {
    let app = Application::start(database.clone()).await;
    let email = app.student().await.email().await;
    let from = async |device: &str, path: &str, body: Value| {
        let request = app.anybody().request(Method::POST, path);
        Answer::of(request.header("cookie", device).json(&body)).await
    };
    let login = |password: &str| json!({ "email": email, "password": password });
    let old = device(&log_in(&app, &email, "correct horse").await);
    for _ in 0..5 {
        from(&old, "/api/auth/login", login("forgotten")).await.problem(401);
        log_in(&app, &email, "forgotten").await.problem(401);
    }
    from(&old, "/api/auth/login", login("correct horse")).await.problem(429);
    log_in(&app, &email, "correct horse").await.problem(429);

    forget(&app, &email).await;
    let tokens = mailed_tokens(&database, "reset-password").await;
    let answer = from(&old, "/api/auth/reset-password", reset(&tokens[0], "battery staple")).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    let new = device(&answer);
    assert_eq!(from(&new, "/api/auth/login", login("battery staple")).await.status, 200, "by the cookie of the reset");
    assert_eq!(log_in(&app, &email, "battery staple").await.status, 200, "by a client that keeps no cookies");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_link_that_is_used_by_twenty_at_once_works_for_one(database: PgPool) {
    let app = Application::start(database.clone()).await;
    let email = app.student().await.email().await;
    forget(&app, &email).await;
    let tokens = mailed_tokens(&database, "reset-password").await;
    let anybody = app.anybody();
    let bodies: Vec<_> = (0..20).map(|number| reset(&tokens[0], &format!("password {number}"))).collect();
    let answers = join_all(bodies.iter().map(|body| anybody.post("/api/auth/reset-password", body))).await;
    let winners: Vec<_> = (0..20).filter(|number| answers[*number].status == 204).collect();
    assert_eq!(winners.len(), 1, "{answers:?}");
    for loser in answers.iter().filter(|answer| answer.status != 204) {
        assert_eq!(loser.problem(404), ["/token"]);
    }
    assert_eq!(log_in(&app, &email, &format!("password {}", winners[0])).await.status, 200);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn links_end_and_are_good_for_their_purpose_only(database: PgPool) {
    let app = Application::start(database.clone()).await;
    let student = app.student().await;
    forget(&app, &student.email().await).await;
    let tokens = mailed_tokens(&database, "reset-password").await;
    let verify = app.anybody().post("/api/auth/verify-email", &json!({ "token": tokens[0] })).await;
    assert_eq!(verify.problem(404), ["/token"]);
    for body in [reset("x", "battery staple"), reset("", "battery staple"), reset(&"A".repeat(43), "battery staple")] {
        assert_eq!(app.anybody().post("/api/auth/reset-password", &body).await.problem(404), ["/token"]);
    }
    let short = app.anybody().post("/api/auth/reset-password", &reset(&tokens[0], "short")).await;
    assert_eq!(short.problem(422), ["/new_password"]);
    sqlx::query("update mailed_links set expires_at = now()").execute(&database).await.unwrap();
    let late = app.anybody().post("/api/auth/reset-password", &reset(&tokens[0], "battery staple")).await;
    assert_eq!(late.problem(404), ["/token"]);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_change_of_password_voids_a_link_to_reset_it(database: PgPool) {
    let app = Application::start(database.clone()).await;
    let student = app.student().await;
    forget(&app, &student.email().await).await;
    let tokens = mailed_tokens(&database, "reset-password").await;
    let change = json!({ "current_password": "correct horse", "new_password": "battery staple" });
    assert_eq!(student.post("/api/me/password", &change).await.status, 200);
    let late = app.anybody().post("/api/auth/reset-password", &reset(&tokens[0], "mallory's own")).await;
    assert_eq!(late.problem(404), ["/token"]);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn known_and_unknown_addresses_cause_the_same_answer_and_the_same_work(database: PgPool) {
    let app = Application::start(database.clone()).await;
    let known = app.student().await.email().await;
    let (for_known, for_unknown) = (forget(&app, &known).await, forget(&app, "nobody@example.com").await);
    assert_eq!((for_known.status, &for_known.body), (for_unknown.status, &for_unknown.body));
    assert_eq!(for_known.status, 202);
    let names = |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&for_known), names(&for_unknown));
    let rehearsal = Rehearsal::new(&database).await;
    let jobs = rehearsal.enqueued::<RequestPasswordReset>().await;
    assert_eq!(jobs.len(), 2);
    rehearsal.adopt().await;
    rehearsal.drain().await;
    let payloads = "jobs where kind = 'request_password_reset' and state = 'done' and payload = '{}'";
    assert_eq!(app.count(payloads).await, 2, "the ledger keeps no addresses");
    assert_eq!(app.count("jobs where kind = 'mail_link' and payload ->> 'link' = 'reset_password'").await, 1);
    assert_eq!(forget(&app, "no address").await.problem(422), ["/email"]);
    app.stop().await;
}
