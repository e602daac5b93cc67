//! A real mail server, aiosmtpd, that puts what it accepts into a Maildir.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::TemporaryDirectory;

const DEADLINE: Duration = Duration::from_secs(150);
const POLL: Duration = Duration::from_millis(20);
/// Debian's, for which `python3-aiosmtpd` is packaged.
const PYTHON: &str = "/usr/bin/python3";

pub(crate) struct Inbox {
    pub(crate) address: SocketAddr,
    dir: TemporaryDirectory,
    _server: Child,
}

impl Inbox {
    /// Starts the server on a free port and waits until it listens.
    pub(crate) async fn start() -> Self {
        let dir = TemporaryDirectory::new();
        let deadline = Instant::now() + DEADLINE;
        loop {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = free.local_addr().unwrap();
            drop(free);
            let maildir = dir.path().join("maildir");
            let mut server = Command::new(PYTHON)
                .args(["-m", "aiosmtpd", "-n", "-l", &address.to_string(), "-c", "aiosmtpd.handlers.Mailbox"])
                .arg(maildir)
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .expect("/usr/bin/python3 with the package python3-aiosmtpd is installed");
            while server.try_wait().unwrap().is_none() {
                if TcpStream::connect(address).await.is_ok() {
                    return Self { address, dir, _server: server };
                }
                assert!(Instant::now() < deadline, "aiosmtpd does not listen");
                sleep(POLL).await;
            }
            assert!(Instant::now() < deadline, "aiosmtpd does not start; is python3-aiosmtpd installed?");
        }
    }

    /// What was accepted so far.
    pub(crate) fn mails(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path().join("maildir/new")).unwrap();
        entries.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
    }
}
