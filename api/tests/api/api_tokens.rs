//! Personal API tokens, and what they may do.

use chrono::{TimeDelta, Utc};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::application::{Answer, Application, Caller};

const SCOPES: [&str; 8] = [
    "read",
    "attempts:write",
    "jobs:write",
    "notifications:write",
    "votes:write",
    "ai:write",
    "admin:read",
    "admin:write",
];

fn wanted(scopes: &[&str]) -> Value {
    json!({ "name": "my laptop", "scopes": scopes, "expires_at": Utc::now() + TimeDelta::days(30) })
}

async fn program(owner: &Caller, scopes: &[&str]) -> Caller {
    let answer = owner.post("/api/me/tokens", &wanted(scopes)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    owner.with(&answer.body["token"])
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_token_is_shown_once_listed_used_and_revoked(database: PgPool) {
    let app = Application::start(database).await;
    let (student, other) = (app.student().await, app.student().await);
    let made = student.post("/api/me/tokens", &wanted(&["read", "read"])).await.body;
    assert!(made["token"].as_str().unwrap().starts_with("bwk_"), "{made}");
    assert_eq!((&made["scopes"], &made["last_used_at"]), (&json!(["read"]), &Value::Null));
    let program = student.with(&made["token"]);
    assert_eq!(program.get("/api/me").await.body["id"], json!(student.id));
    let listed = student.get("/api/me/tokens").await.body;
    assert_eq!((&listed["items"][0]["id"], &listed["items"][0]["name"]), (&made["id"], &json!("my laptop")));
    assert!(listed["items"][0]["last_used_at"].is_string() && listed["items"][0].get("token").is_none(), "{listed}");
    let path = format!("/api/me/tokens/{}", made["id"].as_str().unwrap());
    other.delete(&path).await.problem(404);
    assert_eq!(student.delete(&path).await.status, 204);
    program.get("/api/me").await.problem(401);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_token_that_cannot_be_made_names_every_field(database: PgPool) {
    let app = Application::start(database).await;
    let student = app.student().await;
    let bad = json!({ "name": "", "scopes": ["read", "admin:read"], "expires_at": Utc::now() });
    assert_eq!(student.post("/api/me/tokens", &bad).await.problem(422), ["/name", "/scopes/1", "/expires_at"]);
    let none = json!({ "name": "a\u{0}b", "scopes": [], "expires_at": Utc::now() + TimeDelta::days(367) });
    assert_eq!(student.post("/api/me/tokens", &none).await.problem(422), ["/name", "/scopes", "/expires_at"]);
    let unknown = json!({ "name": "x", "scopes": ["everything"], "expires_at": Utc::now() + TimeDelta::days(1) });
    assert_eq!(student.post("/api/me/tokens", &unknown).await.problem(422), ["/scopes/0"]);
    assert_eq!(app.count("api_tokens").await, 0);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn nobody_has_more_than_twenty_five_tokens_however_fast_they_ask(database: PgPool) {
    let app = Application::start(database.clone()).await;
    let student = app.student().await;
    let body = wanted(&["read"]);
    let answers = join_all((0..40).map(|_| student.post("/api/me/tokens", &body))).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!((made, app.count("api_tokens").await), (25, 25));
    answers.iter().filter(|answer| answer.status != 201).for_each(|answer| drop(answer.problem(409)));
    sqlx::query("update api_tokens set expires_at = now()").execute(&database).await.unwrap();
    assert_eq!(student.post("/api/me/tokens", &body).await.status, 201, "expired ones do not count");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn an_expired_token_and_a_disguised_one_open_nothing(database: PgPool) {
    let app = Application::start(database.clone()).await;
    let student = app.student().await;
    let program = program(&student, &["read"]).await;
    let (token, session) = (program.token.clone().unwrap(), student.token.clone().unwrap());
    for disguised in [token.trim_start_matches("bwk_"), &format!("bwk_{session}"), "bwk_", "bwk_x"] {
        student.with(&json!(disguised)).get("/api/me").await.problem(401);
    }
    let cookie = app.anybody().request(Method::GET, "/api/me").header("cookie", format!("bellwork_session={token}"));
    Answer::of(cookie).await.problem(401);
    sqlx::query("update api_tokens set expires_at = now()").execute(&database).await.unwrap();
    program.get("/api/me").await.problem(401);
    app.stop().await;
}

/// A request to a route of the table.
struct Operation {
    method: Method,
    path: String,
    /// What an API token needs; none: no token will do.
    scope: Option<String>,
}

/// All routes that need somebody signed in, as the OpenAPI document has them.
async fn operations(app: &Application) -> Vec<Operation> {
    let document = app.anybody().get("/api/openapi.json").await.body;
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(security) = operation["security"].as_array() else { continue };
            let scope = security.iter().find_map(|way| way["bearer"].as_array()).unwrap();
            let scope = scope.first().map(|scope| scope.as_str().unwrap().to_owned());
            let id = Uuid::now_v7().to_string();
            let segments = path.split('/').map(|segment| if segment.starts_with('{') { id.as_str() } else { segment });
            let path = segments.collect::<Vec<_>>().join("/");
            operations.push(Operation { method: method.to_uppercase().parse().unwrap(), path, scope });
        }
    }
    operations
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn each_route_opens_to_its_scope_and_to_no_other(database: PgPool) {
    let app = Application::start(database).await;
    let admin = app.admin().await;
    let mut programs = Vec::new();
    for scope in SCOPES {
        programs.push((vec![scope], program(&admin, &[scope]).await));
    }
    programs.push((SCOPES.to_vec(), program(&admin, &SCOPES).await));
    let operations = operations(&app).await;
    assert!(operations.len() > 20, "the document names them");
    for Operation { method, path, scope } in &operations {
        for (scopes, program) in &programs {
            let answer = Answer::of(program.request(method.clone(), path).json(&json!({}))).await;
            let may = scope.as_ref().is_some_and(|scope| scopes.contains(&scope.as_str()));
            let refused = answer.body["type"] == "urn:bellwork:problem:out-of-scope";
            assert_eq!(refused, !may, "{method} {path} needs {scope:?}, has {scopes:?}: {answer:?}");
            assert!(may != (answer.status == 403) && answer.status != 401, "{method} {path}: {answer:?}");
            if refused {
                assert!(answer.header("www-authenticate").contains("insufficient_scope"), "{answer:?}");
            }
        }
    }
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn no_token_touches_the_account(database: PgPool) {
    let app = Application::start(database).await;
    for Operation { method, path, scope } in operations(&app).await {
        let about_the_account = path.starts_with("/api/me/") || path.starts_with("/api/auth/") || path == "/api/me";
        let only_looks =
            method == Method::GET && ["/api/me", "/api/me/ai-usage", "/api/me/topics"].contains(&path.as_str());
        if about_the_account && !only_looks {
            assert_eq!(scope, None, "{method} {path}");
        }
        if path.starts_with("/api/admin/") {
            assert!(scope.as_ref().is_none_or(|scope| scope.starts_with("admin:")), "{method} {path} {scope:?}");
        }
    }
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn an_operators_token_ends_with_the_role(database: PgPool) {
    let app = Application::start(database.clone()).await;
    let admin = app.admin().await;
    let program = program(&admin, &["admin:read"]).await;
    assert_eq!(program.get("/api/admin/queues").await.status, 200);
    sqlx::query("update users set role = 'student'").execute(&database).await.unwrap();
    program.get("/api/admin/queues").await.problem(403);
    app.stop().await;
}
