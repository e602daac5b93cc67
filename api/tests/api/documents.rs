//! The OpenAPI document against the running server, and the page that shows it.

use reqwest::Method;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::application::{Answer, Application};

const METHODS: [Method; 6] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn each_path_allows_the_documented_methods_and_no_others(database: PgPool) {
    let app = Application::start(database).await;
    let document = app.anybody().get("/api/openapi.json").await.body;
    for (path, item) in document["paths"].as_object().unwrap() {
        let mut documented: Vec<_> = item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        if documented.contains(&"GET".to_owned()) {
            documented.push("HEAD".to_owned());
        }
        documented.sort();
        let path = path.replace("{id}", &Uuid::now_v7().to_string()).replace(['{', '}'], "");
        for method in METHODS.iter().filter(|method| !documented.contains(&method.to_string())) {
            let answer = Answer::of(app.anybody().request(method.clone(), &path)).await;
            assert_eq!(answer.status, 405, "{method} {path}");
            let mut allowed: Vec<_> = answer.header("allow").split(", ").map(ToOwned::to_owned).collect();
            allowed.sort();
            assert_eq!(allowed, documented, "{path}");
        }
    }
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn the_page_comes_from_the_binary_and_loads_nothing_from_elsewhere(database: PgPool) {
    let app = Application::start(database).await;
    let page = app.anybody().request(Method::GET, "/api/docs").send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"), "{policy}");
    let page = page.text().await.unwrap();
    assert!(!page.contains("http://") && !page.contains("https://"), "{page}");
    let mut files: Vec<_> = page.split('"').filter(|part| part.starts_with("/api/docs/")).collect();
    files.sort_unstable();
    assert_eq!(files, ["/api/docs/start.js", "/api/docs/swagger-ui-bundle.js", "/api/docs/swagger-ui.css"]);
    for file in files {
        let answer = app.anybody().request(Method::GET, file).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{file}");
        assert!(!answer.bytes().await.unwrap().is_empty(), "{file}");
    }
    app.anybody().get("/api/docs/index.html").await.problem(404);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn the_document_is_openapi_3_1_and_shows_every_problem(database: PgPool) {
    let app = Application::start(database).await;
    let document = app.anybody().get("/api/openapi.json").await.body;
    assert_eq!(document["openapi"], "3.1.0");
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let statuses = operation["responses"].as_object().unwrap();
            for status in ["422", "429", "500", "503"] {
                assert!(statuses.contains_key(status), "{method} {path} {status}");
            }
            let signed_in = operation["security"].is_array();
            assert_eq!(statuses.contains_key("401"), signed_in || path == "/api/auth/login", "{method} {path}");
            assert!(statuses.keys().any(|status| status.starts_with('2')), "{method} {path}");
        }
    }
    let refusals = document["components"]["responses"].as_object().unwrap();
    let problem = |refusal: &Value| refusal["content"].get("application/problem+json").is_some();
    assert!(refusals.values().all(problem), "{refusals:?}");
    app.stop().await;
}
