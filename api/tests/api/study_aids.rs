//! Study aids over HTTP: what is accepted, what is refused, and who sees what.

use std::collections::BTreeSet;

use bellwork_shared::ai::budget::{self, NewCall, Purpose, Reserving, Spent};
use bellwork_shared::attempts::Feedback;
use bellwork_shared::config::ai::DailyBudget;
use bellwork_shared::ids::{AttemptId, JobId, UserId};
use bellwork_shared::topics;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::application::{Answer, Application, Caller};
use crate::exam::Exam;

/// An attempt of `user` that has been graded.
pub(crate) async fn graded(database: &PgPool, exam: &Exam, user: UserId) -> AttemptId {
    let id = AttemptId::new();
    let lines = [(exam.single, 0), (exam.multiple, 1), (exam.numeric, 0), (exam.text, 1)];
    let answers = &exam.submission()["answers"];
    let line = |(question, points)| json!({ "question_id": question, "correct": false, "points": points, "comment": "Hm.", "graded_by": "exact" });
    let feedback: Value = lines.map(line).into_iter().collect();
    let insert =
        "insert into attempts (id, user_id, test_id, job_id, status, answers, score, max_score, feedback, graded_at)
                  values ($1, $2, $3, $4, 'graded', $5, 200, 500, $6, now())";
    let insert = sqlx::query(insert).bind(id.0).bind(user.0).bind(exam.id.0).bind(Uuid::now_v7());
    insert.bind(answers).bind(&feedback).execute(database).await.unwrap();
    let feedback: Vec<Feedback> = serde_json::from_value(feedback).unwrap();
    topics::record(&mut database.acquire().await.unwrap(), id, &feedback).await.unwrap();
    id
}

async fn ask(caller: &Caller, path: &str, key: &str, body: &Value) -> Answer {
    Answer::of(caller.request(Method::POST, path).header("Idempotency-Key", key).json(body)).await
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn each_aid_is_accepted_with_its_job_and_shown_to_its_owner_alone(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let (student, other) = (app.student().await, app.student().await);
    let attempt = graded(&app.database, &exam, student.id).await;
    for (path, kind, body) in [
        ("/api/ai/explanations", "explain_answer", json!({ "attempt_id": attempt, "question_id": exam.text })),
        ("/api/ai/study-plans", "plan_study", json!({ "subject": "logic", "days": 30, "minutes_per_day": 10 })),
        ("/api/ai/flashcards", "make_flashcards", json!({ "attempt_id": attempt, "count": 30 })),
        ("/api/ai/flashcards", "make_flashcards", json!({ "subject": "logic", "topic": "logic", "count": 1 })),
    ] {
        let accepted = student.post(path, &body).await;
        assert_eq!((accepted.status.as_u16(), &accepted.body["status"]), (202, &json!("queued")), "{accepted:?}");
        let location = accepted.header("location").to_owned();
        assert_eq!(location, format!("{path}/{}", accepted.body["id"].as_str().unwrap()));
        let job = student.get(&format!("/api/jobs/{}", accepted.body["job_id"].as_str().unwrap())).await.body;
        assert_eq!((&job["kind"], &job["queue"], &job["state"]), (&json!(kind), &json!("ai"), &json!("ready")));
        let shown = student.get(&location).await;
        assert_eq!((shown.status.as_u16(), &shown.body["result"]), (200, &Value::Null));
        for (field, value) in body.as_object().unwrap() {
            assert_eq!(&shown.body["asked"][field], value, "{path}: what was asked is shown");
        }
        let listed = student.get(&format!("{path}?limit=1")).await.body;
        assert_eq!(listed["items"][0], shown.body);
        other.get(&location).await.problem(404);
        assert_eq!(other.get(path).await.body["items"], json!([]));
        app.anybody().get(&location).await.problem(401);
    }
    let page = student.get("/api/ai/flashcards?limit=1").await.body;
    let next = format!("/api/ai/flashcards?limit=1&cursor={}", page["next_cursor"].as_str().unwrap());
    let last = student.get(&next).await.body;
    assert_ne!(page["items"][0]["id"], last["items"][0]["id"]);
    assert_eq!(last["next_cursor"], Value::Null);
    let plan = student.get("/api/ai/study-plans").await.body["items"][0]["id"].as_str().unwrap().to_owned();
    student.get(&format!("/api/ai/flashcards/{plan}")).await.problem(404);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn what_cannot_be_made_is_refused_with_the_reason(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let (student, other) = (app.student().await, app.student().await);
    let attempt = graded(&app.database, &exam, student.id).await;
    let foreign = graded(&app.database, &exam, other.id).await;
    let fresh = student.post("/api/attempts", &exam.submission()).await.body["id"].clone();
    let (explanations, plans, cards) = ("/api/ai/explanations", "/api/ai/study-plans", "/api/ai/flashcards");
    let long = "x".repeat(101);
    for (path, body, status, pointer) in [
        (explanations, json!({ "attempt_id": foreign, "question_id": exam.text }), 404, Some("/attempt_id")),
        (explanations, json!({ "attempt_id": attempt, "question_id": Uuid::now_v7() }), 404, Some("/question_id")),
        (explanations, json!({ "attempt_id": fresh, "question_id": exam.text }), 409, None),
        (explanations, json!({ "attempt_id": attempt }), 422, Some("/question_id")),
        (explanations, json!({ "attempt_id": attempt, "question_id": exam.text, "x": 1 }), 422, Some("/x")),
        (plans, json!({ "days": 0, "minutes_per_day": 10 }), 422, Some("/days")),
        (plans, json!({ "days": 31, "minutes_per_day": 10 }), 422, Some("/days")),
        (plans, json!({ "days": 1, "minutes_per_day": 481 }), 422, Some("/minutes_per_day")),
        (plans, json!({ "days": 1, "minutes_per_day": -1 }), 422, Some("/minutes_per_day")),
        (plans, json!({ "days": 1, "minutes_per_day": 10, "subject": "a\0b" }), 422, Some("/subject")),
        (plans, json!({ "days": 1, "minutes_per_day": 10, "subject": long }), 422, Some("/subject")),
        (plans, json!({ "days": 1, "minutes_per_day": 10, "subject": "astronomy" }), 409, None),
        (cards, json!({ "attempt_id": foreign, "count": 5 }), 404, Some("/attempt_id")),
        (cards, json!({ "attempt_id": fresh, "count": 5 }), 409, None),
        (cards, json!({ "attempt_id": attempt, "count": 0 }), 422, Some("/count")),
        (cards, json!({ "attempt_id": attempt, "subject": "logic", "count": 5 }), 422, Some("/attempt_id")),
        (cards, json!({ "topic": "logic", "count": 5 }), 422, Some("/subject")),
        (cards, json!({ "subject": "logic", "topic": "\0", "count": 5 }), 422, Some("/topic")),
        (cards, json!({ "subject": "astronomy", "count": 5 }), 409, None),
    ] {
        let pointers = student.post(path, &body).await.problem(status);
        assert_eq!(pointers.first().map(String::as_str), pointer, "{path} {body}");
    }
    app.anybody().post(plans, &json!({ "days": 1, "minutes_per_day": 10 })).await.problem(401);
    assert_eq!(app.count("study_aids").await, 0);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn fifty_requests_with_one_key_make_one_aid(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let student = app.student().await;
    graded(&app.database, &exam, student.id).await;
    let body = json!({ "days": 2, "minutes_per_day": 20 });
    let answers = join_all((0..50).map(|_| ask(&student, "/api/ai/study-plans", "k", &body))).await;
    let accepted: Vec<_> = answers.iter().filter(|answer| answer.status == 202).collect();
    assert!(!accepted.is_empty() && accepted.iter().all(|answer| answer.body == accepted[0].body));
    assert!(answers.iter().all(|answer| matches!(answer.status.as_u16(), 202 | 409)));
    assert_eq!((app.count("study_aids").await, app.count("jobs where kind = 'plan_study'").await), (1, 1));
    ask(&student, "/api/ai/study-plans", "k", &json!({ "days": 3, "minutes_per_day": 20 })).await.problem(422);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_spent_budget_is_a_429_until_midnight(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let variables = [
        ("AI_BASE_URL", "http://127.0.0.1:9/v1"),
        ("AI_MODEL", "m"),
        ("AI_PRICES", "m=1/2"),
        ("AI_DAILY_BUDGET_USER", "0.01"),
        ("AI_DAILY_BUDGET_TOTAL", "0.015"),
    ];
    let app = Application::start_with(database, &variables);
    let (rich, poor, third) = (app.student().await, app.student().await, app.student().await);
    for student in [&rich, &poor, &third] {
        graded(&app.database, &exam, student.id).await;
    }
    let body = json!({ "days": 1, "minutes_per_day": 20 });
    let first = ask(&poor, "/api/ai/study-plans", "k", &body).await;
    assert_eq!(first.status, 202);
    spend(&app.database, poor.id, 10_000).await;
    let refused = poor.post("/api/ai/study-plans", &body).await;
    refused.problem(429);
    let midnight = (budget::next_day(chrono::Utc::now()) - chrono::Utc::now()).num_seconds();
    let retry_after: i64 = refused.header("retry-after").parse().unwrap();
    assert!((midnight - 5..=midnight + 5).contains(&retry_after), "{retry_after} of {midnight}");
    assert_eq!(refused.body["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(refused.body["violated-policies"], json!(["ai-daily-budget"]));
    assert_eq!(ask(&poor, "/api/ai/study-plans", "k", &body).await.body, first.body, "a repetition costs nothing");
    assert_eq!(rich.post("/api/ai/study-plans", &body).await.status, 202, "another student's budget is their own");
    spend(&app.database, rich.id, 5_000).await;
    third.post("/api/ai/study-plans", &body).await.problem(429);
    assert_eq!(app.count("study_aids").await, 2);
    let own = poor.get("/api/me/ai-usage").await.body;
    assert_eq!(own["items"].as_array().unwrap().len(), 1);
    app.stop().await;
}

async fn spend(database: &PgPool, user: UserId, cost_micros: i64) {
    let mut conn = database.acquire().await.unwrap();
    let call =
        NewCall { job: JobId::new(), user: Some(user), purpose: Purpose::Aid, model: "m", highest_micros: cost_micros };
    let Reserving::Reserved(reservation) = budget::reserve(&mut conn, DailyBudget::default(), &call).await.unwrap()
    else {
        panic!("there is no limit here")
    };
    let spent = Spent { requests: 1, prompt_tokens: 100, completion_tokens: 20, cost_micros };
    budget::settle(&mut conn, reservation, spent).await.unwrap();
    budget::settle(&mut conn, reservation, spent).await.unwrap();
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn usage_is_listed_by_day_to_its_user_and_to_operators(database: PgPool) {
    let app = Application::start(database).await;
    let (student, other, admin) = (app.student().await, app.student().await, app.admin().await);
    for (user, cost) in [(student.id, 300), (student.id, 200), (other.id, 1)] {
        spend(&app.database, user, cost).await;
    }
    let earlier = "insert into ai_usage (user_id, day, model, requests) values ($1, '2026-01-02', 'm', 3), ($1, '2026-01-02', 'n', 4)";
    sqlx::query(earlier).bind(student.id.0).execute(&app.database).await.unwrap();
    let own = student.get("/api/me/ai-usage?limit=2").await.body;
    let today = chrono::Utc::now().date_naive();
    let expected = json!({
        "user_id": student.id, "day": today, "model": "m", "requests": 2, "prompt_tokens": 200,
        "completion_tokens": 40, "cost_micros": 500,
    });
    assert_eq!((&own["items"][0], &own["items"][1]["model"]), (&expected, &json!("n")), "each call is counted once");
    let next = student.get(&format!("/api/me/ai-usage?cursor={}", own["next_cursor"].as_str().unwrap())).await.body;
    assert_eq!((next["items"].as_array().unwrap().len(), &next["items"][0]["model"]), (1, &json!("m")));
    let (mut seen, mut path) = (Vec::new(), "/api/admin/ai-usage?limit=1".to_owned());
    loop {
        let page = admin.get(&path).await.body;
        seen.extend(page["items"].as_array().unwrap().iter().map(|day| (day["day"].clone(), day["requests"].clone())));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/admin/ai-usage?limit=1&cursor={cursor}");
    }
    assert_eq!(seen.len(), 4);
    assert!(seen[..2].iter().all(|(day, _)| *day == json!(today)), "{seen:?}");
    student.get("/api/admin/ai-usage").await.problem(403);
    app.anybody().get("/api/me/ai-usage").await.problem(401);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn an_aid_is_described_as_it_is_sent(database: PgPool) {
    let app = Application::start(database).await;
    let document = app.anybody().get("/api/openapi.json").await.body;
    for (path, name, asked) in [
        ("/api/ai/explanations/{id}", "ExplanationAid", "ExplanationAsked"),
        ("/api/ai/study-plans/{id}", "StudyPlanAid", "StudyPlanAsked"),
        ("/api/ai/flashcards/{id}", "FlashcardsAid", "FlashcardsAsked"),
    ] {
        let answer = &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"];
        assert_eq!(answer["schema"]["$ref"], format!("#/components/schemas/{name}"));
        let schema = &document["components"]["schemas"][name];
        let fields = schema["properties"].as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        let sent = ["asked", "created_at", "finished_at", "id", "job_id", "made_by", "model", "result", "status"];
        assert!(fields.iter().eq(sent), "{schema:#}");
        assert_eq!(schema["properties"]["asked"]["$ref"], format!("#/components/schemas/{asked}"));
    }
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_cancelled_aid_is_shown_as_failed_and_a_reopened_one_as_queued(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let (student, admin) = (app.student().await, app.admin().await);
    graded(&app.database, &exam, student.id).await;
    let accepted = student.post("/api/ai/flashcards", &json!({ "subject": "logic", "count": 3 })).await;
    let (aid, job) = (accepted.header("location").to_owned(), accepted.body["job_id"].as_str().unwrap().to_owned());
    assert_eq!(student.delete(&format!("/api/jobs/{job}")).await.status, 204);
    assert_eq!(student.get(&aid).await.body["status"], "failed");
    admin.post(&format!("/api/admin/jobs/{job}/retry"), &json!({})).await;
    assert_eq!(student.get(&aid).await.body["status"], "queued");
    app.stop().await;
}
