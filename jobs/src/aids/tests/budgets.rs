//! What calls cost, and what happens once a budget is spent.

use std::time::Duration;

use bellwork_shared::ai::budget::{self, NewCall, Purpose, Reserving};
use bellwork_shared::config::ai::DailyBudget;
use bellwork_shared::ids::JobId;
use bellwork_shared::personal_data::erasure::erase;
use futures_util::future::join_all;
use serde_json::json;
use sqlx::PgPool;

use super::{Scene, WRITTEN, ai, good};
use crate::failure::Failure;
use crate::kinds::grade_attempt::GradeAttempt;
use crate::rehearsal::chat_server::{ChatServer, says, writes};
use crate::rehearsal::{self, responses};

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_call_whose_process_died_has_cost_what_was_reserved(database: PgPool) {
    let server = ChatServer::start([writes(&good())]).await;
    let scene = Scene::at(&database, &server).await;
    let student = scene.student("Zoe", WRITTEN).await;
    let (job, explain) = scene.explanation(&student).await;
    let mut conn = database.acquire().await.unwrap();
    let (user, purpose) = (Some(student.id), Purpose::Aid);
    let call = NewCall { job, user, purpose, model: "tutor-1", highest_micros: 5000 };
    let reserved = budget::reserve(&mut conn, DailyBudget::default(), &call).await.unwrap();
    assert!(matches!(reserved, Reserving::Reserved(_)));
    drop(conn);
    scene.stage.perform_as(job, Some(student.id), &explain).await.unwrap();
    let used = scene.usage(student.id).await.unwrap();
    assert_eq!((used.requests, used.cost_micros, scene.spending().await), (2, 5140, (5140, 0)));
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_call_for_who_was_erased_is_nobodys(database: PgPool) {
    let server = ChatServer::start([]).await;
    let scene = Scene::at(&database, &server).await;
    let (student, job) = (scene.student("Zoe", WRITTEN).await, JobId::new());
    let mut conn = database.acquire().await.unwrap();
    erase(&mut conn, student.id).await.unwrap();
    let (user, purpose) = (Some(student.id), Purpose::Aid);
    let call = NewCall { job, user, purpose, model: "tutor-1", highest_micros: 5000 };
    let Reserving::Reserved(call) = budget::reserve(&mut conn, DailyBudget::default(), &call).await.unwrap() else {
        panic!("it is reserved")
    };
    let spent = budget::Spent { requests: 1, cost_micros: 140, ..budget::Spent::default() };
    budget::settle(&mut conn, call, spent).await.unwrap();
    assert_eq!((scene.spending().await, scene.count("ai_spending").await), ((140, 0), 1));
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn fifty_jobs_at_once_cannot_overspend(database: PgPool) {
    const BUDGET: i64 = 20_000;
    let server = ChatServer::start((0..50).map(|_| writes(&good()))).await;
    let scene = Scene::new(&database, ai(&server, DailyBudget { per_user: None, in_all: Some(BUDGET) })).await;
    let students = join_all((0..50).map(|number| {
        let (scene, name) = (&scene, format!("Student{number}"));
        async move { scene.student(&name, &name).await }
    }))
    .await;
    let ended = join_all(students.iter().map(|student| scene.explain(student))).await;
    let (made, put_off): (Vec<_>, Vec<_>) = ended.into_iter().partition(Result::is_ok);
    assert!(!made.is_empty() && !put_off.is_empty(), "{} made", made.len());
    for failure in put_off {
        assert!(matches!(failure, Err(Failure::Snooze(_))), "{failure:?}");
    }
    let (spent, reserved) = scene.spending().await;
    assert_eq!((spent, reserved), (140 * i64::try_from(made.len()).unwrap(), 0));
    assert!(spent <= BUDGET && made.len() == server.requests().len());
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_call_that_no_day_can_pay_for_is_a_visible_failure(database: PgPool) {
    let server = ChatServer::start([]).await;
    let scene = Scene::new(&database, ai(&server, DailyBudget { per_user: None, in_all: Some(1000) })).await;
    let failure = scene.explain(&scene.student("Zoe", WRITTEN).await).await.unwrap_err();
    assert!(matches!(failure, Failure::Fatal { .. }), "{failure:?}");
    assert!(failure.to_string().contains("AI_DAILY_BUDGET_TOTAL"), "{failure}");
    assert_eq!((server.requests().len(), scene.count("ai_claims").await), (0, 0));
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_spent_budget_puts_a_job_off_until_tomorrow_and_marking_goes_on(database: PgPool) {
    let server = ChatServer::start([says(&json!({ "met": [], "comment": "Hm." }))]).await;
    let budget = DailyBudget { per_user: Some(10_000), in_all: None };
    let scene = Scene::new(&database, ai(&server, budget)).await;
    let student = scene.student("Zoe", WRITTEN).await;
    let spent =
        "insert into ai_spending (account, day, spent_micros) values ($1, (now() at time zone 'UTC')::date, 9900)";
    sqlx::query(spent).bind(student.id.0).execute(&database).await.unwrap();
    let failure = scene.explain(&student).await.unwrap_err();
    let until_midnight = (budget::next_day(chrono::Utc::now()) - chrono::Utc::now()).to_std().unwrap();
    assert!(
        matches!(failure, Failure::Snooze(wait) if wait + Duration::from_secs(5) > until_midnight
            && wait < until_midnight + Duration::from_secs(605)),
        "{failure:?}"
    );
    assert!(server.requests().is_empty());
    let attempt = {
        let mut conn = database.acquire().await.unwrap();
        let [one, two, three, ..] = responses("", "");
        rehearsal::attempt(
            &mut conn,
            student.id,
            &scene.test,
            [one, two, three, responses("It jammed.", "")[3].clone()],
        )
        .await
    };
    let job = GradeAttempt { attempt_id: attempt };
    scene.stage.perform_as(JobId::new(), Some(student.id), &job).await.unwrap();
    let used = scene.usage(student.id).await.unwrap();
    assert_eq!((used.requests, used.cost_micros), (1, 140), "and is counted");
    let mut conn = database.acquire().await.unwrap();
    assert!(budget::is_exhausted(&mut conn, budget, student.id).await.unwrap());
    assert!(!budget::is_exhausted(&mut conn, DailyBudget::default(), student.id).await.unwrap());
}
