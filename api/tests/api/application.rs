//! The application under test, and who calls it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bellwork_api::routes::Role;
use bellwork_api::server::Server;
use bellwork_jobs::cache;
use bellwork_jobs::context::Publisher;
use bellwork_queue::{Engine, Inspector};
use bellwork_shared::cache::{Invalidator, Scope};
use bellwork_shared::config::{Config, Variables};
use bellwork_shared::database::calm_pool;
use bellwork_shared::ids::{JobId, UserId};
use bellwork_shared::notifications::{self, NewNotification, Notification};
use bellwork_shared::telemetry;
use bellwork_shared::tokens::Token;
use bellwork_testkit::test_run::redis_url;
use bellwork_testkit::{until, within};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

/// The application on a port of its own, with a prefix of its own in Redis.
pub(crate) struct Application {
    pub(crate) url: String,
    pub(crate) database: PgPool,
    pub(crate) config: Config,
    pub(crate) publisher: Publisher,
    pub(crate) cache: Invalidator,
    pub(crate) engine: Engine,
    pub(crate) inspector: Inspector,
    pub(crate) server: Server,
    http: Client,
}

impl Application {
    pub(crate) async fn start(database: PgPool) -> Self {
        Self::start_with(database, &[])
    }

    /// With further variables, which win.
    pub(crate) fn start_with(database: PgPool, variables: &[(&str, &str)]) -> Self {
        Self::start_as(Role::All, database, variables)
    }

    /// As a process that serves a part.
    pub(crate) fn start_as(role: Role, database: PgPool, variables: &[(&str, &str)]) -> Self {
        let database = calm(database);
        telemetry::install_tls();
        let prefix = format!("test-{}", Uuid::now_v7());
        let defaults = [
            ("DATABASE_URL", "postgres://unused"),
            ("REDIS_URL", &redis_url()),
            ("REDIS_PREFIX", &prefix),
            ("BIND", "127.0.0.1:0"),
            ("STREAM_DRAIN_SECONDS", "1"),
            // All tests call from one address; those of the limits set their own.
            ("RATE_LIMITS", "all=100000/s"),
            ("RATE_LIMIT_PATIENCE_MS", "10000"),
        ];
        let config = Config::read(&Variables::of_pairs(defaults.iter().chain(variables).copied())).unwrap();
        let server = Server::start(&config, role, database.clone(), recorder()).unwrap();
        let engine = Engine::new(redis_url().parse().unwrap(), &prefix);
        Self {
            url: format!("http://{}", server.address()),
            database,
            cache: Invalidator::new(cache::redis(&config.redis.cache_url.parse().unwrap()), &config.redis.prefix),
            config,
            publisher: Publisher::new(engine.connection(), &prefix),
            inspector: engine.inspector(),
            engine,
            server,
            http: Client::new(),
        }
    }

    pub(crate) fn anybody(&self) -> Caller {
        Caller { http: self.http.clone(), url: self.url.clone(), token: None, id: UserId::new() }
    }

    /// Somebody who has just registered.
    pub(crate) async fn student(&self) -> Caller {
        let email = format!("{}@example.com", Uuid::now_v7());
        let body = json!({ "email": email, "password": "correct horse", "display_name": "Ada" });
        let answer = self.anybody().post("/api/auth/register", &body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        let token = answer.body["token"].as_str().map(str::to_owned);
        Caller { token, id: answer.body["user"]["id"].as_str().unwrap().parse().unwrap(), ..self.anybody() }
    }

    pub(crate) async fn admin(&self) -> Caller {
        let admin = self.student().await;
        let promoted = sqlx::query("update users set role = 'admin' where id = $1").bind(admin.id.0);
        assert_eq!(promoted.execute(&self.database).await.unwrap().rows_affected(), 1);
        admin
    }

    /// After a test has changed the row of the caller's session by hand; the application hears of it soon.
    pub(crate) async fn forget_session(&self, caller: &Caller) {
        let token = Token::parse(caller.token.as_deref().unwrap()).unwrap();
        self.cache.forget(&[Scope::Session(token.hash())]).await;
    }

    /// Forgets the jobs so far: registering has submitted some.
    pub(crate) async fn forget_jobs(&self) {
        sqlx::query("truncate jobs, job_outbox").execute(&self.database).await.unwrap();
    }

    /// Writes a notification as a job would, without an event.
    pub(crate) async fn write(&self, user: UserId, body: &str) -> Notification {
        let data = json!({});
        let new = NewNotification { user, kind: "greeting", title: "Hello", body, data: &data, job: JobId::new() };
        let mut conn = self.database.acquire().await.unwrap();
        let written = notifications::insert(&mut conn, &new).await.unwrap().unwrap();
        self.cache.forget(&[Scope::Notifications(user)]).await;
        written
    }

    /// Writes a notification and publishes its event.
    pub(crate) async fn notify(&self, user: UserId, body: &str) -> i64 {
        let notification = self.write(user, body).await;
        let seq = notification.seq;
        self.publisher.publish(&[(user, bellwork_shared::events::Event::Notification(notification))]).await;
        seq
    }

    pub(crate) async fn count(&self, table: &'static str) -> i64 {
        let count = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        sqlx::query_scalar(count).fetch_one(&self.database).await.unwrap()
    }

    /// The sum of a metric's series that hold `label`.
    pub(crate) async fn metric(&self, name: &str, label: &str) -> f64 {
        let text = self.http.get(format!("{}/api/metrics", self.url)).send().await.unwrap().text().await.unwrap();
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
        self.server.ended().await.unwrap();
        self.database.close().await;
    }
}

/// A test's own pool, but for that of `sqlx::test` a calm one on the same database: theirs is swept each second, while other
/// threads give connections back.
fn calm(pool: PgPool) -> PgPool {
    let options = pool.options();
    if options.get_idle_timeout() != Some(Duration::from_secs(1)) {
        return pool;
    }
    let calm = calm_pool().max_connections(options.get_max_connections());
    calm.connect_lazy_with((*pool.connect_options()).clone())
}

/// Somebody with or without a token.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) http: Client,
    pub(crate) url: String,
    pub(crate) token: Option<String>,
    pub(crate) id: UserId,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Caller {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::PUT, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(method, path).json(body)).await
    }

    /// The same client with another token.
    pub(crate) fn with(&self, token: &Value) -> Self {
        Self { token: Some(token.as_str().unwrap().to_owned()), ..self.clone() }
    }

    /// Their address.
    pub(crate) async fn email(&self) -> String {
        self.get("/api/me").await.body["email"].as_str().unwrap().to_owned()
    }
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = within("an answer", request.send()).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect("JSON") };
        Self { status, headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Checks that it is a problem of this status, and returns the pointers of its errors.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> Vec<String> {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        for member in ["type", "title", "detail", "instance"] {
            assert!(self.body[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {self:?}");
        }
        assert_eq!(self.body["status"], status);
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
    }
}

/// The fewest rounds that tell something.
const ROUNDS: u32 = 4;

/// Plays rounds until two of three were shorter than `limit`, and at least [`ROUNDS`]. A machine that stands still makes some
/// long; what waits where it should not, most.
pub(crate) async fn mostly_within(limit: Duration, what: &str, mut round: impl AsyncFnMut() -> Duration) {
    let (mut rounds, mut short) = (0, 0);
    until(what, async || {
        rounds += 1;
        short += u32::from(round().await < limit);
        rounds >= ROUNDS && 3 * short >= 2 * rounds
    })
    .await;
}

/// Plays rounds, at least [`ROUNDS`], until the quickest of `one` took at most thrice as long as that of `other`. They take
/// turns, so that what else the machine does slows both.
pub(crate) async fn as_quick(
    what: &str,
    mut one: impl AsyncFnMut() -> Duration,
    mut other: impl AsyncFnMut() -> Duration,
) {
    let (mut rounds, mut quickest) = (0, [Duration::MAX; 2]);
    until(what, async || {
        rounds += 1;
        quickest[0] = quickest[0].min(one().await);
        quickest[1] = quickest[1].min(other().await);
        rounds >= ROUNDS && quickest[0] < 3 * quickest[1]
    })
    .await;
}

/// How long it takes.
pub(crate) async fn timed(mut work: impl AsyncFnMut()) -> Duration {
    let began = Instant::now();
    work().await;
    began.elapsed()
}

/// One for all tests of this program, since a program has one.
fn recorder() -> PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap()).clone()
}
