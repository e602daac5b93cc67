//! Caches of several processes over one Redis, and what remains of them while a store is away.

use std::time::{Duration, Instant};

use bellwork_jobs::envelope::Addressed;
use bellwork_jobs::kinds::update_leaderboard::UpdateLeaderboard;
use bellwork_jobs::submit::{Options, new_job};
use bellwork_queue::Drain;
use bellwork_shared::cache::Scope;
use bellwork_shared::ledger;
use bellwork_testkit::test_run::{self, redis_url};
use bellwork_testkit::{until, within};
use futures_util::StreamExt;
use redis::Client;
use redis::aio::MultiplexedConnection;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, PgPool};
use uuid::Uuid;

use crate::application::{Answer, Application, Caller, as_quick, mostly_within, timed};
use crate::exam::Exam;
use crate::work::work;

/// A change is known elsewhere within this time.
const BOUND: Duration = Duration::from_secs(1);

/// Two processes of one installation.
fn two(database: &PgPool) -> (Application, Application) {
    let prefix = format!("test-{}", Uuid::now_v7());
    let start = || Application::start_with(database.clone(), &[("REDIS_PREFIX", &prefix)]);
    (start(), start())
}

/// The same caller at another process.
fn at(app: &Application, caller: &Caller) -> Caller {
    Caller { url: app.url.clone(), ..caller.clone() }
}

async fn hears(app: &Application) {
    until("the cache hears", async || app.anybody().get("/api/health").await.body["cache_hears"] == true).await;
}

async fn figures(app: &Application, cache: &str) -> Value {
    let health = app.anybody().get("/api/health").await.body;
    health["caches"].as_array().unwrap().iter().find(|figures| figures["cache"] == cache).unwrap().clone()
}

/// A user of Redis of its own, whose connections can be cut and no others.
struct RedisUser {
    name: String,
    connection: MultiplexedConnection,
}

impl RedisUser {
    async fn new() -> Self {
        let mut connection = test_run::redis().await;
        let name = format!("test-{}", Uuid::now_v7());
        let rules = ["on", ">secret", "~*", "&*", "+@all"];
        redis::cmd("ACL").arg("SETUSER").arg(&name).arg(&rules).exec_async(&mut connection).await.unwrap();
        Self { name, connection }
    }

    fn url(&self) -> String {
        redis_url().replace("redis://", &format!("redis://{}:secret@", self.name))
    }

    /// Cuts all of its connections.
    async fn cut(&mut self) {
        let killed: i64 = redis::cmd("CLIENT")
            .arg("KILL")
            .arg("USER")
            .arg(&self.name)
            .query_async(&mut self.connection)
            .await
            .unwrap();
        assert!(killed > 0);
    }

    async fn remove(mut self) {
        redis::cmd("ACL").arg("DELUSER").arg(&self.name).exec_async(&mut self.connection).await.unwrap();
    }

    /// What begins with the prefix of `app`.
    async fn keys(&mut self, app: &Application) -> Vec<String> {
        let pattern = format!("{}:cache:*", app.config.redis.prefix);
        redis::cmd("KEYS").arg(pattern).query_async(&mut self.connection).await.unwrap()
    }

    async fn evict(&mut self, app: &Application) {
        let keys = self.keys(app).await;
        redis::cmd("DEL").arg(keys).exec_async(&mut self.connection).await.unwrap();
    }
}

/// How long after a student's session was ended at `one` it is refused at `other`, which knew it.
async fn refused_after(one: &Application, other: &Application, way: &str) -> Duration {
    let student = one.student().await;
    let elsewhere = at(other, &student);
    let sessions = elsewhere.get("/api/me/sessions").await.body;
    assert_eq!(elsewhere.get("/api/me/sessions").await.status, 200, "it is known there");
    let revoked = match way {
        "logout" => student.post("/api/auth/logout", &json!({})).await,
        _ => student.delete(&format!("/api/me/sessions/{}", sessions["items"][0]["id"].as_str().unwrap())).await,
    };
    assert_eq!(revoked.status, 204);
    let since = Instant::now();
    student.get("/api/me").await.problem(401);
    until("refused", async || elsewhere.get("/api/me").await.status == 401).await;
    since.elapsed()
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_session_revoked_on_one_process_is_refused_on_the_other_within_a_second(database: PgPool) {
    let (one, other) = two(&database);
    hears(&other).await;
    for way in ["logout", "end"] {
        mostly_within(BOUND, "it is refused within a second", async || refused_after(&one, &other, way).await).await;
    }
    assert!(figures(&other, "sessions").await["local_hit_rate"].as_f64().unwrap() > 0.0);
    one.stop().await;
    other.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn redis_holds_nothing_of_a_session_but_ids_and_the_role(database: PgPool) {
    let app = Application::start(database).await;
    let mut redis = RedisUser::new().await;
    let student = app.student().await;
    let profile = student.get("/api/me").await.body;
    let keys = redis.keys(&app).await;
    let mut stored = 0;
    for key in keys {
        let value: Vec<u8> = redis::cmd("GET").arg(&key).query_async(&mut redis.connection).await.unwrap();
        let text = format!("{key} {}", String::from_utf8_lossy(&value));
        stored += usize::from(text.contains(&student.id.to_string()));
        for secret in [student.token.as_deref().unwrap(), profile["email"].as_str().unwrap(), "Ada"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    assert_eq!(stored, 1);
    redis.remove().await;
    app.stop().await;
}

/// Whether the newest notification has been read, as `caller` sees it.
async fn is_read(caller: &Caller) -> bool {
    caller.get("/api/notifications").await.body["items"][0]["read_at"].is_string()
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn what_is_read_on_one_process_is_read_on_the_other_within_a_second(database: PgPool) {
    let (one, other) = two(&database);
    hears(&other).await;
    let student = one.student().await;
    let elsewhere = at(&other, &student);
    mostly_within(BOUND, "it is read elsewhere within a second", async || {
        one.write(student.id, "news").await;
        for caller in [&student, &elsewhere] {
            until("there is news", async || !is_read(caller).await).await;
        }
        assert_eq!(student.post("/api/notifications/read-all", &json!({})).await.body["updated"], 1);
        let since = Instant::now();
        assert!(is_read(&student).await, "who has written it reads it at once");
        until("it is read elsewhere", async || is_read(&elsewhere).await).await;
        since.elapsed()
    })
    .await;
    one.stop().await;
    other.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_broken_link_flushes_what_the_process_keeps(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let mut redis = RedisUser::new().await;
    let app = Application::start_with(database, &[("CACHE_REDIS_URL", &redis.url())]);
    hears(&app).await;
    let (caller, path) = (app.anybody(), format!("/api/tests/{}", exam.id));
    assert_eq!(caller.get(&path).await.body["title"], "Everything");
    sqlx::query("update practice_tests set title = 'Another'").execute(&app.database).await.unwrap();
    redis.evict(&app).await;
    assert_eq!(caller.get(&path).await.body["title"], "Everything", "this process was told nothing");
    redis.cut().await;
    until("it is flushed", async || caller.get(&path).await.body["title"] == "Another").await;
    assert!(app.metric("bellwork_cache_flushes_total", "").await >= 1.0);
    hears(&app).await;
    app.stop().await;
    redis.remove().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn without_redis_answers_come_as_soon_and_a_session_ends_at_once(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let usual = Application::start(database.clone()).await;
    let app = Application::start_with(database, &[("CACHE_REDIS_URL", "redis://127.0.0.1:1")]);
    hears(&usual).await;
    let student = app.student().await;
    let ask = async |caller: &Caller| {
        assert_eq!(caller.get(&format!("/api/tests/{}", exam.id)).await.status, 200);
        assert_eq!(caller.get("/api/notifications").await.status, 200);
    };
    let with_redis = at(&usual, &student);
    as_quick(
        "without Redis as with it",
        async || timed(async || ask(&student).await).await,
        async || timed(async || ask(&with_redis).await).await,
    )
    .await;
    usual.stop().await;
    assert_eq!(app.anybody().get("/api/health").await.body["cache_hears"], false);
    assert_eq!(student.post("/api/auth/logout", &json!({})).await.status, 204);
    student.get("/api/me").await.problem(401);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn the_last_value_answers_while_postgresql_is_away_and_says_so(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let mut redis = RedisUser::new().await;
    let own = PgPoolOptions::new().acquire_timeout(Duration::from_secs(1));
    let own = own.connect_lazy_with((*database.connect_options()).clone());
    let app = Application::start_with(own, &[("CACHE_REDIS_URL", &redis.url())]);
    hears(&app).await;
    let (caller, path) = (app.anybody(), format!("/api/tests/{}", exam.id));
    assert_eq!(caller.get(&path).await.status, 200);
    let student = app.student().await;
    assert_eq!(student.get("/api/me/sessions").await.status, 200);

    turn_away(&database).await;
    redis.evict(&app).await;
    redis.cut().await;
    until("it says that it is stale", async || !caller.get(&path).await.header("cache-status").is_empty()).await;
    for _ in 0..20 {
        let answer = caller.get(&path).await;
        assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, "no-cache"));
        assert!(answer.header("cache-status").starts_with("bellwork; hit; ttl=-"), "{answer:?}");
        assert_eq!(answer.body["title"], "Everything");
    }
    assert!(caller.get(&format!("/api/tests/{}", Uuid::now_v7())).await.status.is_server_error());
    assert!(student.get("/api/notifications").await.status.is_server_error(), "who cannot be checked is nobody");

    redis.remove().await;
    app.stop().await;
}

/// A load fails after a second: with one for each of 40 answers they would take 40.
#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn nobody_waits_for_what_failed_a_moment_ago(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let mut redis = RedisUser::new().await;
    let own = PgPoolOptions::new().max_connections(2).connect_lazy_with((*database.connect_options()).clone());
    let app = Application::start_with(own.clone(), &[("CACHE_REDIS_URL", &redis.url())]);
    hears(&app).await;
    let (caller, path) = (app.anybody(), format!("/api/tests/{}", exam.id));
    assert_eq!(caller.get(&path).await.status, 200);
    let busy = [own.acquire().await, own.acquire().await];
    redis.evict(&app).await;
    redis.cut().await;
    let is_stale = async || !caller.get(&path).await.header("cache-status").is_empty();
    until("it says that it is stale", is_stale).await;
    mostly_within(Duration::from_secs(20), "nobody waits", async || {
        timed(async || {
            for _ in 0..40 {
                assert!(is_stale().await);
            }
        })
        .await
    })
    .await;
    drop(busy);
    redis.remove().await;
    app.stop().await;
}

/// Ends all connections to the database of a test, and lets nobody in again.
async fn turn_away(database: &PgPool) {
    let options = database.connect_options();
    let name = options.get_database().unwrap().to_owned();
    let mut conn = options.as_ref().clone().database("postgres").connect().await.unwrap();
    let closed = AssertSqlSafe(format!("alter database \"{name}\" allow_connections false"));
    sqlx::query(closed).execute(&mut conn).await.unwrap();
    let terminate = sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1");
    terminate.bind(name).execute(&mut conn).await.unwrap();
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn of_many_who_ask_for_what_was_just_forgotten_one_asks_the_database(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let (one, other) = two(&database);
    hears(&other).await;
    let path = format!("/api/tests/{}", exam.id);
    for app in [&one, &other] {
        assert_eq!(app.anybody().get(&path).await.status, 200);
    }
    let before = loads(&one).await + loads(&other).await;
    // Holds every load until all have asked.
    let mut lock = one.database.begin().await.unwrap();
    sqlx::query("lock table practice_tests in access exclusive mode").execute(&mut *lock).await.unwrap();
    one.cache.forget(&[Scope::Tests]).await;
    let asked = (0..200).map(|n| if n % 2 == 0 { &one } else { &other }).map(|app| {
        let request = app.anybody().request(Method::GET, &path);
        tokio::spawn(Answer::of(request))
    });
    let asked: Vec<_> = asked.collect();
    let misses = async |app: &Application| figures(app, "tests").await["requests"].as_u64().unwrap() >= 101;
    until("all have asked", async || misses(&one).await && misses(&other).await).await;
    lock.commit().await.unwrap();
    for answer in asked {
        assert_eq!(answer.await.unwrap().status, 200);
    }
    let loaded = loads(&one).await + loads(&other).await - before;
    assert!(loaded <= 2, "{loaded} loads for 200 requests to two processes");
    one.stop().await;
    other.stop().await;
}

async fn loads(app: &Application) -> u64 {
    figures(app, "tests").await["loads"].as_u64().unwrap()
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn the_public_figures_are_counted_once_for_all_processes(database: PgPool) {
    let (one, other) = two(&database);
    hears(&one).await;
    hears(&other).await;
    let counted = one.anybody().get("/api/stats").await;
    assert_eq!(counted.header("cache-control"), "public, max-age=15");
    assert_eq!(other.anybody().get("/api/stats").await.body, counted.body);
    assert_eq!(figures(&other, "stats").await["redis_hit_rate"], 1.0);
    one.stop().await;
    other.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn what_a_process_died_before_forgetting_the_second_delivery_forgets(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database.clone()).await;
    let attempt = app.student().await.post("/api/attempts", &exam.submission()).await;
    let attempt_id = attempt.body["id"].as_str().unwrap().parse().unwrap();
    work(&app, "ai", Drain::Ready).await;
    work(&app, "leaderboard", Drain::Ready).await;
    let job = new_job(&UpdateLeaderboard { attempt_id }, Options::default());
    ledger::insert(&mut database.acquire().await.unwrap(), std::slice::from_ref(&job)).await.unwrap();
    let Addressed { queue, job: queued } = Addressed::from(&job);
    app.engine.producer().push(&queue, vec![queued]).await.unwrap();
    ledger::close_done(&mut database.acquire().await.unwrap(), job.id, None, &[]).await.unwrap();
    let mut listener = Client::open(redis_url()).unwrap().get_async_pubsub().await.unwrap();
    listener.subscribe(format!("{}:cache:forget", app.config.redis.prefix)).await.unwrap();
    work(&app, "leaderboard", Drain::Ready).await;
    let board = Scope::Board(exam.id).to_string();
    let mut told = listener.on_message();
    within("the board is forgotten", async {
        while !told.next().await.unwrap().get_payload::<String>().unwrap().ends_with(&board) {}
    })
    .await;
    drop(told);
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn hit_rates_stand_in_health_and_metrics(database: PgPool) {
    let (one, other) = two(&database);
    hears(&one).await;
    hears(&other).await;
    for _ in 0..4 {
        assert_eq!(one.anybody().get("/api/tests").await.status, 200);
    }
    assert_eq!(other.anybody().get("/api/tests").await.status, 200);
    let tests = figures(&one, "tests").await;
    assert_eq!(
        tests,
        json!({ "cache": "tests", "requests": 4, "local_hit_rate": 0.75, "redis_hit_rate": 0.0, "loads": 1 })
    );
    assert_eq!(figures(&other, "tests").await["redis_hit_rate"], 1.0);
    let labels = "cache=\"tests\",layer=\"local\",outcome=\"hit\"";
    assert!(one.metric("bellwork_cache_requests_total", labels).await >= 3.0);
    one.stop().await;
    other.stop().await;
}
