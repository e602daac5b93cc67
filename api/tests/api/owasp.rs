//! One test for each item of OWASP's API Security Top 10 of 2023. Most walk the OpenAPI document, which is made of the
//! table of routes: a new route is covered, or makes its test fail, by being there.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use bellwork_queue::Drain;
use bellwork_testkit::within;
use bellwork_tests::ai_server::{AiServer, Manner};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::application::{Answer, Application, Caller, as_quick};
use crate::content::{publish, right_answers, sums};
use crate::exam::Exam;
use crate::guessing::forget_failures;
use crate::models::vote;
use crate::study_aids::graded;
use crate::work::work;

/// Paths whose `{id}` names what everybody may see.
const PUBLIC: &[&str] = &["/api/tests/{id}", "/api/tests/{id}/start"];
/// What nobody may set by naming it.
const PRIVILEGED: &[&str] = &["role", "is_admin", "user_id", "email_verified", "password_hash", "score", "submitter"];
/// What no answer may show.
const SECRET: &[&str] = &["password_hash", "password", "token_hash", "hash", "fingerprint", "cursor_key", "device"];

/// An operation of the document.
#[derive(Clone, Debug)]
struct Operation {
    method: Method,
    path: String,
    said: Value,
}

impl Operation {
    fn is_for_admins(&self) -> bool {
        self.path.starts_with("/api/admin/")
    }

    fn is_for_the_signed_in(&self) -> bool {
        self.said["security"].is_array()
    }

    fn takes(&self, media_type: &str) -> bool {
        self.said["requestBody"]["content"].get(media_type).is_some()
    }

    fn parameters(&self) -> impl Iterator<Item = &Value> {
        self.said["parameters"].as_array().into_iter().flatten()
    }

    /// Its path with something in each place; an id of nothing unless told.
    fn at(&self, id: &str) -> String {
        self.path.replace("{id}", id).replace("{slug}", "ada").replace("{name}", "ai").replace("{file}", "start.js")
    }
}

async fn document(app: &Application) -> Value {
    app.anybody().get("/api/openapi.json").await.body
}

/// All but the stream, which does not end.
fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, said) in item.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            operations.push(Operation { method, path: path.clone(), said: said.clone() });
        }
    }
    operations.retain(|operation| !operation.path.ends_with("/stream"));
    assert!(operations.len() > 80);
    operations
}

/// The answer's status and its text, whatever it is.
async fn ask(caller: &Caller, operation: &Operation, id: &str, body: &Value) -> (u16, String) {
    let request = caller.request(operation.method.clone(), &operation.at(id));
    let request = request.header("if-match", "*");
    let request = if operation.takes("application/json") { request.json(body) } else { request };
    let response = within("an answer", request.send()).await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Something of each kind that belongs to `owner`, by the path that shows it.
async fn belongings(app: &Application, owner: &Caller) -> BTreeMap<&'static str, String> {
    let exam = Exam::seed(&app.database).await;
    let attempt = graded(&app.database, &exam, owner.id).await;
    let explained = json!({ "attempt_id": attempt, "question_id": exam.text });
    let explanation = owner.post("/api/ai/explanations", &explained).await.body;
    let cards = owner.post("/api/ai/flashcards", &json!({ "attempt_id": attempt, "count": 1 })).await.body;
    let plan = owner.post("/api/ai/study-plans", &json!({ "days": 1, "minutes_per_day": 10 })).await.body;
    let sitting = owner.post("/api/practice", &json!({ "count": 1 })).await.body;
    let expires_at = chrono::Utc::now() + chrono::TimeDelta::days(1);
    let token = json!({ "name": "mine", "scopes": ["read"], "expires_at": expires_at });
    let token = owner.post("/api/me/tokens", &token).await.body;
    let sessions = owner.get("/api/me/sessions").await.body;
    BTreeMap::from([
        ("/api/attempts/{id}", attempt.to_string()),
        ("/api/ai/explanations/{id}", text(&explanation["id"])),
        ("/api/ai/flashcards/{id}", text(&cards["id"])),
        ("/api/ai/study-plans/{id}", text(&plan["id"])),
        ("/api/jobs/{id}", text(&plan["job_id"])),
        ("/api/me/sessions/{id}", text(&sessions["items"][0]["id"])),
        ("/api/me/tokens/{id}", text(&token["id"])),
        ("/api/notifications/{id}", app.write(owner.id, "Only for you").await.id.to_string()),
        ("/api/sittings/{id}", text(&sitting["id"])),
    ])
}

/// The id for a path such as `/api/attempts/{id}/review`, if there is something behind it.
fn behind<'a>(belongings: &'a BTreeMap<&str, String>, path: &str) -> Option<&'a str> {
    let (front, _) = path.split_once("{id}")?;
    belongings.get(format!("{front}{{id}}").as_str()).map(String::as_str)
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn api1_broken_object_level_authorization(database: PgPool) {
    let app = Application::start(database).await;
    let (owner, other) = (app.student().await, app.student().await);
    let things = belongings(&app, &owner).await;
    let all = operations(&document(&app).await);
    let of_students = |operation: &&Operation| operation.path.contains("{id}") && !operation.is_for_admins();
    let mut asked = 0;
    for operation in all.iter().filter(of_students).filter(|operation| !PUBLIC.contains(&operation.path.as_str())) {
        let (method, path) = (&operation.method, &operation.path);
        let id = behind(&things, path).unwrap_or_else(|| panic!("nobody owns what is behind {path}: add it"));
        let body = json!({ "answers": [] });
        let foreign = ask(&other, operation, id, &body).await;
        assert_eq!(foreign.0, 404, "{method} {path}: {foreign:?}");
        let nothing = ask(&other, operation, &Uuid::now_v7().to_string(), &body).await;
        let as_if = |text: &str, id: &str| text.replace(id, "");
        assert_eq!(foreign.0, nothing.0, "{method} {path}");
        let nothing_at = serde_json::from_str::<Value>(&nothing.1).unwrap()["instance"].clone();
        let words = as_if(&nothing.1, nothing_at.as_str().unwrap());
        assert_eq!(as_if(&foreign.1, &operation.at(id)), words, "{method} {path}: no telling what is there");
        assert_eq!(ask(&app.anybody(), operation, id, &body).await.0, 401, "{method} {path}");
        asked += 1;
    }
    assert!(asked >= 12, "{asked}");
    for operation in all.iter().filter(of_students).filter(|operation| operation.method == Method::GET) {
        let Some(id) = behind(&things, &operation.path) else { continue };
        assert_eq!(ask(&owner, operation, id, &Value::Null).await.0, 200, "{}: nothing happened to it", operation.path);
    }
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn api2_broken_authentication(database: PgPool) {
    let app = Application::start(database).await;
    let (student, other) = (app.student().await, app.student().await);
    let token = student.token.clone().unwrap();
    let stored: Vec<u8> = sqlx::query_scalar("select token_hash from sessions where user_id = $1")
        .bind(student.id.0)
        .fetch_one(&app.database)
        .await
        .unwrap();
    let as_token = |bytes: &[u8]| {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
    };
    let mut changed = token.clone();
    changed.replace_range(..1, if token.starts_with('A') { "B" } else { "A" });
    let hex: String = stored.iter().map(|byte| format!("{byte:02x}")).collect();
    let longer = format!("{token}A");
    for (why, guess) in [
        ("a leaked hash opens nothing", as_token(&stored)),
        ("nor in hexadecimal digits", hex),
        ("another token", changed),
        ("a part of one", token[..42].to_owned()),
        ("one and more", longer),
        ("a session's token is no API token", format!("bwk_{token}")),
        ("an id is no token", student.id.to_string()),
        ("no token", String::new()),
    ] {
        student.with(&json!(guess)).get("/api/me").await.problem(401);
        let cookie = format!("bellwork_session={guess}");
        let by_cookie = app.anybody().request(Method::GET, "/api/me").header("cookie", cookie);
        assert_eq!(Answer::of(by_cookie).await.status, 401, "{why}");
    }
    for scheme in ["Basic", "Token", "bearer=", "Negotiate"] {
        let request =
            app.anybody().request(Method::GET, "/api/me").header("authorization", format!("{scheme} {token}"));
        assert_eq!(Answer::of(request).await.status, 401, "{scheme}");
    }
    app.anybody().get(&format!("/api/attempts?token={token}")).await.problem(401);

    let expired = app.student().await;
    let sql = "update sessions set expires_at = now() - interval '1 second' where user_id = $1";
    sqlx::query(sql).bind(expired.id.0).execute(&app.database).await.unwrap();
    expired.get("/api/me").await.problem(401);
    let program =
        json!({ "name": "p", "scopes": ["read"], "expires_at": chrono::Utc::now() + chrono::TimeDelta::days(1) });
    let issued = student.post("/api/me/tokens", &program).await.body;
    let program = student.with(&issued["token"]);
    assert_eq!(program.get("/api/attempts").await.status, 200);
    program.post("/api/me/tokens", &json!({})).await.problem(403);
    let revoked = student.delete(&format!("/api/me/tokens/{}", issued["id"].as_str().unwrap())).await;
    assert_eq!(revoked.status, 204);
    program.get("/api/attempts").await.problem(401);
    assert_eq!(student.post("/api/auth/logout", &Value::Null).await.status, 204);
    student.get("/api/me").await.problem(401);
    alike_for_unknown_and_known(&app, &other.email().await).await;
    app.stop().await;
}

/// Neither the words nor the time of an answer tell whether somebody has registered.
async fn alike_for_unknown_and_known(app: &Application, known: &str) {
    let emails = [known, "nobody@example.com"];
    let words = Mutex::new(Vec::new());
    let refused = async |email: &str| {
        let guess = json!({ "email": email, "password": "wrong horse" });
        let began = Instant::now();
        let answer = app.anybody().post("/api/auth/login", &guess).await;
        let took = began.elapsed();
        answer.problem(401);
        words.lock().unwrap().push(answer.body);
        forget_failures(app).await;
        took
    };
    as_quick("for who is unknown", async || refused(emails[1]).await, async || refused(known).await).await;
    as_quick("for who is known", async || refused(known).await, async || refused(emails[1]).await).await;
    for email in emails {
        let forgotten = app.anybody().post("/api/auth/forgot-password", &json!({ "email": email })).await;
        assert_eq!((forgotten.status.as_u16(), forgotten.header("location")), (202, "/api/auth/reset-password"));
    }
    let words = words.into_inner().unwrap();
    assert!(words.iter().all(|answer| *answer == words[0]), "{words:?}");
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn api3_broken_object_property_level_authorization(database: PgPool) {
    let app = Application::start(database).await;
    let (student, admin) = (app.student().await, app.admin().await);
    let document = document(&app).await;
    for operation in operations(&document).iter().filter(|operation| operation.takes("application/json")) {
        // A file of questions is read by a job, which reports what it does not know.
        if operation.takes("text/csv") {
            continue;
        }
        let caller = if operation.is_for_admins() { &admin } else { &student };
        for name in PRIVILEGED {
            let (status, answer) =
                ask(caller, operation, &Uuid::now_v7().to_string(), &json!({ *name: "admin" })).await;
            let place = format!("{} {} {name}: {answer}", operation.method, operation.path);
            assert_eq!(status, 422, "{place}");
            assert!(answer.contains(&format!("\"/{name}\"")), "{place}");
        }
    }
    assert_eq!(student.get("/api/me").await.body["role"], "student");

    let (things, foreign) = (belongings(&app, &student).await, admin.email().await);
    for operation in operations(&document).iter().filter(|operation| operation.method == Method::GET) {
        let nothing = Uuid::now_v7().to_string();
        let id = behind(&things, &operation.path).unwrap_or(&nothing);
        for caller in [&student, &admin] {
            let (status, answer) = ask(caller, operation, id, &Value::Null).await;
            assert!(status < 500, "{} {answer}", operation.path);
            assert!(!answer.contains("$argon2"), "{}", operation.path);
            assert!(caller.id == admin.id || !answer.contains(&foreign), "{} tells an address", operation.path);
            let Ok(body) = serde_json::from_str::<Value>(&answer) else { continue };
            if operation.path == "/api/openapi.json" {
                continue;
            }
            let mut keys = Vec::new();
            keys_of(&body, &mut keys);
            for key in keys {
                assert!(!SECRET.contains(&key.as_str()), "{} shows {key}", operation.path);
                let reviews = caller.id == admin.id || operation.path.ends_with("/review");
                assert!(reviews || key != "answer_key", "{} shows {key}", operation.path);
            }
        }
    }
    app.stop().await;
}

fn keys_of(value: &Value, keys: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                keys.push(key.clone());
                keys_of(value, keys);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys_of(item, keys)),
        _ => {}
    }
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn api4_unrestricted_resource_consumption(database: PgPool) {
    let app = Application::start(database.clone()).await;
    let admin = app.admin().await;
    let document = document(&app).await;
    let mut lists = 0;
    let nothing = Uuid::now_v7().to_string();
    for operation in operations(&document) {
        let place = format!("{} {}", operation.method, operation.path);
        for parameter in operation.parameters().filter(|parameter| parameter["in"] == "query") {
            let name = text(&parameter["name"]);
            assert!(name == "cursor" || is_bounded(&document, &parameter["schema"]), "{place}: {parameter}");
            if ["limit", "per_page"].contains(&name.as_str()) && operation.path != "/api/leaderboard" {
                let path = format!("{}?{name}=101", operation.at(&nothing));
                assert_eq!(admin.get(&path).await.problem(422), [format!("/{name}")], "{place}");
                lists += 1;
            }
        }
        let Some(content) = operation.said["requestBody"]["content"].as_object() else { continue };
        for (media_type, said) in content {
            let is_file = operation.takes("text/csv");
            assert!(is_file || is_bounded(&document, &said["schema"]), "{place}: {}", said["schema"]);
            let size = if is_file { 9 << 20 } else { 1025 << 10 };
            let request = admin.request(operation.method.clone(), &operation.at(&nothing)).header("if-match", "*");
            let answer = Answer::of(request.header("content-type", media_type).body(vec![b' '; size])).await;
            assert_eq!(answer.status, 413, "{place} {media_type}: {answer:?}");
            assert!(operation.said["responses"]["413"].is_object(), "{place} does not say so");
        }
    }
    assert!(lists >= 15, "{lists}");
    app.stop().await;
    let app = Application::start_with(database, &[("RATE_LIMITS", "all=100000/s,ai=2/min")]);
    let student = app.student().await;
    let asked = json!({ "days": 1, "minutes_per_day": 10 });
    let answers = [(); 3].map(|()| student.post("/api/ai/study-plans", &asked));
    let statuses: Vec<_> = join_all(answers).await.into_iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 1, "{statuses:?}");
    app.stop().await;
}

/// Whether every text, list and number that a schema takes has an end.
fn is_bounded(document: &Value, schema: &Value) -> bool {
    if let Some(reference) = schema["$ref"].as_str() {
        return is_bounded(document, document.pointer(&reference[1..]).unwrap());
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        if let Some(items) = schema[several].as_array() {
            return items.iter().all(|item| is_bounded(document, item));
        }
    }
    let kinds: Vec<_> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    !kinds.is_empty()
        && kinds.iter().all(|kind| match *kind {
            _ if schema["enum"].is_array() => true,
            "string" => {
                schema["maxLength"].is_u64()
                    || ["uuid", "date-time"].contains(&schema["format"].as_str().unwrap_or_default())
                    || schema["pattern"].as_str().is_some_and(|pattern| pattern.ends_with("}$"))
            }
            // A list of objects or of lists ends with the body, at the latest.
            "array" => {
                let items = &schema["items"];
                let large = items["oneOf"].is_array()
                    || ["object", "array"].contains(&items["type"].as_str().unwrap_or_default());
                (schema["maxItems"].is_u64() || large) && is_bounded(document, &schema["items"])
            }
            "integer" | "number" => schema["maximum"].is_number() && schema["minimum"].is_number(),
            "object" => {
                let closed = schema["additionalProperties"] == json!(false);
                let fields = schema["properties"].as_object().into_iter().flatten();
                closed && fields.into_iter().all(|(_, field)| is_bounded(document, field))
            }
            _ => true,
        })
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn api5_broken_function_level_authorization(database: PgPool) {
    let app = Application::start(database).await;
    let (student, admin) = (app.student().await, app.admin().await);
    let expires_at = chrono::Utc::now() + chrono::TimeDelta::days(1);
    let wanted = json!({ "name": "reads", "scopes": ["read", "attempts:write"], "expires_at": expires_at });
    let issued = admin.post("/api/me/tokens", &wanted).await.body;
    let program = admin.with(&issued["token"]);
    let scopes = json!({ "name": "more", "scopes": ["admin:write"], "expires_at": expires_at });
    assert_eq!(student.post("/api/me/tokens", &scopes).await.problem(409), ["/scopes/0"]);
    let mut asked = 0;
    for operation in operations(&document(&app).await) {
        let (id, place) = (Uuid::now_v7().to_string(), format!("{} {}", operation.method, operation.path));
        if operation.is_for_admins() {
            assert_eq!(ask(&student, &operation, &id, &json!({})).await.0, 403, "{place}");
            assert_eq!(ask(&program, &operation, &id, &json!({})).await.0, 403, "{place}");
            let disguised = student.request(Method::POST, &operation.at(&id));
            let disguised = disguised.header("x-http-method-override", operation.method.as_str());
            let status = Answer::of(disguised.header("x-original-url", "/api/me")).await.status.as_u16();
            assert!([403, 405].contains(&status), "{place}: {status}");
            asked += 1;
        }
        if operation.is_for_admins() || operation.is_for_the_signed_in() {
            assert_eq!(ask(&app.anybody(), &operation, &id, &json!({})).await.0, 401, "{place}");
        }
    }
    assert!(asked >= 30, "{asked}");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn api6_unrestricted_access_to_sensitive_business_flows(database: PgPool) {
    let app = Application::start(database).await;
    let (student, admin) = (app.student().await, app.admin().await);
    let model = json!({ "slug": "ada", "name": "Ada" });
    assert_eq!(admin.post("/api/admin/models", &model).await.status, 201);
    join_all((0..10).map(|_| vote(&student, "ada", 1))).await;
    assert_eq!(app.count("votes where value = 1").await, 1, "one live vote, however often it is cast");

    let mut timed = sums("timed");
    timed["time_limit"] = json!({ "minutes": 30 });
    let test = publish(&admin, &timed).await;
    let start = format!("/api/tests/{test}/start");
    let starts = join_all((0..10).map(|_| student.post(&start, &Value::Null))).await;
    assert!(starts.iter().all(|answer| answer.body["id"] == starts[0].body["id"]), "one sitting at a time: {starts:?}");
    let submission = json!({ "test_id": test, "answers": right_answers(&starts[0].body) });
    let hand_ins = join_all((0..10).map(|_| student.post("/api/attempts", &submission))).await;
    let (taken, refused): (Vec<_>, Vec<_>) = hand_ins.iter().partition(|answer| answer.status == 202);
    assert_eq!((taken.len(), app.count("attempts").await), (1, 1), "{hand_ins:?}");
    refused.iter().for_each(|answer| assert_eq!(answer.problem(409).len(), 0));

    let email = format!("{}@example.com", Uuid::now_v7());
    let body = json!({ "email": email, "password": "correct horse", "display_name": "Eve" });
    let anybody = app.anybody();
    let registrations = join_all((0..5).map(|_| anybody.post("/api/auth/register", &body))).await;
    assert_eq!(registrations.iter().filter(|answer| answer.status == 201).count(), 1, "{registrations:?}");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn api7_server_side_request_forgery(database: PgPool) {
    let trap = AiServer::start(Manner::Generous).await;
    let location = format!("Location: {}/chat/completions\r\n", trap.url());
    let server = AiServer::start(Manner::Fixed(307, location, String::new())).await;
    let exam = Exam::seed(&database).await;
    let app = Application::start_with(database, &[("AI_BASE_URL", &server.url())]);
    for operation in operations(&document(&app).await) {
        let place = format!("{} {}", operation.method, operation.path);
        let mut taken = vec![operation.said["requestBody"].clone()];
        taken.extend(operation.parameters().cloned());
        let taken = json!(taken).to_string();
        for sign in ["\"uri\"", "\"url\"", "\"iri\"", "_url\"", "webhook", "callback", "\"href\"", "\"host\""] {
            assert!(!taken.contains(sign), "{place} takes an address: {taken}");
        }
    }
    let student = app.student().await;
    let mut submission = exam.submission();
    submission["answers"][3]["text"] = json!("because http://169.254.169.254/latest/meta-data and file:///etc/passwd");
    assert_eq!(student.post("/api/attempts", &submission).await.status, 202);
    work(&app, "ai", Drain::Ready).await;
    server.request().await;
    assert_eq!(trap.unseen(), 0, "a redirect is not followed");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn api8_security_misconfiguration(database: PgPool) {
    let app = Application::start_with(database, &[("PUBLIC_URL", "https://exam.example")]);
    let student = app.student().await;
    for operation in operations(&document(&app).await) {
        let place = format!("{} {}", operation.method, operation.path);
        let path = operation.at(&Uuid::now_v7().to_string());
        // What ends the session would end the test.
        let ends = operation.method == Method::DELETE || path.ends_with("/logout");
        let caller = if ends { app.anybody() } else { student.clone() };
        let request = caller.request(operation.method.clone(), &path).header("origin", "https://evil.example");
        let response = request.header("content-type", "application/json").body("{\"a\": \0}").send().await.unwrap();
        let headers = response.headers().clone();
        let header = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap());
        assert_eq!(header("x-content-type-options"), "nosniff", "{place}");
        assert_eq!(header("x-frame-options"), "DENY", "{place}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{place}");
        assert!(header("content-security-policy").contains("default-src 'none'"), "{place}");
        assert!(headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{place}: {headers:?}");
        assert_eq!((header("server"), header("x-powered-by")), ("", ""), "{place}");
        assert!(response.status().as_u16() < 500, "{place}");
        if response.status().as_u16() >= 400 {
            let answer = response.text().await.unwrap();
            for inside in ["sqlx", "postgres", "panicked", ".rs:", "bellwork_shared", "select ", "RUST_"] {
                assert!(!answer.contains(inside), "{place}: {answer}");
            }
        }
        for method in [Method::OPTIONS, Method::TRACE] {
            let answer = app.anybody().request(method, &path).send().await.unwrap();
            assert_eq!(answer.status(), 405, "{place}");
        }
    }
    let email = student.email().await;
    let body = json!({ "email": email, "password": "correct horse" });
    let signed_in = app.anybody().post("/api/auth/login", &body).await;
    let cookies: Vec<_> = signed_in.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
    assert!(!cookies.is_empty());
    for cookie in cookies {
        assert!(cookie.starts_with("__Host-"), "{cookie}");
        for flag in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(cookie.split("; ").any(|part| part == flag), "{flag}: {cookie}");
        }
        assert!(!cookie.contains("Domain="), "{cookie}");
    }
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn api9_improper_inventory_management(database: PgPool) {
    let app = Application::start(database).await;
    let admin = app.admin().await;
    let mut strays: Vec<_> = [
        "/",
        "/api",
        "/api/",
        "/api/internal",
        "/api/debug",
        "/api/admin",
        "/api/v1/tests",
        "/v1/tests",
        "/tests",
        "/.env",
        "/.git/config",
        "/api/swagger.json",
        "/swagger-ui",
        "/metrics",
        "/health",
        "/api/openapi.yaml",
        "/api/graphql",
        "//api/me",
        "/api//me",
        "/api/./me/..",
        "/api%2Fme",
        "/api/me%00",
        "/api/me%2F",
        "/api/admin%2Fqueues",
        "/api;/me",
        "/api/me;a=b",
        "/api/me.json",
        "/API/ME",
        "/api/docs/../../Cargo.toml",
        "/api/docs/%2e%2e%2fCargo.toml",
        "/api/docs/..%2f..%2fCargo.toml",
    ]
    .map(ToOwned::to_owned)
    .into();
    let document = document(&app).await;
    for path in operations(&document).iter().map(|operation| operation.at(&Uuid::now_v7().to_string())) {
        let (front, last) = path.rsplit_once('/').unwrap();
        strays.extend([format!("{path}/"), format!("{path}%2F"), format!("{front}//{last}"), format!("{path}/x/y/z")]);
        strays.push(format!("{front}%2F{last}"));
    }
    for stray in strays {
        // By hand: a client's library would tidy the path.
        let answer = raw(&app, &admin, &stray).await;
        assert!(["400", "404", "405"].contains(&&answer[9..12]), "{stray}: {answer}");
    }
    let ours = env!("CARGO_PKG_VERSION");
    assert_eq!(document["info"]["version"], ours);
    app.stop().await;
}

/// What the server says to exactly this path.
async fn raw(app: &Application, caller: &Caller, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut socket = tokio::net::TcpStream::connect(app.server.address()).await.unwrap();
    let token = caller.token.as_ref().unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    within("an answer", socket.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn api10_unsafe_consumption_of_apis(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let server = AiServer::start(Manner::Generous).await;
    let variables = [("AI_BASE_URL", server.url()), ("AI_TIMEOUT_SECONDS", "1".to_owned())];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let app = Application::start_with(database, &variables);
    let student = app.student().await;
    let no_headers = String::new;
    let hostile = "'; drop table users; --\0\u{202e}<script>alert(1)</script>";
    for (manner, how) in [
        (Manner::Fixed(200, no_headers(), "x".repeat(8 << 20)), "huge"),
        (Manner::Silent, "never"),
        (Manner::Fixed(200, no_headers(), "<html>".to_owned()), "garbage"),
        (Manner::Fixed(200, no_headers(), "[".repeat(500_000)), "deep"),
        (Manner::Fixed(302, "Location: http://127.0.0.1:1/\r\n".to_owned(), String::new()), "redirecting"),
        (Manner::Fixed(500, no_headers(), "panic at secret.py:1".to_owned()), "broken"),
        (Manner::Says(json!({ "met": [{ "id": "k", "quote": hostile }], "comment": hostile }).to_string()), "lying"),
        (Manner::Says(json!({ "score": 100, "role": "admin" }).to_string()), "of another schema"),
    ] {
        server.behave(manner);
        let mut submission = exam.submission();
        submission["answers"][3]["text"] = json!("I do not know.");
        let accepted = student.post("/api/attempts", &submission).await;
        assert_eq!(accepted.status, 202, "{how}: {accepted:?}");
        within(how, work(&app, "ai", Drain::Ready)).await;
        let attempt = student.get(accepted.header("location")).await;
        assert_eq!(attempt.status, 200, "{how}");
        let text = attempt.body.to_string();
        for sign in ["<html>", "secret.py", "drop table", "xxxxxxxx", "127.0.0.1"] {
            assert!(!text.contains(sign), "{how} reaches the student: {text}");
        }
        let line = attempt.body["feedback"].as_array().into_iter().flatten();
        let earned: f64 = line
            .filter(|line| line["question_id"] == json!(exam.text))
            .filter_map(|line| line["points"].as_f64())
            .sum();
        assert!(earned.abs() < f64::EPSILON, "{how}: an answer that says nothing earns nothing: {text}");
    }
    assert_eq!(student.get("/api/me").await.body["role"], "student");
    app.stop().await;
}
