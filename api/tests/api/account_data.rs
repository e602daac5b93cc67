//! What is kept about a student: how they get it, and how it goes.

use std::collections::BTreeMap;

use bellwork_shared::cache::Scope;
use bellwork_shared::models::{self, NewModel};
use bellwork_testkit::{test_run, until};
use bellwork_tests::rehearsal::Rehearsal;
use chrono::{TimeDelta, Utc};
use futures_util::future::{join, join_all};
use reqwest::Method;
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use crate::application::{Answer, Application, Caller};
use crate::events::Events;
use crate::exam::Exam;

const EMAIL: &str = "zerlina.quittenbaum@example.com";
const NAME: &str = "Zerlina Quittenbaum";
const WORDS: &str = "Because my aunt Philippa lives there.";
/// What must be found nowhere afterwards, in whatever case.
const TRACES: [&str; 4] = ["quittenbaum", "zerlina", "philippa", "Zerlinas laptop"];

async fn run_all_jobs(database: &PgPool) {
    let rehearsal = Rehearsal::new(database).await;
    rehearsal.adopt().await;
    rehearsal.drain().await;
}

async fn register(app: &Application) -> Caller {
    let body = json!({ "email": EMAIL, "password": "correct horse", "display_name": NAME });
    let answer = app.anybody().post("/api/auth/register", &body).await;
    let id = answer.body["user"]["id"].as_str().unwrap().parse().unwrap();
    Caller { id, ..app.anybody().with(&answer.body["token"]) }
}

/// Somebody who has done everything that leaves something behind.
async fn busy_student(app: &Application, exam: &Exam) -> Caller {
    let student = register(app).await;
    let mut submission = exam.submission();
    submission["answers"][3]["text"] = json!(WORDS);
    let submit = student.request(Method::POST, "/api/attempts").header("idempotency-key", "zerlina-1");
    assert_eq!(Answer::of(submit.json(&submission)).await.status, 202);
    let token = json!({ "name": "Zerlinas laptop", "scopes": ["read"], "expires_at": Utc::now() + TimeDelta::days(1) });
    assert_eq!(student.post("/api/me/tokens", &token).await.status, 201);
    assert_eq!(app.anybody().post("/api/auth/forgot-password", &json!({ "email": EMAIL })).await.status, 202);
    let model: NewModel = serde_json::from_value(json!({ "slug": "owl", "name": "Owl" })).unwrap();
    models::insert(&mut app.database.acquire().await.unwrap(), &model).await.unwrap();
    assert_eq!(student.post("/api/models/owl/vote", &json!({ "value": 1 })).await.status, 200);
    run_all_jobs(&app.database).await;
    assert_eq!(student.post("/api/me/export", &json!({})).await.status, 202);
    run_all_jobs(&app.database).await;
    student
}

/// The tables whose rows hold `trace`.
async fn tables_with(database: &PgPool, trace: &str) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.tables
         where table_schema = 'public' and table_type = 'BASE TABLE' order by 1",
    )
    .fetch_all(database)
    .await
    .unwrap();
    let mut found = Vec::new();
    for table in tables {
        let select = AssertSqlSafe(format!("select count(*) from {table} as kept where kept::text ilike $1"));
        let rows: i64 = sqlx::query_scalar(select).bind(format!("%{trace}%")).fetch_one(database).await.unwrap();
        if rows > 0 {
            found.push(table);
        }
    }
    found
}

async fn histogram(database: &PgPool) -> Vec<(String, i32, i64)> {
    let select = "select period::text, score, entries from leaderboard_histogram order by 1, 2";
    sqlx::query_as(select).fetch_all(database).await.unwrap()
}

async fn erase(student: &Caller, password: &str) -> Answer {
    student.send(Method::DELETE, "/api/me", &json!({ "password": password })).await
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn after_an_erasure_no_row_names_the_student_and_every_score_counts(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database.clone()).await;
    let other = app.student().await;
    other.post("/api/attempts", &exam.submission()).await;
    let student = busy_student(&app, &exam).await;
    for trace in TRACES {
        assert!(!tables_with(&database, trace).await.is_empty(), "{trace} is there to be erased");
    }
    let (scores, board) = (histogram(&database).await, format!("/api/leaderboard?test_id={}", exam.id));
    assert_eq!(other.get(&board).await.body["total"], 2);
    let (mut stream, _) = Events::greeted(&student, None).await;

    assert_eq!(erase(&student, "wrong horse").await.problem(403), ["/password"]);
    let gone = erase(&student, "correct horse").await;
    assert_eq!(gone.status, 204, "{gone:?}");
    assert!(gone.header("set-cookie").contains("Max-Age=0"), "{gone:?}");
    for trace in TRACES {
        assert_eq!(tables_with(&database, trace).await, [""; 0], "{trace}");
    }
    assert_eq!(
        tables_with(&database, &student.id.to_string()).await,
        [""; 0],
        "nothing leads from the shell to its id"
    );
    assert_eq!(histogram(&database).await, scores);
    let shown = other.get(&board).await.body;
    assert_eq!(shown["total"], 2);
    assert!(
        shown["entries"].as_array().unwrap().iter().any(|entry| entry["user"]["display_name"] == "Deleted student")
    );
    assert!(!shown.to_string().contains(&student.id.to_string()), "nothing leads from the shell to the student");

    assert!(stream.end().await.is_some());
    student.get("/api/me").await.problem(401);
    let login = json!({ "email": EMAIL, "password": "correct horse" });
    app.anybody().post("/api/auth/login", &login).await.problem(401);
    assert_eq!(app.count("users where erased_at is not null and password_hash = ''").await, 1);
    assert_eq!(app.count("attempts where status = 'graded'").await, 2);
    let again = register(&app).await;
    assert_eq!(again.get("/api/attempts").await.body["items"], json!([]), "the address can begin anew");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn jobs_that_wait_for_an_erased_student_end_and_leave_nothing(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database.clone()).await;
    let student = register(&app).await;
    let mut submission = exam.submission();
    submission["answers"][3]["text"] = json!(WORDS);
    student.post("/api/attempts", &submission).await;
    app.anybody().post("/api/auth/forgot-password", &json!({ "email": EMAIL })).await;
    assert_eq!(erase(&student, "correct horse").await.status, 204);
    run_all_jobs(&database).await;
    assert_eq!(app.count("jobs where finished_at is null").await, 0);
    assert_eq!(app.count("attempts where status = 'failed' and score is null").await, 1);
    assert_eq!(app.count("notifications").await, 0);
    for trace in TRACES {
        assert_eq!(tables_with(&database, trace).await, [""; 0], "{trace}");
    }
    app.stop().await;
}

/// What the cache keeps, key by key.
async fn cached(app: &Application) -> BTreeMap<String, Vec<u8>> {
    let mut redis = test_run::redis().await;
    let pattern = format!("{}:cache:*", app.config.redis.prefix);
    let keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query_async(&mut redis).await.unwrap();
    let mut cached = BTreeMap::new();
    for key in keys {
        let value: Vec<u8> = redis::cmd("GET").arg(&key).query_async(&mut redis).await.unwrap();
        cached.insert(key, value);
    }
    cached
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn after_an_erasure_no_session_is_cached_and_no_notification_is_found(database: PgPool) {
    let app = Application::start(database).await;
    let student = app.student().await;
    assert_eq!(student.get("/api/notifications").await.status, 200);
    let told = format!("{}:cache:{{{}}}", app.config.redis.prefix, Scope::Notifications(student.id));
    let sessions = |cached: &BTreeMap<String, Vec<u8>>| {
        let of_student = |value: &&Vec<u8>| String::from_utf8_lossy(value).contains(&student.id.to_string());
        cached.values().filter(of_student).count()
    };
    let before = cached(&app).await;
    assert_eq!(sessions(&before), 1);
    assert_eq!(erase(&student, "correct horse").await.status, 204);
    let after = cached(&app).await;
    assert_eq!(sessions(&after), 0);
    assert_ne!(before[&told], after[&told], "values are found by this token");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn an_erasure_that_gives_way_to_another_transaction_begins_again(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database.clone()).await;
    let student = register(&app).await;
    student.post("/api/attempts", &exam.submission()).await;
    let mut other = database.begin().await.unwrap();
    let of_student =
        async |conn: &mut PgConnection, lock: &'static str| sqlx::query(lock).bind(student.id.0).execute(conn).await;
    of_student(&mut other, "select from attempts where user_id = $1 for update").await.unwrap();
    let (gone, ()) = join(erase(&student, "correct horse"), async {
        until("the erasure waits", async || {
            let waits = "select exists (select from pg_locks join pg_stat_activity using (pid)
                                        where not granted and datname = current_database())";
            sqlx::query_scalar(waits).fetch_one(&database).await.unwrap()
        })
        .await;
        // The erasure has waited longer, so it looks for the deadlock first and is the one that ends.
        of_student(&mut other, "select from users where id = $1 for key share").await.unwrap();
        other.commit().await.unwrap();
    })
    .await;
    assert_eq!(gone.status, 204, "{gone:?}");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn what_is_written_at_the_same_moment_fails_or_goes_too(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database.clone()).await;
    let student = register(&app).await;
    let mut submission = exam.submission();
    submission["answers"][3]["text"] = json!(WORDS);
    let submitting = join_all((0..20).map(|_| student.post("/api/attempts", &submission)));
    let (gone, answers) = join(erase(&student, "correct horse"), submitting).await;
    assert_eq!(gone.status, 204, "{gone:?}");
    for answer in &answers {
        assert!([202, 401].contains(&answer.status.as_u16()), "{answer:?}");
    }
    run_all_jobs(&database).await;
    for trace in TRACES {
        assert_eq!(tables_with(&database, trace).await, [""; 0], "{trace}");
    }
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn an_export_holds_what_the_tables_hold(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database.clone()).await;
    app.student().await.post("/api/attempts", &exam.submission()).await;
    let student = busy_student(&app, &exam).await;
    let answer = student.get("/api/me/export").await;
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"bellwork.json\"");
    let document = &answer.body;
    assert_eq!(document["users"][0]["email"], EMAIL);
    assert_eq!(document["attempts"][0]["answers"][3]["text"], WORDS);
    for table in ["attempts", "sessions", "api_tokens", "leaderboard_entries", "notifications", "idempotency_keys"] {
        let select = AssertSqlSafe(format!("select count(*) from {table} where user_id = $1"));
        let rows: i64 = sqlx::query_scalar(select).bind(student.id.0).fetch_one(&database).await.unwrap();
        assert!(rows > 0, "{table} is to be tested");
        let exported = document[table].as_array().map_or(0, Vec::len);
        assert_eq!(i64::try_from(exported).unwrap(), rows, "{table}");
    }
    let text = document.to_string();
    for secret in ["token_hash", "password_hash", "$argon2"] {
        assert!(!text.contains(secret), "{secret}");
    }
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn one_export_is_made_at_a_time_and_kept_for_a_week(database: PgPool) {
    let app = Application::start(database.clone()).await;
    let (student, other) = (app.student().await, app.student().await);
    student.get("/api/me/export").await.problem(404);
    let ask = async || student.post("/api/me/export", &json!({})).await.body["job_id"].clone();
    let first = ask().await;
    assert_eq!(ask().await, first, "it is under way");
    let nothing = json!({});
    let asked = join_all((0..10).map(|_| other.post("/api/me/export", &nothing))).await;
    assert!(asked.iter().all(|answer| answer.body["job_id"] == asked[0].body["job_id"]), "{asked:?}");
    run_all_jobs(&database).await;
    assert_eq!(student.get("/api/me/export").await.body["users"][0]["id"], json!(student.id));
    assert_ne!(ask().await, first);
    assert_eq!(student.get("/api/me/export").await.status, 200, "the old one stays until the new one is made");
    sqlx::query("update exports set made_at = now() - interval '8 days'").execute(&database).await.unwrap();
    student.get("/api/me/export").await.problem(404);
    app.stop().await;
}
