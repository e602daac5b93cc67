//! How often a client may ask.

use bellwork_testkit::test_run::redis_url;
use bellwork_testkit::{until, within};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::application::{Answer, Application, Caller};
use crate::events::Events;
use crate::link::Link;

const LINKS: &str = "/api/auth/forgot-password";

/// Asks for a link: the same answer whether or not there is such an account.
fn link() -> Value {
    json!({ "email": format!("nobody-{}@example.com", uuid::Uuid::now_v7()) })
}

async fn links(caller: &Caller, times: usize) -> Vec<u16> {
    let bodies: Vec<_> = (0..times).map(|_| link()).collect();
    join_all(bodies.iter().map(|body| caller.post(LINKS, body))).await.iter().map(|a| a.status.as_u16()).collect()
}

fn passed(statuses: &[u16]) -> usize {
    statuses.iter().filter(|status| **status != 429).count()
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn the_headers_say_how_the_client_stands(database: PgPool) {
    let app = Application::start_with(database, &[("RATE_LIMITS", "api=5/h,mail-links=2/min")]);
    let answer = app.anybody().get("/api/tests").await;
    assert_eq!(answer.header("ratelimit-policy"), r#""api";q=5;w=3600"#);
    let seconds = |text: &str| text.rsplit("t=").next().unwrap().parse::<u64>().unwrap();
    assert!(answer.header("ratelimit").starts_with(r#""api";r=4;t="#), "{answer:?}");
    assert!((3600..=3961).contains(&seconds(answer.header("ratelimit"))), "{answer:?}");

    let answer = app.anybody().post(LINKS, &link()).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("ratelimit-policy"), r#""api";q=5;w=3600, "mail-links";q=2;w=60"#);
    assert!(answer.header("ratelimit").contains(r#""api";r=3;t="#), "{answer:?}");
    assert!(answer.header("ratelimit").contains(r#", "mail-links";r=1;t="#), "{answer:?}");
    assert_eq!(app.anybody().post(LINKS, &link()).await.status, 202);

    let refused = app.anybody().post(LINKS, &link()).await;
    refused.problem(429);
    assert_eq!(refused.body["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(refused.body["violated-policies"], json!(["mail-links"]));
    assert!((60..=67).contains(&refused.header("retry-after").parse().unwrap()), "{refused:?}");
    assert!(refused.header("ratelimit").starts_with(r#""mail-links";r=0;t="#), "{refused:?}");
    assert!(app.metric("bellwork_rate_limited_total", "policy=\"mail-links\"").await >= 1.0);

    assert_eq!(app.anybody().get("/api/tests").await.status, 200, "a refused request counts nowhere");
    app.anybody().get("/api/tests").await;
    app.anybody().get("/api/tests").await.problem(429);
    let health = app.anybody().get("/api/health/live").await;
    assert_eq!((health.status.as_u16(), health.header("ratelimit")), (200, ""), "whoever asks may restart us");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn two_processes_share_a_quota(database: PgPool) {
    let prefix = format!("test-{}", uuid::Uuid::now_v7());
    let variables = [("REDIS_PREFIX", prefix.as_str()), ("RATE_LIMITS", "api=100/h,mail-links=7/h")];
    let one = Application::start_with(database.clone(), &variables);
    let two = Application::start_with(database, &variables);
    let (one_caller, two_caller) = (one.anybody(), two.anybody());
    let (ones, twos) = tokio::join!(links(&one_caller, 10), links(&two_caller, 10));
    assert_eq!(passed(&ones) + passed(&twos), 7, "{ones:?} {twos:?}");

    // Seven are used. What each process counts by itself is a twentieth at the most.
    let reads = async |caller: &Caller| {
        let answers = join_all((0..100).map(|_| caller.get("/api/tests"))).await;
        passed(&answers.iter().map(|answer| answer.status.as_u16()).collect::<Vec<_>>())
    };
    let (ones, twos) = tokio::join!(reads(&one_caller), reads(&two_caller));
    assert!((93..=103).contains(&(ones + twos)), "{ones} and {twos}");
    one.stop().await;
    two.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn who_is_signed_in_is_counted_by_user_and_others_by_address(database: PgPool) {
    let app = Application::start_with(database, &[("RATE_LIMITS", "api=3/h")]);
    let (one, other) = (app.student().await, app.student().await);
    for _ in 0..3 {
        assert_eq!(one.get("/api/me").await.status, 200);
    }
    one.get("/api/me").await.problem(429);
    assert_eq!(other.get("/api/me").await.status, 200);
    assert_eq!(app.anybody().get("/api/tests").await.status, 200, "the third of the address, after two registrations");
    app.anybody().get("/api/tests").await.problem(429);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn made_up_tokens_end_soon_and_those_who_share_the_address_go_on(database: PgPool) {
    let app = Application::start_with(database, &[("RATE_LIMITS", "unauthenticated=2/h")]);
    let student = app.student().await;
    assert_eq!(student.get("/api/me").await.status, 200);
    let mut guesser = app.anybody();
    guesser.token = Some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned());
    for status in [401, 401, 429, 429] {
        guesser.get("/api/me").await.problem(status);
    }
    assert_eq!(student.get("/api/me").await.status, 200, "who is known here is no stranger");
    for _ in 0..3 {
        app.anybody().get("/api/me").await.problem(401);
    }
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_class_behind_one_address_signs_in_at_once_with_the_built_in_quotas(database: PgPool) {
    let app = Application::start_with(database, &[("RATE_LIMITS", "register=1000/min")]);
    let class = join_all((0..30).map(|_| app.student())).await;
    let mut logins = Vec::new();
    for student in &class {
        let email = student.email().await;
        logins.push(json!({ "email": email, "password": "correct horse" }));
    }
    let anybody = app.anybody();
    let answers = join_all(logins.iter().map(|login| anybody.post("/api/auth/login", login))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");

    let again = async || anybody.post("/api/auth/login", &logins[0]).await;
    for _ in 0..9 {
        assert_eq!(again().await.status, 200);
    }
    let refused = again().await;
    refused.problem(429);
    assert_eq!(refused.body["violated-policies"], json!(["login"]), "one account, eleven times in a minute");
    assert_eq!(anybody.post("/api/auth/login", &logins[1]).await.status, 200);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn an_address_that_a_client_invents_changes_nothing(database: PgPool) {
    let from = async |app: &Application, address: &str| {
        let request = app.anybody().request(Method::POST, LINKS).json(&link());
        Answer::of(request.header("x-forwarded-for", address)).await.status.as_u16()
    };
    let limits = ("RATE_LIMITS", "mail-links=1/h");
    let app = Application::start_with(database.clone(), &[limits]);
    assert_eq!(from(&app, "198.51.100.1").await, 202);
    assert_eq!(from(&app, "198.51.100.2").await, 429);
    app.stop().await;

    let app = Application::start_with(database, &[limits, ("TRUSTED_PROXIES", "127.0.0.0/8")]);
    assert_eq!(from(&app, "198.51.100.1").await, 202);
    assert_eq!(from(&app, "198.51.100.2").await, 202, "the proxy says that it is another");
    assert_eq!(from(&app, "203.0.113.7, 198.51.100.2").await, 429, "what stands on the left is the client's own word");
    assert_eq!(from(&app, "2001:db8:1:2::1").await, 202);
    assert_eq!(from(&app, "2001:db8:1:2:ffff::2").await, 429, "one site");
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_browser_that_opens_too_many_streams_is_told_to_come_back(database: PgPool) {
    let app = Application::start_with(database, &[("RATE_LIMITS", "streams=1/h")]);
    let student = app.student().await;
    let (_stream, _) = Events::greeted(&student, None).await;
    let mut turned_away = Events::open(&student, None).await;
    assert!(turned_away.end().await.is_some(), "a browser comes back only after a 200");
    assert!(app.metric("bellwork_rate_limited_total", "policy=\"streams\"").await >= 1.0);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn without_redis_each_process_counts_for_itself(database: PgPool) {
    let variables = [("CACHE_REDIS_URL", "redis://127.0.0.1:1"), ("RATE_LIMITS", "mail-links=2/h")];
    let app = Application::start_with(database, &variables);
    assert_eq!(passed(&links(&app.anybody(), 5).await), 2);
    assert_eq!(app.anybody().get("/api/health").await.body["limits"]["counted"], "alone");
    assert!(app.metric("bellwork_rate_limiter_degraded", "").await >= 1.0);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_redis_that_does_not_answer_delays_nobody(database: PgPool) {
    let link = Link::to(&redis_url()).await;
    let prefix = format!("test-{}", uuid::Uuid::now_v7());
    let variables = [
        ("CACHE_REDIS_URL", link.url.as_str()),
        ("REDIS_PREFIX", &prefix),
        ("RATE_LIMITS", "mail-links=6/h"),
        ("RATE_LIMIT_PATIENCE_MS", "50"),
    ];
    let apps = [Application::start_with(database.clone(), &variables), Application::start_with(database, &variables)];
    let limits = async |app: &Application| app.anybody().get("/api/health").await.body["limits"].clone();
    let together = json!({ "counted": "together", "processes": 2 });
    for app in &apps {
        until("it hears of the other", async || limits(app).await == together).await;
    }
    // No answer of Redis comes until it is dropped.
    let held = link.hold().await;
    for app in &apps {
        let answered = within("it answers by itself", links(&app.anybody(), 6)).await;
        assert_eq!(passed(&answered), 3, "its share");
        assert_eq!(limits(app).await["counted"], "alone");
    }
    drop(held);
    for app in &apps {
        until("it is back by itself", async || limits(app).await == together).await;
    }
    let mut after = 0;
    for app in &apps {
        after += passed(&links(&app.anybody(), 6).await);
    }
    assert_eq!(after, 0, "what was counted meanwhile counts");
    for app in apps {
        app.stop().await;
    }
}
