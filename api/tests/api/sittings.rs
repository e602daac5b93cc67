//! Timed tests. Time passes in the rows: the clock is PostgreSQL's.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::application::{Application, Caller};
use crate::content::{post_nothing, publish, republish, right_answers, sums};

fn timed(late: &str) -> Value {
    let mut content = sums("sums");
    content["time_limit"] = json!({ "minutes": 30, "late": late });
    content
}

async fn start(student: &Caller, test: &str) -> Value {
    let started = post_nothing(student, &format!("/api/tests/{test}/start")).await;
    assert_eq!(started.status, 201, "{started:?}");
    assert_eq!(started.header("location"), format!("/api/sittings/{}", started.body["id"].as_str().unwrap()));
    started.body
}

/// As if all sittings had been started so much earlier.
async fn let_pass(database: &PgPool, seconds: i32) {
    let back = "update sittings set started_at = started_at - make_interval(secs => $1),
                deadline = deadline - make_interval(secs => $1), closes_at = closes_at - make_interval(secs => $1)";
    sqlx::query(back).bind(seconds).execute(database).await.unwrap();
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_timed_test_is_started_saved_and_handed_in(database: PgPool) {
    let app = Application::start(database).await;
    let (admin, student, other) = (app.admin().await, app.student().await, app.student().await);
    let test = publish(&admin, &timed("refuse")).await;
    let sheet = student.get(&format!("/api/tests/{test}")).await.body;
    assert_eq!(sheet["time_limit"], json!({ "minutes": 30, "late": "refuse" }));
    assert_eq!((&sheet["question_count"], &sheet["questions"]), (&json!(2), &json!([])), "the clock runs first");

    let sitting = start(&student, &test).await;
    assert_eq!((&sitting["state"], &sitting["version"]), (&json!("running"), &json!(1)));
    assert!(!sitting.to_string().contains("Count your") && !sitting.to_string().contains("answer_key"));
    let seconds: f64 = sqlx::query_scalar("select extract(epoch from deadline - started_at)::float8 from sittings")
        .fetch_one(&app.database)
        .await
        .unwrap();
    assert!((seconds - 1800.0).abs() < 0.001, "{seconds}");
    assert_eq!(start(&student, &test).await["id"], sitting["id"], "starting again shows what runs");

    let path = format!("/api/sittings/{}", sitting["id"].as_str().unwrap());
    let answers = right_answers(&sitting);
    assert_eq!(student.put(&format!("{path}/answers"), &json!({ "answers": [answers[0]] })).await.status, 204);
    assert_eq!(student.get(&path).await.body["answers"], json!([answers[0]]));
    let wrong = json!({ "answers": [{ "question_id": sitting["questions"][0]["id"], "number": 1 }] });
    assert_eq!(student.put(&format!("{path}/answers"), &wrong).await.problem(422), ["/answers/0"]);
    other.get(&path).await.problem(404);
    other.put(&format!("{path}/answers"), &json!({ "answers": [] })).await.problem(404);

    let submission = json!({ "test_id": test, "answers": answers });
    assert_eq!(other.post("/api/attempts", &submission).await.problem(409).len(), 0);
    let stolen = json!({ "test_id": test, "answers": answers, "sitting_id": sitting["id"] });
    assert_eq!(other.post("/api/attempts", &stolen).await.problem(404), ["/sitting_id"]);
    let accepted = student.post("/api/attempts", &submission).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let ended = student.get(&path).await.body;
    assert_eq!((&ended["state"], &ended["attempt_id"]), (&json!("handed_in"), &accepted.body["id"]));
    let refused = student.post("/api/attempts", &stolen).await;
    assert_eq!(refused.body["type"], "urn:bellwork:problem:sitting-over", "{refused:?}");
    student.put(&format!("{path}/answers"), &json!({ "answers": [] })).await.problem(409);
    assert_ne!(start(&student, &test).await["id"], sitting["id"]);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn fifty_starts_at_once_are_one_sitting(database: PgPool) {
    let app = Application::start(database).await;
    let (admin, student) = (app.admin().await, app.student().await);
    let test = publish(&admin, &timed("refuse")).await;
    let starts = futures_util::future::join_all((0..50).map(|_| start(&student, &test))).await;
    assert!(starts.iter().all(|sitting| sitting["id"] == starts[0]["id"]));
    assert_eq!(app.count("sittings").await, 1);
    assert_eq!(app.count("jobs where kind = 'close_sitting'").await, 1);

    let submission = json!({ "test_id": test, "answers": right_answers(&starts[0]) });
    let hand_ins = (0..20).map(|_| student.post("/api/attempts", &submission));
    let statuses: Vec<_> =
        futures_util::future::join_all(hand_ins).await.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 202).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [202, 409].contains(status)), "{statuses:?}");
    assert_eq!(app.count("attempts").await, 1);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn late_answers_are_refused_by_the_databases_clock(database: PgPool) {
    let app = Application::start(database).await;
    let (admin, student) = (app.admin().await, app.student().await);
    let test = publish(&admin, &timed("refuse")).await;
    let sitting = start(&student, &test).await;
    let path = format!("/api/sittings/{}/answers", sitting["id"].as_str().unwrap());
    let submission = json!({ "test_id": test, "answers": right_answers(&sitting) });
    let_pass(&app.database, 30 * 60 + 15).await;
    assert_eq!(student.put(&path, &json!({ "answers": submission["answers"] })).await.status, 204, "within the grace");
    let_pass(&app.database, 20).await;
    let refused = student.post("/api/attempts", &submission).await;
    refused.problem(409);
    assert_eq!(refused.body["type"], "urn:bellwork:problem:sitting-over");
    student.put(&path, &json!({ "answers": [] })).await.problem(409);
    assert_eq!((app.count("attempts").await, app.count("sittings where ended_at is null").await), (0, 1));

    let again = start(&student, &test).await;
    assert_ne!(again["id"], sitting["id"], "a start does what the closing job has not come to");
    assert_eq!((&again["state"], app.count("attempts").await), (&json!("running"), 1));
    let closed = student.get(&format!("/api/sittings/{}", sitting["id"].as_str().unwrap())).await.body;
    assert_eq!(closed["state"], "handed_in");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn late_answers_are_marked_and_not_ranked_if_the_test_says_so(database: PgPool) {
    let app = Application::start(database).await;
    let (admin, student) = (app.admin().await, app.student().await);
    let test = publish(&admin, &timed("mark")).await;
    let mut marks = Vec::new();
    for (seconds, status) in [(30 * 60 + 15, 202), (30 * 60 + 45, 202), (25 * 3600, 409)] {
        let sitting = start(&student, &test).await;
        let_pass(&app.database, seconds).await;
        let submission = json!({ "test_id": test, "answers": right_answers(&sitting) });
        let answer = student.post("/api/attempts", &submission).await;
        assert_eq!(answer.status.as_u16(), status, "{answer:?}");
        if let Some(id) = answer.body["id"].as_str() {
            marks.push(student.get(&format!("/api/attempts/{id}")).await.body["late"].clone());
        }
    }
    assert_eq!(marks, [json!(null), json!(true)]);
    assert_eq!(app.count("attempts where ranks").await, 1);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_repeated_hand_in_gets_its_first_answer(database: PgPool) {
    let app = Application::start(database).await;
    let (admin, student) = (app.admin().await, app.student().await);
    let test = publish(&admin, &timed("refuse")).await;
    let sitting = start(&student, &test).await;
    let submission = json!({ "test_id": test, "answers": right_answers(&sitting), "sitting_id": sitting["id"] });
    let send = async || {
        let request = student.request(reqwest::Method::POST, "/api/attempts").header("idempotency-key", "k");
        crate::application::Answer::of(request.json(&submission)).await
    };
    let (first, second) = (send().await, send().await);
    assert_eq!((first.status.as_u16(), &first.body), (202, &second.body));
    assert_eq!(second.header("idempotency-replayed"), "true");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_sitting_keeps_its_version_and_outlives_the_test(database: PgPool) {
    let app = Application::start(database).await;
    let (admin, student) = (app.admin().await, app.student().await);
    let test = publish(&admin, &timed("refuse")).await;
    let sitting = start(&student, &test).await;
    republish(&admin, &test, &sums("sums")).await;
    assert_eq!(post_nothing(&admin, &format!("/api/admin/tests/{test}/archive")).await.status, 200);
    let again = student.get(&format!("/api/sittings/{}", sitting["id"].as_str().unwrap())).await.body;
    assert_eq!(again["questions"], sitting["questions"]);
    let submission = json!({ "test_id": test, "answers": right_answers(&sitting), "sitting_id": sitting["id"] });
    assert_eq!(student.post("/api/attempts", &submission).await.status, 202);
    let version: i32 = sqlx::query_scalar("select test_version from attempts").fetch_one(&app.database).await.unwrap();
    assert_eq!(version, 1);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn what_has_no_time_limit_is_not_started(database: PgPool) {
    let app = Application::start(database).await;
    let (admin, student) = (app.admin().await, app.student().await);
    let test = publish(&admin, &sums("sums")).await;
    post_nothing(&student, &format!("/api/tests/{test}/start")).await.problem(409);
    post_nothing(&student, &format!("/api/tests/{}/start", uuid::Uuid::now_v7())).await.problem(404);
    post_nothing(&app.anybody(), &format!("/api/tests/{test}/start")).await.problem(401);
    app.stop().await;
}
