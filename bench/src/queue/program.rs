//! A peer's program as a process, with all that it starts.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::peers::{Peer, Program};
use crate::peer::{Answer, Verb};
use crate::places::Places;

/// A step that takes longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(240);

fn command(places: &Places, peer: &Peer) -> anyhow::Result<Command> {
    let interpreted = |interpreter: &Path, file: &str| {
        let mut command = Command::new(interpreter);
        command.arg(places.programs.join(file));
        command
    };
    Ok(match peer.program {
        Program::Own => {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["peer", peer.name]);
            command
        }
        Program::Rust => {
            let mut command = Command::new(places.packages.join("target/release/bellwork-bench-peers"));
            command.arg(peer.name);
            command
        }
        Program::Node(file) => {
            let mut command = interpreted(Path::new("node"), file);
            command.current_dir(places.packages.join("node"));
            command
        }
        Program::Python(file) => {
            let mut command = interpreted(&places.packages.join("python/bin/python"), file);
            command.env("PYTHONDONTWRITEBYTECODE", "1");
            command
        }
        Program::Ruby(file) => interpreted(Path::new("ruby"), file),
    })
}

/// A running program. Its whole group of processes is killed with it.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    answers: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
}

impl Running {
    /// Starts the program of `peer` at `verb`.
    pub(crate) fn start(places: &Places, peer: &Peer, verb: &Verb) -> anyhow::Result<Self> {
        let log = places.logs.join(format!("peer-{}.log", peer.name));
        let errors = File::options().create(true).append(true).open(&log)?;
        let mut command = command(places, peer)?;
        // The last line that it says is the reason why it gave up.
        command
            .args(verb.words())
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors);
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn().context("its program cannot be started")?;
        let stdout = child.stdout.take().context("its output is piped")?;
        Ok(Self { child, answers: BufReader::new(stdout).lines(), log })
    }

    /// Waits for the answer, and ends the program.
    pub(crate) async fn answer(mut self) -> anyhow::Result<Answer> {
        let answer = tokio::time::timeout(PATIENCE, self.next_answer()).await;
        self.kill().await;
        answer.with_context(|| format!("no answer within {} s", PATIENCE.as_secs()))?
    }

    /// Kills every process of it without a word, and waits until the first of them is gone.
    pub(crate) async fn kill(mut self) {
        self.kill_group();
        // It was killed: how it ended says nothing.
        let _ = self.child.wait().await;
    }

    async fn next_answer(&mut self) -> anyhow::Result<Answer> {
        while let Some(line) = self.answers.next_line().await? {
            if let Ok(answer) = serde_json::from_str(&line) {
                return Ok(answer);
            }
        }
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it ended without a word");
        anyhow::bail!("{}", last.trim())
    }

    /// The group has the first process's id, which is nobody else's before that process was waited for.
    fn kill_group(&self) {
        if let Some(group) = self.child.id() {
            let _ = std::process::Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).status();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill_group();
    }
}
