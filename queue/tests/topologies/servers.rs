//! Servers of a test's own, as processes on free ports in private folders. All are gone with their owner, also when a test
//! panics.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, RedisResult};

use crate::support::{connect, until};

/// A folder that goes with its owner.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("bellwork-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A file in it with this text, and where that is.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Signal {
    Stop,
    Continue,
}

/// A server and how it was started.
pub(crate) struct Redis {
    child: Option<Child>,
    pub(crate) port: u16,
    arguments: Vec<String>,
    folder: Folder,
}

impl Redis {
    /// An ordinary server, or what `options` make of it.
    pub(crate) async fn start(options: &[&str]) -> Self {
        let redis = Self::launch(Folder::new(), options);
        redis.ready().await;
        redis
    }

    /// Without waiting until it answers.
    pub(crate) fn launch(folder: Folder, options: &[&str]) -> Self {
        let arguments = options.iter().map(|&option| option.to_owned()).collect();
        let mut redis = Self { child: None, port: free_port(), arguments, folder };
        redis.spawn(&[]);
        redis
    }

    fn spawn(&mut self, more: &[&str]) {
        let mut server = Command::new(std::env::var("TEST_REDIS_SERVER").unwrap_or("redis-server".into()));
        // A sentinel begins with its file.
        if self.arguments.first().is_some_and(|first| !first.starts_with("--")) {
            server.arg(&self.arguments[0]).args(&self.arguments[1..]);
            server.arg("--port").arg(self.port.to_string());
        } else {
            server.arg("--port").arg(self.port.to_string()).args(["--save", ""]).args(&self.arguments);
        }
        server.args(["--bind", "127.0.0.1"]).arg("--dir").arg(self.folder.path()).args(more);
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        server.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(server.spawn().expect("redis-server is installed"));
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        connect(&self.url()).await
    }

    /// The answer to a command of words.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &str) -> RedisResult<T> {
        let mut words = command.split(' ');
        let mut question = redis::cmd(words.next().unwrap());
        for word in words {
            question.arg(word);
        }
        question.query_async(&mut self.connect().await?).await
    }

    /// Waits until it answers, and not another that took its port.
    pub(crate) async fn ready(&self) {
        let pid = format!("process_id:{}\r", self.child.as_ref().unwrap().id());
        let log = self.folder.path().join("log");
        until(async || {
            let said = std::fs::read_to_string(&log).unwrap();
            assert!(!said.contains("FATAL CONFIG FILE ERROR") && !said.contains("already in use"), "{said}");
            self.ask::<String>("INFO server").await.is_ok_and(|info| info.contains(&pid))
        })
        .await;
    }

    /// Waits until this replica has its master's data.
    pub(crate) async fn is_linked(&self) {
        let linked = async || {
            self.ask::<String>("INFO replication").await.is_ok_and(|info| info.contains("master_link_status:up"))
        };
        until(linked).await;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Stop => "-STOP",
            Signal::Continue => "-CONT",
        };
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// As `kill -9` does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again after it was killed, with `more` options, without waiting until it answers.
    pub(crate) fn restart(&mut self, more: &[&str]) {
        self.kill();
        self.spawn(more);
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A master and its replica.
pub(crate) async fn replicated() -> [Redis; 2] {
    let master = Redis::start(&[]).await;
    let port = master.port.to_string();
    let replica = Redis::start(&["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"]).await;
    replica.is_linked().await;
    [master, replica]
}

/// Below the range from which the system takes ports for outgoing connections, and never the same twice.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = 20_000 + u16::try_from(std::process::id() % 100).unwrap() * 100;
    loop {
        let port = base + NEXT.fetch_add(1, Ordering::Relaxed) % 4_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
