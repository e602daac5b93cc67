//! One installation: a database, a prefix, and the programs that use them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bellwork_testkit::folder::Folder;
use bellwork_testkit::program::{Program, free_port};
use bellwork_testkit::redis_server::{RedisServer, connect};
use bellwork_testkit::test_run;
use bellwork_testkit::{DEADLINE, eventually};
use redis::aio::MultiplexedConnection;
use sqlx::{Connection, Executor, PgConnection, PgPool};
use uuid::Uuid;

use crate::servers::PrivatePostgres;
use crate::student::{Student, client};

/// A database of its own with the practice tests in it, a prefix of its own, and the environment of its programs.
#[derive(Debug)]
pub struct Installation {
    /// Its private Redis, if it has one.
    pub redis: Option<RedisServer>,
    /// Its private PostgreSQL, if it has one.
    pub postgres: Option<PrivatePostgres>,
    /// Its database.
    pub database: PgPool,
    folder: Folder,
    environment: BTreeMap<String, String>,
}

/// A running `bellwork-api`.
#[derive(Debug)]
pub struct Api {
    /// The process.
    pub program: Program,
    /// Its address, without a path.
    pub url: String,
}

impl Installation {
    /// On the servers of the test run.
    pub async fn new() -> Self {
        Self::on(None, None).await
    }

    /// With a Redis of its own, to be frozen, emptied or restarted.
    pub async fn with_redis() -> Self {
        Self::on(Some(RedisServer::start(&["--appendonly", "yes"]).await), None).await
    }

    /// With a PostgreSQL of its own, to be crashed.
    pub async fn with_postgres() -> Self {
        Self::on(None, Some(PrivatePostgres::start().await)).await
    }

    /// The address of this installation's database on another server, such as a replica or a pooler.
    #[must_use]
    pub fn database_on(&self, server: &str) -> String {
        let own = url::Url::parse(self.variable("DATABASE_URL")).expect("an address of PostgreSQL");
        database_at(server, own.path().trim_start_matches('/'))
    }

    async fn on(redis: Option<RedisServer>, postgres: Option<PrivatePostgres>) -> Self {
        let name = format!("bellwork_{}", Uuid::new_v4().simple());
        let redis_url = redis.as_ref().map_or_else(|| test_run::variable("REDIS_URL"), RedisServer::url);
        let server = postgres.as_ref().map_or_else(|| test_run::variable("DATABASE_URL"), PrivatePostgres::url);
        let mut admin = PgConnection::connect(&database_at(&server, "postgres")).await.expect("PostgreSQL runs");
        admin.execute(sqlx::AssertSqlSafe(format!("create database {name}"))).await.expect("we may make databases");
        let folder = Folder::new();
        let database_url = database_at(&server, &name);
        let mail_dir = folder.path().join("mail").display().to_string();
        let environment = [
            ("DATABASE_URL", database_url.clone()),
            ("DATABASE_POOL_SIZE", "8".to_owned()),
            ("REDIS_URL", redis_url),
            ("REDIS_PREFIX", name),
            ("MAIL_DIR", mail_dir),
            ("RETRY_BASE_MS", "20".to_owned()),
            ("LOG", "info".to_owned()),
            // All students of a test or a benchmark call from one address.
            ("RATE_LIMITS", "all=1000000/s".to_owned()),
        ];
        let database = PgPool::connect_lazy(&database_url).expect("the address is ours");
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).into();
        let installation = Self { redis, postgres, database, folder, environment };
        installation.bellwork(&["migrate"]);
        installation.bellwork(&["seed"]);
        installation
    }

    /// Sets a variable for the programs started from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// The folder of its logs and mails.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Runs the operator's command line.
    ///
    /// # Panics
    /// If it fails.
    pub fn bellwork(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.try_bellwork(arguments);
        assert!(status.success(), "bellwork {arguments:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8_lossy(&stdout).into_owned()
    }

    /// Runs the operator's command line, which may fail.
    ///
    /// # Panics
    /// If the program was not built.
    #[must_use]
    pub fn try_bellwork(&self, arguments: &[&str]) -> Output {
        let mut command = self.command("bellwork");
        command.args(arguments).output().expect("bellwork was built: run the tests by scripts/test")
    }

    /// Starts `bellwork-api` on a free port and waits until it is ready.
    pub async fn api(&self) -> Api {
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let mut command = self.command("bellwork-api");
        command.env("BIND", format!("127.0.0.1:{port}")).env("PUBLIC_URL", &url);
        let program = Program::start("bellwork-api", command, &self.folder.path().join(format!("api-{port}.log")));
        let ready = format!("{url}/api/health/ready");
        let http = client();
        eventually("the API is ready", async || {
            http.get(&ready).send().await.ok().filter(|response| response.status().is_success())
        })
        .await;
        Api { program, url }
    }

    /// Starts `start-workers` with these queues, or all if empty.
    #[must_use]
    pub fn workers(&self, queues: &str) -> Program {
        let mut command = self.command("start-workers");
        if !queues.is_empty() {
            command.args(["--queues", queues]);
        }
        let log = self.folder.path().join(format!("workers-{}.log", Uuid::new_v4().simple()));
        Program::start("start-workers", command, &log)
    }

    /// A new student of `api`.
    pub async fn student(&self, api: &Api) -> Student {
        Student::register(&api.url).await
    }

    /// A new admin of `api`.
    ///
    /// # Panics
    /// If the command line cannot make one.
    pub async fn admin(&self, api: &Api) -> Student {
        let email = format!("admin-{}@example.org", Uuid::new_v4().simple());
        let made = self.bellwork(&["--json", "users", "create", &email, "--admin"]);
        let made: serde_json::Value = serde_json::from_str(&made).expect("it answers in JSON");
        let password = made["password"].as_str().expect("it tells the password once");
        Student::log_in(&api.url, &email, password).await
    }

    /// A connection to its Redis.
    ///
    /// # Panics
    /// If Redis does not answer.
    pub async fn redis_connection(&self) -> MultiplexedConnection {
        connect(self.variable("REDIS_URL"), DEADLINE).await.expect("Redis runs")
    }

    /// The value of a variable of its programs.
    #[must_use]
    pub fn variable(&self, name: &str) -> &str {
        &self.environment[name]
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(programs().join(program));
        command.env_clear().envs(&self.environment).current_dir(self.folder.path());
        for inherited in ["PATH", "HOME", "RUST_BACKTRACE"] {
            if let Some(value) = std::env::var_os(inherited) {
                command.env(inherited, value);
            }
        }
        command
    }
}

/// The address of the database `name` on the server of `url`.
fn database_at(url: &str, name: &str) -> String {
    let mut url = url::Url::parse(url).expect("an address of PostgreSQL");
    url.set_path(name);
    url.into()
}

/// The folder of this build's programs.
fn programs() -> PathBuf {
    if let Some(folder) = std::env::var_os("BELLWORK_BIN_DIR") {
        return folder.into();
    }
    let own = std::env::current_exe().expect("a process knows its program");
    let folder = own.parent().and_then(Path::parent).expect("tests lie in target/<profile>/deps");
    folder.to_owned()
}
