//! A student (or an admin) who uses the API over HTTP only.

use bellwork_testkit::{DEADLINE, eventually};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::events::Events;

/// Somebody who is logged in.
#[derive(Clone, Debug)]
pub struct Student {
    http: Client,
    url: String,
    token: String,
    /// Their address.
    pub email: String,
    /// Their id.
    pub id: String,
}

/// A client of HTTP.
///
/// # Panics
/// If TLS cannot be set up.
#[must_use]
pub fn client() -> Client {
    bellwork_shared::telemetry::install_tls();
    Client::builder().connect_timeout(DEADLINE).build().expect("the defaults can be used")
}

impl Student {
    /// Registers somebody new.
    ///
    /// # Panics
    /// If the API refuses.
    pub async fn register(url: &str) -> Self {
        let email = format!("student-{}@example.org", Uuid::new_v4().simple());
        let body = json!({"email": email, "password": "correct horse battery", "display_name": "Ada"});
        Self::enter(url, "/api/auth/register", &body).await
    }

    /// Logs somebody in.
    ///
    /// # Panics
    /// If the API refuses.
    pub async fn log_in(url: &str, email: &str, password: &str) -> Self {
        Self::enter(url, "/api/auth/login", &json!({"email": email, "password": password})).await
    }

    async fn enter(url: &str, path: &str, body: &Value) -> Self {
        let http = client();
        let response = http.post(format!("{url}{path}")).json(body).send().await.expect("the API answers");
        let answer: Value = response.json().await.expect("it answers in JSON");
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        let (token, user) = (text(&answer["token"]), &answer["user"]);
        Self { http, url: url.to_owned(), token, email: text(&user["email"]), id: text(&user["id"]) }
    }

    /// The same person at another API process.
    #[must_use]
    pub fn at(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.clone() }
    }

    /// A request with their token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token)
    }

    /// Gets `path`.
    ///
    /// # Panics
    /// If the answer is no success.
    pub async fn get(&self, path: &str) -> Value {
        let response = self.request(Method::GET, path).send().await.expect("the API answers");
        let (status, body) = (response.status(), response.text().await.unwrap_or_default());
        assert!(status.is_success(), "{path}: {status} {body}");
        serde_json::from_str(&body).expect("it answers in JSON")
    }

    /// Posts `body` to `path`.
    ///
    /// # Panics
    /// If the API does not answer.
    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let response = self.request(Method::POST, path).json(body).send().await.expect("the API answers");
        (response.status(), response.json().await.unwrap_or(Value::Null))
    }

    /// The practice test with this subject's slug, whole.
    ///
    /// # Panics
    /// If there is none.
    pub async fn test(&self, slug: &str) -> Value {
        let list = self.get("/api/tests?limit=100").await;
        let found = list["items"].as_array().expect("a list").iter().find(|test| test["slug"] == slug);
        let id = found.unwrap_or_else(|| panic!("no test {slug} in {list}"))["id"].as_str().expect("an id");
        self.get(&format!("/api/tests/{id}")).await
    }

    /// Submits `answers` and returns the answer, which must be 202.
    ///
    /// # Panics
    /// If it is another.
    pub async fn submit(&self, test: &Value, answers: &Value) -> Value {
        let (status, answer) = self.post("/api/attempts", &json!({"test_id": test["id"], "answers": answers})).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        answer
    }

    /// Opens the stream; the first event has not been read.
    ///
    /// # Panics
    /// If the API refuses.
    pub async fn stream(&self, last_event_id: Option<&str>) -> Events {
        let mut request = self.request(Method::GET, "/api/notifications/stream");
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        let response = request.send().await.expect("the API answers");
        assert_eq!(response.status(), StatusCode::OK);
        Events::of(response)
    }

    /// Waits until an attempt has one of these statuses.
    pub async fn attempt_in(&self, id: &str, statuses: &[&str]) -> Value {
        let path = format!("/api/attempts/{id}");
        eventually(&format!("attempt {statuses:?}"), async || {
            let attempt = self.get(&path).await;
            statuses.iter().any(|status| attempt["status"] == *status).then_some(attempt)
        })
        .await
    }
}

/// An answer to each question of `test` that is not free text: the first choice, or 1.
///
/// # Panics
/// If `test` is no test.
#[must_use]
pub fn simple_answers(test: &Value) -> Value {
    answers(test, None)
}

/// An answer to each question of `test`: the first choice, 1, or these words.
///
/// # Panics
/// If `test` is no test.
#[must_use]
pub fn answers(test: &Value, words: Option<&str>) -> Value {
    let questions = test["questions"].as_array().expect("a test has questions");
    let answers = questions.iter().filter_map(|question| {
        let id = &question["id"];
        Some(match question["kind"].as_str().expect("a kind") {
            "numeric" => json!({"question_id": id, "number": 1}),
            "free_text" => json!({"question_id": id, "text": words?}),
            _ => json!({"question_id": id, "choice_ids": [question["choices"][0]["id"]]}),
        })
    });
    Value::Array(answers.collect())
}
