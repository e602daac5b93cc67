//! Abuse of votes: what is held back, what is not, and what operators do about it.

use bellwork_shared::votes::review::{self, Recorded};
use bellwork_testkit::until;
use chrono::Utc;
use futures_util::future::join_all;
use reqwest::Method;
use reqwest::header::{ACCEPT_LANGUAGE, COOKIE, SET_COOKIE, USER_AGENT};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::application::{Answer, Application, Caller};
use crate::models::{application, ranking};

/// What every browser of a computer room says of itself.
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// A browser votes: it looks at the ranking first, and keeps the cookie that comes with it, or sends one that it has.
async fn browse_and_vote(student: &Caller, slug: &str, kept: Option<&str>) -> (Answer, String) {
    let browser = |method, path: &str| {
        student.request(method, path).header(USER_AGENT, BROWSER).header(ACCEPT_LANGUAGE, "de,en;q=0.5")
    };
    let looked = Answer::of(browser(Method::GET, "/api/models/ranking")).await;
    assert_eq!(looked.status, 200, "{looked:?}");
    let given = looked.headers[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let cookie = kept.map_or(given, str::to_owned);
    let vote = browser(Method::POST, &format!("/api/models/{slug}/vote")).header(COOKIE, &cookie);
    let voted = Answer::of(vote.json(&json!({ "value": 1 }))).await;
    assert_eq!(voted.status, 200, "{voted:?}");
    (voted, cookie)
}

async fn review(app: &Application) -> Recorded {
    let findings = review::look(&mut app.database.acquire().await.unwrap(), Utc::now()).await.unwrap();
    let mut transaction = app.database.begin().await.unwrap();
    let recorded = review::record(&mut transaction, &findings).await.unwrap();
    transaction.commit().await.unwrap();
    recorded
}

async fn counted(caller: &Caller) -> i64 {
    ranking(caller, "").await[0].2
}

/// A farm: one browser that makes an account after the other.
async fn farm(app: &Application, slug: &str) {
    let mut cookie = None;
    for _ in 0..30 {
        let (voted, kept) = browse_and_vote(&app.student().await, slug, cookie.as_deref()).await;
        assert_eq!(voted.body["vote"]["value"], 1);
        assert!(voted.body["counts"]["up"].as_i64().unwrap() >= 1, "its own vote is there for each of them");
        cookie = Some(kept);
    }
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_class_that_has_just_registered_behind_one_address_is_counted(database: PgPool) {
    let (app, admin) = application(database, &["ada"]).await;
    let class = join_all((0..30).map(|_| app.student())).await;
    join_all(class.iter().map(|student| browse_and_vote(student, "ada", None))).await;
    assert_eq!(counted(&admin).await, 30);
    assert_eq!(review(&app).await, Recorded::Held(0));
    assert_eq!(counted(&admin).await, 30);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_farm_of_new_accounts_on_one_device_is_held_back_and_rejected_at_once(database: PgPool) {
    let (app, admin) = application(database, &["ada"]).await;
    farm(&app, "ada").await;
    assert_eq!(review(&app).await, Recorded::Held(5), "the first five, with hindsight");
    assert_eq!(counted(&admin).await, 0);
    let held = admin.get("/api/admin/votes?rule=sock_puppets&model=ada&limit=100").await.body;
    let held = held["items"].as_array().unwrap();
    assert_eq!(held.len(), 30);
    assert_eq!((&held[0]["state"], &held[0]["user"]["display_name"]), (&json!("held"), &json!("Ada")));
    let rules: Vec<_> = held[0]["reasons"].as_array().unwrap().iter().map(|reason| &reason["rule"]).collect();
    assert_eq!(rules[0], "sock_puppets", "{rules:?}");
    let cluster = &held[0]["cluster"];
    assert!(held.iter().all(|vote| &vote["cluster"] == cluster));
    let mut bulk = json!({ "decision": "reject", "cluster": cluster, "model": "ada", "dry_run": true });
    let would = admin.post("/api/admin/votes/bulk", &bulk).await.body;
    assert_eq!(would, json!({ "decision": "reject", "votes": 30, "dry_run": true, "more": false }));
    bulk["dry_run"] = json!(false);
    assert_eq!(admin.post("/api/admin/votes/bulk", &bulk).await.body["votes"], 30);
    assert_eq!(admin.post("/api/admin/votes/bulk", &bulk).await.body["votes"], 0);
    assert_eq!(admin.get("/api/admin/votes").await.body["items"], json!([]));
    let rejected = admin.get(&format!("/api/admin/votes?state=rejected&cluster={}", cluster.as_str().unwrap())).await;
    assert_eq!(rejected.body["items"].as_array().unwrap().len(), 20);
    assert_eq!(counted(&admin).await, 0);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_frantic_student_is_held_back_and_nobody_else(database: PgPool) {
    let slugs: Vec<_> = (0..40).map(|n| format!("m-{n}")).collect();
    let (app, admin) = application(database, &slugs.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let (bot, student) = (app.student().await, app.student().await);
    browse_and_vote(&student, "m-0", None).await;
    let mut cookie = None;
    for slug in &slugs {
        cookie = Some(browse_and_vote(&bot, slug, cookie.as_deref()).await.1);
        // However slow the machine is: within the same minute.
        let at_once = "with events as (update vote_events set at = now()), votes as (update votes set cast_at = now())
                       update vote_traces set cast_at = now()";
        sqlx::query(at_once).execute(&app.database).await.unwrap();
    }
    let held = admin.get("/api/admin/votes?rule=velocity&limit=100").await.body;
    assert_eq!(held["items"].as_array().unwrap().len(), 10, "the ones after the thirtieth");
    assert_eq!(review(&app).await, Recorded::Held(30));
    let top = ranking(&admin, "?limit=2").await;
    assert_eq!((top[0].1.as_str(), top[0].2, top[1].2), ("m-0", 1, 0));
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_held_vote_is_found_page_by_page_released_and_rejected(database: PgPool) {
    let (app, admin) = application(database, &["ada", "bob"]).await;
    farm(&app, "ada").await;
    let student = app.student().await;
    student.get("/api/admin/votes").await.problem(403);
    let first = admin.get("/api/admin/votes?limit=20").await.body;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = admin.get(&format!("/api/admin/votes?limit=20&cursor={cursor}")).await.body;
    let id = |vote: &Value| vote["id"].as_str().unwrap().to_owned();
    let all: Vec<_> =
        [&first, &second].into_iter().flat_map(|page| page["items"].as_array().unwrap()).map(id).collect();
    assert_eq!(all.len(), 25);
    assert!(all.is_sorted_by(|one, next| one > next), "the newest first, each once");
    assert_eq!(admin.get("/api/admin/votes?model=bob").await.body["items"], json!([]));
    assert_eq!(admin.get("/api/admin/votes?rule=magic").await.problem(422), ["/rule"]);
    assert_eq!(admin.get("/api/admin/votes?state=counted").await.problem(422), ["/state"]);
    assert_eq!(admin.get("/api/admin/votes?cluster=x").await.problem(422), ["/cluster"]);

    let settle = async |word: &str| admin.post(&format!("/api/admin/votes/{}/{word}", all[0]), &json!({})).await;
    assert_eq!(settle("release").await.body, json!({ "id": all[0], "state": "counted" }));
    assert_eq!(counted(&admin).await, 6);
    settle("release").await.problem(409);
    assert_eq!(settle("reject").await.body["state"], "rejected");
    assert_eq!(counted(&admin).await, 5);
    student.post(&format!("/api/admin/votes/{}/release", all[0]), &json!({})).await.problem(403);
    admin.post(&format!("/api/admin/votes/{}/release", Uuid::now_v7()), &json!({})).await.problem(404);
    let actors: (i64, i64) = sqlx::query_as(
        "select count(*) filter (where action in ('release', 'reject') and actor = $1), count(actor) from vote_events",
    )
    .bind(admin.id.0)
    .fetch_one(&app.database)
    .await
    .unwrap();
    assert_eq!(actors, (2, 2), "the history names the operator");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn no_address_and_no_cookie_is_stored(database: PgPool) {
    let (app, _) = application(database, &["ada"]).await;
    let (_, cookie) = browse_and_vote(&app.student().await, "ada", None).await;
    let id = Uuid::try_parse(cookie.split('=').nth(1).unwrap()).unwrap();
    let (device, network): (Vec<u8>, Vec<u8>) =
        sqlx::query_as("select device, network from vote_traces").fetch_one(&app.database).await.unwrap();
    assert_eq!((device.len(), network.len()), (16, 16));
    assert_ne!(device, id.into_bytes());
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_month_that_was_not_made_is_an_alarm(database: PgPool) {
    let (app, _) = application(database, &["ada"]).await;
    let alarm = async || app.metric("bellwork_default_partition_rows", "table=\"vote_events\"").await;
    assert_eq!(alarm().await, 0.0);
    let insert = "insert into vote_events (id, at, vote_id, user_id, model_id, action, value)
                  select gen_random_uuid(), '2020-01-01', id, id, id, 'cast', 1 from gen_random_uuid() as id";
    sqlx::query(insert).execute(&app.database).await.unwrap();
    // A test beside this one may set the same gauge between its setting and its showing.
    until("the alarm", async || alarm().await == 1.0).await;
    sqlx::query("delete from vote_events").execute(&app.database).await.unwrap();
    app.stop().await;
}
