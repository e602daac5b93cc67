//! How operators find jobs and steer many at once.

use std::collections::HashSet;

use bellwork_jobs::kinds::close_stale_sessions::CloseStaleSessions;
use bellwork_jobs::submit::{Options, new_job};
use bellwork_queue::Place;
use bellwork_shared::ids::JobId;
use bellwork_shared::ledger;
use bellwork_testkit::until;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::application::{Application, Caller};
use crate::exam::Exam;
use crate::holder::Holder;

/// Accepts `count` jobs that nobody has pushed yet.
async fn accepted(database: &PgPool, count: usize) -> Vec<JobId> {
    let jobs: Vec<_> = (0..count).map(|_| new_job(&CloseStaleSessions {}, Options::default())).collect();
    ledger::insert(&mut database.acquire().await.unwrap(), &jobs).await.unwrap();
    jobs.iter().map(|job| job.id).collect()
}

async fn dead(database: &PgPool, count: usize) -> Vec<JobId> {
    let ids = accepted(database, count).await;
    for (place, id) in ids.iter().enumerate() {
        let error = format!("Job {id} was refused after {place} ms");
        ledger::close_dead(&mut database.acquire().await.unwrap(), *id, &error).await.unwrap();
    }
    ids
}

/// Makes a dead job one of a kind that this release does not know.
async fn forget_kind(database: &PgPool, id: JobId) {
    let update = sqlx::query("update jobs set kind = 'forgotten' where id = $1").bind(id.0);
    assert_eq!(update.execute(database).await.unwrap().rows_affected(), 1);
}

fn ids(list: &Value) -> Vec<JobId> {
    list.as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().parse().unwrap()).collect()
}

async fn states(database: &PgPool) -> Vec<(String, i64)> {
    let states = "select state::text, count(*) from jobs group by 1 order by 1";
    sqlx::query_as(states).fetch_all(database).await.unwrap()
}

async fn bulk(admin: &Caller, body: Value) -> Value {
    let answer = admin.post("/api/admin/jobs/bulk", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn these_routes_are_closed_to_students(database: PgPool) {
    let app = Application::start(database).await;
    let student = app.student().await;
    for path in ["jobs", "workers", "schedules", "dead"] {
        student.get(&format!("/api/admin/{path}")).await.problem(403);
    }
    student.post("/api/admin/jobs/bulk", &json!({ "action": "retry" })).await.problem(403);
    for action in ["run", "pause", "resume"] {
        student.post(&format!("/api/admin/schedules/prune_ledger/{action}"), &json!({})).await.problem(403);
    }
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn jobs_are_found_by_all_that_is_known_of_them(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let (student, admin) = (app.student().await, app.admin().await);
    app.forget_jobs().await;
    let dead = dead(&app.database, 3).await;
    let waiting = accepted(&app.database, 2).await;
    let graded: JobId =
        student.post("/api/attempts", &exam.submission()).await.body["job_id"].as_str().unwrap().parse().unwrap();
    let newest_first = |ids: &[JobId]| ids.iter().rev().copied().collect::<Vec<_>>();
    let third = dead[2].to_string();
    let all = [&dead[..], &waiting, &[graded]].concat();
    for (query, expected) in [
        (String::new(), newest_first(&all)),
        ("?state=dead".to_owned(), newest_first(&dead)),
        ("?state=ready&queue=maintenance".to_owned(), newest_first(&waiting)),
        ("?kind=grade_attempt".to_owned(), vec![graded]),
        ("?q=GRADE".to_owned(), vec![graded]),
        ("?q=after+1+ms".to_owned(), vec![dead[1]]),
        (format!("?q={third}"), vec![dead[2]]),
        ("?error=Job+%7Bid%7D+was+refused+after+%23+ms".to_owned(), newest_first(&dead)),
        ("?state=running".to_owned(), vec![]),
        ("?queue=nothing".to_owned(), vec![]),
    ] {
        let found = admin.get(&format!("/api/admin/jobs{query}")).await.body;
        assert_eq!(ids(&found["items"]), expected, "{query}: {found}");
        assert_eq!(found["next_cursor"], Value::Null, "{query}");
    }
    let found = admin.get("/api/admin/jobs?kind=grade_attempt").await.body;
    assert_eq!((&found["items"][0]["submitter"], &found["items"][0]["state"]), (&json!(student.id), &json!("ready")));
    let first = admin.get("/api/admin/jobs?limit=4").await.body;
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = admin.get(&format!("/api/admin/jobs?limit=4&cursor={cursor}")).await.body;
    assert_eq!([ids(&first["items"]), ids(&rest["items"])].concat(), newest_first(&all));
    for (query, pointer) in [("q=%00", "/q"), ("state=lost", "/state"), ("x=1", "/x"), ("limit=0", "/limit")] {
        assert_eq!(admin.get(&format!("/api/admin/jobs?{query}")).await.problem(422), [pointer]);
    }
    let long = format!("/api/admin/jobs?kind={}", "k".repeat(101));
    assert_eq!(admin.get(&long).await.problem(422), ["/kind"]);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_running_job_and_who_runs_it_are_seen(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let (student, admin) = (app.student().await, app.admin().await);
    app.forget_jobs().await;
    assert_eq!(admin.get("/api/admin/workers").await.body, json!({ "items": [], "next_cursor": null }));
    let job = student.post("/api/attempts", &exam.submission()).await.body["job_id"].clone();
    let _holder = Holder::start(app.engine.clone(), "ai").await;
    until("it runs", async || {
        let running = admin.get("/api/admin/jobs?state=running").await.body;
        running["items"][0]["id"] == job && running["items"][0]["state"] == "running"
    })
    .await;
    assert_eq!(admin.get("/api/admin/jobs?state=ready").await.body["items"], json!([]));
    let workers = admin.get("/api/admin/workers").await.body;
    let worker = &workers["items"][0];
    let seen = (&worker["alive"], &worker["busy"], &worker["queues"], &worker["pid"]);
    let pid = json!(std::process::id());
    assert_eq!(seen, (&json!(true), &json!(1), &json!([{ "name": "ai", "busy": 1 }]), &pid));
    assert!(worker["last_beat_at"].is_string() && worker["started_at"].is_string(), "{worker}");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn fifty_dead_jobs_are_retried_but_for_the_one_that_cannot_be(database: PgPool) {
    let app = Application::start(database).await;
    let admin = app.admin().await;
    app.forget_jobs().await;
    let dead = dead(&app.database, 50).await;
    forget_kind(&app.database, dead[20]).await;
    let order = json!({ "action": "retry", "filter": { "queue": "maintenance", "state": "dead" } });
    let mut trial = order.clone();
    trial["dry_run"] = json!(true);

    let planned = bulk(&admin, trial.clone()).await;
    assert_eq!((&planned["matched"], &planned["changed"], &planned["more"]), (&json!(50), &json!(0), &json!(false)));
    assert_eq!(ids(&planned["sample"]), dead.iter().rev().take(10).copied().collect::<Vec<_>>());
    assert_eq!(states(&app.database).await, [("dead".to_owned(), 50)], "a dry run changes nothing");
    assert_eq!(app.count("job_outbox").await, 50);

    let done = bulk(&admin, order.clone()).await;
    assert_eq!((&done["matched"], &done["changed"], &done["more"]), (&json!(50), &json!(49), &json!(false)));
    assert_eq!(ids(&done["refused"]), [dead[20]]);
    assert!(done["refused"][0]["reason"].as_str().unwrap().contains("cannot read"), "{done}");
    assert_eq!(states(&app.database).await, [("dead".to_owned(), 1), ("ready".to_owned(), 49)]);
    assert_eq!(app.inspector.counts("maintenance").await.unwrap().ready_total(), 49);

    let again = bulk(&admin, order).await;
    assert_eq!((&again["matched"], &again["changed"]), (&json!(1), &json!(0)), "it finds what is left");
    assert_eq!(bulk(&admin, trial).await["matched"], 1);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn jobs_named_by_their_ids_are_cancelled_and_each_refusal_is_told(database: PgPool) {
    let app = Application::start(database).await;
    let admin = app.admin().await;
    app.forget_jobs().await;
    let (waiting, dead) = (accepted(&app.database, 2).await, dead(&app.database, 1).await);
    let unknown = JobId::new();
    let named = json!([waiting[0], waiting[0], dead[0], unknown]);
    let mut order = json!({ "action": "cancel", "ids": named, "dry_run": true });
    for changed in [0, 1] {
        let answer = bulk(&admin, order.clone()).await;
        assert_eq!(answer["changed"], changed);
        let refused: HashSet<_> = ids(&answer["refused"]).into_iter().collect();
        assert_eq!(refused, HashSet::from([dead[0], unknown]), "{answer}");
        order["dry_run"] = json!(false);
    }
    let row = ledger::find(&mut app.database.acquire().await.unwrap(), waiting[0]).await.unwrap().unwrap();
    assert_eq!(row.state.name(), "cancelled");
    assert_eq!(app.inspector.locate("maintenance", waiting[0].0).await.unwrap(), Place::Absent);
    let narrowed = json!({ "action": "cancel", "filter": { "queue": "ai" }, "ids": [waiting[1]] });
    assert_eq!(bulk(&admin, narrowed).await["matched"], 0, "both mean what both mean");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_careless_bulk_action_does_nothing(database: PgPool) {
    let app = Application::start(database).await;
    let admin = app.admin().await;
    app.forget_jobs().await;
    accepted(&app.database, 2).await;
    for careless in [json!({ "action": "cancel" }), json!({ "action": "cancel", "filter": {} })] {
        assert_eq!(bulk(&admin, careless).await["matched"], 0);
    }
    let path = "/api/admin/jobs/bulk";
    let many: Vec<_> = (0..1001).map(|_| Uuid::now_v7()).collect();
    for (body, pointer) in [
        (json!({ "action": "delete" }), "/action"),
        (json!({ "action": "retry", "filter": { "q": "\0" } }), "/filter/q"),
        (json!({ "action": "retry", "filter": { "page": 1 } }), "/filter/page"),
        (json!({ "action": "retry", "filter": [] }), "/filter"),
        (json!({ "action": "retry", "ids": many }), "/ids"),
        (json!({ "action": "retry", "dry": true }), "/dry"),
    ] {
        assert_eq!(admin.post(path, &body).await.problem(422), [pointer], "{body}");
    }
    admin.post(path, &json!({ "action": "retry", "filter": { "state": "done" } })).await.problem(409);
    admin.post(path, &json!({ "action": "retry", "cursor": "x" })).await.problem(404);
    assert_eq!(states(&app.database).await, [("ready".to_owned(), 2)]);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn dead_letters_are_shown_by_what_they_died_of(database: PgPool) {
    let app = Application::start(database).await;
    let admin = app.admin().await;
    app.forget_jobs().await;
    let dead = dead(&app.database, 7).await;
    forget_kind(&app.database, dead[0]).await;
    let letters = admin.get("/api/admin/dead").await.body;
    assert_eq!((&letters["looked_at"], &letters["complete"]), (&json!(7), &json!(true)));
    let cause = &letters["items"][0];
    assert_eq!((&cause["kind"], &cause["count"]), (&json!("close_stale_sessions"), &json!(6)));
    assert_eq!(cause["error"], "Job {id} was refused after # ms");
    assert_eq!(cause["sample"], json!(dead.iter().rev().take(5).collect::<Vec<_>>()));
    assert_eq!(letters["items"][1]["kind"], "forgotten");
    assert_eq!(admin.get("/api/admin/dead?queue=ai").await.body["items"], json!([]));
    assert_eq!(admin.get("/api/admin/dead?kind=forgotten&limit=1").await.body["items"][0]["count"], 1);
    let filter = json!({ "kind": cause["kind"], "error": cause["error"] });
    assert_eq!(bulk(&admin, json!({ "action": "retry", "filter": filter })).await["changed"], 6);
    app.stop().await;
}
