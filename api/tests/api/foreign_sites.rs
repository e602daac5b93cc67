//! What another site has a browser do, and what it cannot.

use reqwest::{Method, RequestBuilder};
use serde_json::json;
use sqlx::PgPool;

use crate::application::{Answer, Application};

type Headers = [(&'static str, &'static str)];

/// Headers that a browser sends, and whether the request is ours.
const SENT: &[(&str, &Headers, bool)] = &[
    ("our own page", &[("sec-fetch-site", "same-origin")], true),
    ("typed by hand", &[("sec-fetch-site", "none")], true),
    ("another site", &[("sec-fetch-site", "cross-site")], false),
    ("another host of this site", &[("sec-fetch-site", "same-site")], false),
    ("another site, whatever its origin says", &[("sec-fetch-site", "cross-site"), ("origin", "OURS")], false),
    ("an old browser here", &[("origin", "OURS")], true),
    ("an old browser elsewhere", &[("origin", "https://evil.example")], false),
    ("an old browser at another port", &[("origin", "http://127.0.0.1:1")], false),
    ("a page without an origin", &[("origin", "null")], false),
    ("no browser", &[], true),
];

fn sent(app: &Application, mut request: RequestBuilder, headers: &Headers) -> RequestBuilder {
    for (name, value) in headers {
        request = request.header(*name, if *value == "OURS" { &app.url } else { *value });
    }
    request
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_cookie_changes_nothing_for_another_site(database: PgPool) {
    let app = Application::start(database).await;
    let student = app.student().await;
    let cookie = format!("bellwork_session={}", student.token.as_ref().unwrap());
    for (who, headers, is_ours) in SENT {
        let rename = app.anybody().request(Method::PATCH, "/api/me").header("cookie", &cookie);
        let answer = Answer::of(sent(&app, rename.json(&json!({ "display_name": who })), headers)).await;
        assert_eq!(answer.status.as_u16(), if *is_ours { 200 } else { 403 }, "{who}: {answer:?}");
        let end = app.anybody().request(Method::DELETE, "/api/me/sessions").header("cookie", &cookie);
        assert_eq!(
            Answer::of(sent(&app, end, headers)).await.status.as_u16(),
            if *is_ours { 204 } else { 403 },
            "{who}"
        );
        let look = app.anybody().request(Method::GET, "/api/me").header("cookie", &cookie);
        assert_eq!(Answer::of(sent(&app, look, headers)).await.status, 200, "{who} can have it asked, not read");
        let by_token = student.request(Method::PATCH, "/api/me").json(&json!({ "display_name": who }));
        assert_eq!(Answer::of(sent(&app, by_token, headers)).await.status, 200, "no site has {who}'s token");
    }
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn another_site_cannot_sign_a_student_in(database: PgPool) {
    let app = Application::start(database).await;
    let email = app.student().await.email().await;
    for (who, headers, is_ours) in SENT {
        let login = app.anybody().request(Method::POST, "/api/auth/login");
        let login = login.json(&json!({ "email": email, "password": "correct horse" }));
        let answer = Answer::of(sent(&app, login, headers)).await;
        assert_eq!(answer.status.as_u16(), if *is_ours { 200 } else { 403 }, "{who}: {answer:?}");
        assert_eq!(answer.headers.contains_key("set-cookie"), *is_ours, "{who}");
    }
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_form_is_no_body(database: PgPool) {
    let app = Application::start(database).await;
    let email = app.student().await.email().await;
    let body = json!({ "email": email, "password": "correct horse" }).to_string();
    for announced in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp"] {
        let login = app.anybody().request(Method::POST, "/api/auth/login").header("content-type", announced);
        Answer::of(login.body(body.clone())).await.problem(415);
    }
    app.stop().await;
}
