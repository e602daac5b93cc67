//! The servers, as processes with all that they start.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::Context;
use bellwork_testkit::program::free_port;
use bellwork_tests::installation::Api;
use tokio::net::TcpStream;

use super::leave_out;
use super::world::{POOL_SIZE, World};
use crate::places::Places;

/// A server that is measured.
#[derive(Debug)]
pub(crate) struct Server {
    /// As `--only` and the tables call it.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) kind: Kind,
    /// What a reader of its figures should know.
    pub(crate) note: &'static str,
}

/// What a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `bellwork-api`.
    Ours,
    /// An actix handler that does nothing.
    Bare,
    /// The same routes, written for this comparison.
    Peer,
}

/// The server that all others are compared with.
pub(crate) const OURS: &str = "bellwork";
/// What actix-web does without us.
pub(crate) const BARE: &str = "bare-actix";
const FASTIFY: &str = "fastify";
const FASTAPI: &str = "fastapi";

/// All servers, in the order in which they run.
pub(crate) const SERVERS: &[Server] = &[
    Server {
        name: OURS,
        kind: Kind::Ours,
        note: "one process, a thread a core; counts limits (lifted), measures each request, judges each vote",
    },
    Server { name: BARE, kind: Kind::Bare, note: "the same settings; as many bytes as ours answers, nothing else" },
    Server {
        name: FASTIFY,
        kind: Kind::Peer,
        note: "a process a core (cluster), pg, ioredis, lru-cache; no limits, no metrics, votes unjudged",
    },
    Server {
        name: FASTAPI,
        kind: Kind::Peer,
        note: "a process a core, uvicorn with uvloop and httptools, orjson, asyncpg, redis, cachetools; no limits, no \
               metrics, votes unjudged",
    },
];

/// A server must answer by then.
const START: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);
const KEEP_ALIVE_SECONDS: &str = "75";
const BACKLOG: &str = "4096";

/// Those that run. All are idle but the one that is measured.
#[derive(Debug)]
pub(crate) struct Servers {
    /// Ours is the first.
    pub(crate) running: Vec<Running>,
}

impl Servers {
    /// Starts ours, and those of the others that can be had; `only` names some of them, or none for all.
    pub(crate) async fn start(world: &World, only: &[&'static Server], places: &Places) -> anyhow::Result<Self> {
        let mut running = Vec::new();
        for server in SERVERS {
            let wanted = only.is_empty() || only.iter().any(|only| only.name == server.name);
            if server.kind != Kind::Ours && !wanted {
                continue;
            }
            match Running::start(server, world, places).await {
                Ok(started) => running.push(started),
                Err(error) if server.kind == Kind::Peer => leave_out(server, &error),
                Err(error) => return Err(error),
            }
        }
        Ok(Self { running })
    }

    /// Ours and the peers.
    pub(crate) fn that_serve_routes(&self) -> impl Iterator<Item = &Running> {
        self.running.iter().filter(|server| server.kind() != Kind::Bare)
    }
}

/// A server that runs, killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    server: &'static Server,
    process: Process,
    /// Its address, without a path.
    pub(crate) url: String,
    /// Its version.
    pub(crate) version: String,
    /// The ETags of paths, where it answers with one.
    pub(crate) etags: HashMap<String, String>,
    /// How many bytes we answer to each path.
    pub(crate) sizes: HashMap<String, usize>,
}

#[derive(Debug)]
enum Process {
    Ours(Api),
    Group(Group),
}

impl Running {
    async fn start(server: &'static Server, world: &World, places: &Places) -> anyhow::Result<Self> {
        let port = free_port();
        let (process, url) = match command(server, world, places, port)? {
            Some(command) => {
                let log = places.logs.join(format!("{}.log", server.name));
                let group = Group::start(command, log, port).await?;
                (Process::Group(group), format!("http://127.0.0.1:{port}"))
            }
            None => {
                let api = world.installation.api().await;
                let url = api.url.clone();
                (Process::Ours(api), url)
            }
        };
        let version = version(server, places);
        Ok(Self { server, process, url, version, etags: HashMap::new(), sizes: HashMap::new() })
    }

    /// As the tables call it.
    pub(crate) fn name(&self) -> &'static str {
        self.server.name
    }

    /// What it is.
    pub(crate) fn kind(&self) -> Kind {
        self.server.kind
    }

    /// What a reader of its figures should know.
    pub(crate) fn note(&self) -> &'static str {
        self.server.note
    }

    /// The bytes of memory that its processes take, those that they share counted once.
    pub(crate) fn memory(&self) -> anyhow::Result<u64> {
        let processes = match &self.process {
            Process::Ours(api) => vec![api.program.pid()],
            Process::Group(group) => group.members(),
        };
        processes.into_iter().map(proportional_set_size).sum()
    }
}

/// How a server is started; none for ours, which the installation starts.
fn command(server: &Server, world: &World, places: &Places, port: u16) -> anyhow::Result<Option<Command>> {
    let mut command = match server.kind {
        Kind::Ours => return Ok(None),
        Kind::Bare => {
            let mut bare = Command::new(std::env::current_exe()?);
            bare.args(["bare", &port.to_string()]);
            return Ok(Some(bare));
        }
        Kind::Peer if server.name == FASTIFY => fastify(places)?,
        Kind::Peer => fastapi(places, port)?,
    };
    for variable in ["DATABASE_URL", "REDIS_URL", "REDIS_PREFIX"] {
        command.env(variable, world.installation.variable(variable));
    }
    command.env("QUERIES", absolute(&places.programs.join("api/queries"))?).env("PORT", port.to_string());
    command.env("WORKERS", cores().to_string()).env("POOL_SIZE", POOL_SIZE);
    Ok(Some(command))
}

fn fastify(places: &Places) -> anyhow::Result<Command> {
    let mut node = Command::new("node");
    node.arg(absolute(&places.programs.join("api/fastify/server.mjs"))?).env("NODE_ENV", "production");
    node.current_dir(places.packages.join("api/fastify"));
    Ok(node)
}

fn fastapi(places: &Places, port: u16) -> anyhow::Result<Command> {
    let mut uvicorn = Command::new(absolute(&places.packages.join("api/fastapi/bin/uvicorn"))?);
    uvicorn.args(["app:app", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--no-server-header"]);
    uvicorn.args(["--timeout-keep-alive", KEEP_ALIVE_SECONDS, "--backlog", BACKLOG]);
    uvicorn.args(["--port", &port.to_string(), "--workers", &cores().to_string()]);
    uvicorn.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(places.programs.join("api/fastapi"));
    Ok(uvicorn)
}

fn version(server: &Server, places: &Places) -> String {
    let said = |program: PathBuf, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    match server.name {
        FASTIFY => {
            let package = places.packages.join("api/fastify/node_modules/fastify/package.json");
            let text = std::fs::read_to_string(package).unwrap_or_default();
            let package: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            format!(
                "{}, Node.js {}",
                package["version"].as_str().unwrap_or_default(),
                said("node".into(), &["--version"])
            )
        }
        FASTAPI => {
            let python = places.packages.join("api/fastapi/bin/python");
            said(
                python,
                &[
                    "-c",
                    "import fastapi, platform; print(f'{fastapi.__version__}, Python {platform.python_version()}')",
                ],
            )
        }
        _ => env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// A process and those that it starts, killed together.
#[derive(Debug)]
struct Group(Child);

impl Group {
    /// Starts it and waits until its port is open.
    async fn start(mut command: Command, log: PathBuf, port: u16) -> anyhow::Result<Self> {
        use std::os::unix::process::CommandExt;
        let output = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0);
        let mut group = Self(command.spawn().context("its program cannot be started")?);
        let deadline = tokio::time::Instant::now() + START;
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            let ended = group.0.try_wait()?.is_some();
            if ended || tokio::time::Instant::now() > deadline {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it does not answer");
                anyhow::bail!("{}", last.trim());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(group)
    }

    fn members(&self) -> Vec<u32> {
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        ids.filter(|id| group_of(*id) == Some(self.0.id())).collect()
    }
}

impl Drop for Group {
    /// The group has the first process's id, which is nobody else's before that process was waited for.
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.0.id())]).status();
        let _ = self.0.wait();
    }
}

/// The third field after the name, which ends with the last parenthesis.
fn group_of(process: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(2)?.parse().ok()
}

fn proportional_set_size(process: u32) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("the kernel tells no memory")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024)
}

fn cores() -> usize {
    available_parallelism().map_or(1, std::num::NonZero::get)
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{} cannot be named", path.display()))
}
