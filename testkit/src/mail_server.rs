//! An SMTP server that is not our code: aiosmtpd, which files what it takes in a Maildir.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use crate::eventually;
use crate::folder::Folder;
use crate::program::{Program, free_port};

/// A running server.
#[derive(Debug)]
pub struct MailServer {
    _program: Program,
    port: u16,
    folder: Folder,
}

impl MailServer {
    /// Starts it and waits until it listens.
    pub async fn start() -> Self {
        let (port, folder) = (free_port(), Folder::new());
        let mut server = Command::new("/usr/bin/python3");
        server.args(["-m", "aiosmtpd", "-n", "-l", &format!("127.0.0.1:{port}")]);
        server.args(["-c", "aiosmtpd.handlers.Mailbox"]).arg(folder.path().join("mail"));
        let mut program = Program::start("aiosmtpd", server, &folder.path().join("log"));
        program.listens(port).await;
        Self { _program: program, port, folder }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Its address, for `SMTP_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address())
    }

    /// Everything delivered so far.
    #[must_use]
    pub fn mails(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.folder.path().join("mail").join("new")).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = files.map(|file| file.path()).collect();
        paths.sort();
        paths.into_iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect()
    }

    /// Waits for a mail that `matches`.
    pub async fn mail(&self, matches: impl Fn(&str) -> bool) -> String {
        eventually("the mail", async || self.mails().into_iter().find(|mail| matches(mail))).await
    }
}
