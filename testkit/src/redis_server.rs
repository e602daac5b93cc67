//! A Redis of a test's own, which it may stop, freeze and restart.

use std::process::Command;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisResult};

use crate::folder::Folder;
use crate::program::{Program, Signal, free_port};
use crate::until;

/// A server that is not frozen answers within this time.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A server and how it was started. The variable `TEST_REDIS_SERVER` names another binary than the `redis-server` of the
/// system, such as a valkey-server.
#[derive(Debug)]
pub struct RedisServer {
    /// Where it listens, on the loopback address.
    pub port: u16,
    program: Option<Program>,
    arguments: Vec<String>,
    folder: Folder,
}

impl RedisServer {
    /// An ordinary server that keeps nothing, or what `options` make of it.
    pub async fn start(options: &[&str]) -> Self {
        let mut redis = Self::launch(Folder::new(), options);
        redis.ready().await;
        redis
    }

    /// Without waiting until it answers.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn launch(folder: Folder, options: &[&str]) -> Self {
        let arguments = options.iter().map(|&option| option.to_owned()).collect();
        let mut redis = Self { port: free_port(), program: None, arguments, folder };
        redis.spawn(&[]);
        redis
    }

    fn spawn(&mut self, more: &[&str]) {
        let mut server = Command::new(std::env::var("TEST_REDIS_SERVER").unwrap_or("redis-server".into()));
        let port = self.port.to_string();
        // A sentinel begins with its file.
        if self.arguments.first().is_some_and(|first| !first.starts_with("--")) {
            server.args(&self.arguments).args(["--port", &port]);
        } else {
            server.args(["--port", &port, "--save", ""]).args(&self.arguments);
        }
        server.args(["--bind", "127.0.0.1"]).arg("--dir").arg(self.folder.path()).args(more);
        let name = format!("Redis on port {port}");
        self.program = Some(Program::start(&name, server, &self.folder.path().join("log")));
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A connection that waits for [`PATIENCE`].
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        connect(&self.url(), PATIENCE).await
    }

    /// The answer to a command of words.
    ///
    /// # Errors
    /// If it does not answer, or with an error.
    pub async fn ask<T: FromRedisValue>(&self, command: &str) -> RedisResult<T> {
        let mut question = redis::Cmd::new();
        for word in command.split(' ') {
            question.arg(word);
        }
        question.query_async(&mut self.connect().await?).await
    }

    /// Waits until it has read what its files hold and answers, and not another that took its port.
    ///
    /// # Panics
    /// If it ends instead.
    pub async fn ready(&mut self) {
        until("Redis answers", async || {
            let program = self.program.as_mut().expect("it was started");
            assert!(program.runs(), "{}", program.log());
            let pid = format!("process_id:{}\r", program.pid());
            let info: RedisResult<String> = self.ask("INFO").await;
            info.is_ok_and(|info| info.contains(&pid) && info.contains("\nloading:0\r"))
        })
        .await;
    }

    /// Freezes or thaws it.
    ///
    /// # Panics
    /// If it does not run.
    pub fn signal(&self, signal: Signal) {
        self.program.as_ref().expect("it runs").signal(signal);
    }

    /// As `kill -9` does.
    pub fn kill(&mut self) {
        drop(self.program.take());
    }

    /// Starts it again, killed if it was not, with `more` options and what its files hold, without waiting until it
    /// answers.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn restart(&mut self, more: &[&str]) {
        self.kill();
        self.spawn(more);
    }
}

/// A connection to the Redis at `url` that waits so long for the server and for each answer: half a second, the client's own
/// patience, is not enough while the machine is busy.
///
/// # Errors
/// If nobody answers.
pub async fn connect(url: &str, patience: Duration) -> RedisResult<MultiplexedConnection> {
    let patience =
        AsyncConnectionConfig::new().set_connection_timeout(Some(patience)).set_response_timeout(Some(patience));
    Client::open(url)?.get_multiplexed_async_connection_with_config(&patience).await
}
