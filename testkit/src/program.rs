//! A program or a server, as a process of its own.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use uuid::Uuid;

use crate::{DEADLINE, until};

/// A running process; killed when it is dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    log: PathBuf,
}

/// The signals that tests send.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// Please stop.
    Term,
    /// Stop now, without a word.
    Kill,
    /// Freeze.
    Stop,
    /// Go on.
    Continue,
}

impl Program {
    /// Starts `command`; its output goes to `log`.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(name: &str, mut command: Command, log: &Path) -> Self {
        let output = File::options().create(true).append(true).open(log).expect("the folder is ours");
        let errors = output.try_clone().expect("a file can be shared");
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = command.spawn().unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        Self { name: name.to_owned(), child, log: log.to_owned() }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends `signal`.
    ///
    /// # Panics
    /// If the process has ended.
    pub fn signal(&self, signal: Signal) {
        let signal = match signal {
            Signal::Term => "-TERM",
            Signal::Kill => "-KILL",
            Signal::Stop => "-STOP",
            Signal::Continue => "-CONT",
        };
        let sent = Command::new("kill").arg(signal).arg(self.pid().to_string()).status().expect("kill is installed");
        assert!(sent.success(), "{} has ended", self.name);
    }

    /// Kills it without a word and waits until it is gone.
    pub fn kill(mut self) {
        self.end();
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// If it does not before the deadline.
    pub fn wait(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status;
            }
            assert!(started.elapsed() < DEADLINE, "{} did not end", self.name);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until it listens on `port`.
    ///
    /// # Panics
    /// If it ends instead.
    pub async fn listens(&mut self, port: u16) {
        let what = format!("{} listens", self.name);
        until(&what, async || {
            let somebody = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
            assert!(self.runs(), "{} has ended: {}", self.name, self.log());
            somebody.is_ok()
        })
        .await;
    }

    /// Whether it runs.
    #[must_use]
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_none())
    }

    /// What it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn end(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    #[allow(clippy::print_stderr, reason = "a failed test shows what its programs said")]
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- {} ---\n{}", self.name, lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}

/// The ports that tests take: below the range from which the system takes those of outgoing connections.
const PORTS: Range<u16> = 20_000..32_000;

/// A port that was free a moment ago, and was not given to this process among many before. Each process begins elsewhere.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(Uuid::new_v4().as_fields().1));
    let count = PORTS.end - PORTS.start;
    loop {
        let port = PORTS.start + NEXT.fetch_add(1, Ordering::Relaxed) % count;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
