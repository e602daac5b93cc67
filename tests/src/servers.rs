//! PostgreSQL servers of a test's own, which it may crash and restart, and what stands before them.

use std::path::{Path, PathBuf};
use std::process::Command;

use bellwork_testkit::eventually;
use bellwork_testkit::folder::Folder;
use bellwork_testkit::program::{Program, free_port};
use bellwork_testkit::test_run::variable;

/// A PostgreSQL of its own, durable.
#[derive(Debug)]
pub struct PrivatePostgres {
    program: Option<Program>,
    port: u16,
    folder: Folder,
}

impl PrivatePostgres {
    /// Makes a cluster, starts it and waits until it answers.
    ///
    /// # Panics
    /// If PostgreSQL is not installed.
    pub async fn start() -> Self {
        let mut postgres = Self { program: None, port: free_port(), folder: Folder::new() };
        postgres.own_folder();
        let mut init = as_postgres(&binary("initdb"));
        init.arg("-D").arg(postgres.data()).args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"]);
        let made = init.output().expect("initdb is installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        postgres.spawn().await;
        postgres
    }

    /// A streaming replica of it.
    ///
    /// # Panics
    /// If it cannot be copied.
    pub async fn replica(&self) -> Self {
        self.replica_behind(std::time::Duration::ZERO).await
    }

    /// A streaming replica that replays each commit so much later.
    ///
    /// # Panics
    /// If it cannot be copied.
    pub async fn replica_behind(&self, delay: std::time::Duration) -> Self {
        let mut replica = Self { program: None, port: free_port(), folder: Folder::new() };
        replica.own_folder();
        let mut copy = as_postgres(&binary("pg_basebackup"));
        copy.args(["-h", "127.0.0.1", "-U", "postgres", "-p", &self.port.to_string()]);
        copy.args(["--checkpoint=fast", "--write-recovery-conf", "--wal-method=stream", "-D"]).arg(replica.data());
        let copied = copy.output().expect("pg_basebackup is installed");
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        let mut set = as_postgres(Path::new("sed"));
        let setting = format!("$ a recovery_min_apply_delay = {}ms", delay.as_millis());
        set.args(["-i", &setting]).arg(replica.data().join("postgresql.auto.conf"));
        assert!(set.status().is_ok_and(|status| status.success()), "the replica's settings can be written");
        replica.spawn().await;
        replica
    }

    /// Its address, without the name of a database.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}", self.port)
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.program.as_ref().map(Program::log).unwrap_or_default()
    }

    /// Stops it as a crash does.
    ///
    /// # Panics
    /// If it cannot be stopped.
    pub fn crash(&mut self) {
        let mut stop = as_postgres(&binary("pg_ctl"));
        stop.arg("-D").arg(self.data()).args(["-m", "immediate", "-w", "stop"]);
        let stopped = stop.output().expect("pg_ctl is installed");
        assert!(stopped.status.success(), "{}", String::from_utf8_lossy(&stopped.stderr));
        drop(self.program.take());
    }

    /// Stops it as a crash does, and starts it again.
    ///
    /// # Panics
    /// If it cannot be stopped.
    pub async fn crash_and_restart(&mut self) {
        self.crash();
        self.spawn().await;
    }

    fn own_folder(&self) {
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(self.folder.path()).status();
            assert!(owned.is_ok_and(|status| status.success()), "there is a user postgres");
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    async fn spawn(&mut self) {
        let mut server = as_postgres(&binary("postgres"));
        server.arg("-D").arg(self.data()).args(["-p", &self.port.to_string(), "-c", "max_connections=200"]);
        server.arg("-c").arg(format!("unix_socket_directories={}", self.folder.path().display()));
        self.program = Some(Program::start("postgres", server, &self.folder.path().join("log")));
        let url = format!("{}/postgres", self.url());
        eventually("PostgreSQL answers", async || {
            use sqlx::Connection;
            sqlx::PgConnection::connect(&url).await.ok()
        })
        .await;
    }
}

impl Drop for PrivatePostgres {
    /// By its own tool first, since a postmaster that is killed leaves its shared memory.
    fn drop(&mut self) {
        let mut stop = as_postgres(&binary("pg_ctl"));
        stop.arg("-D").arg(self.data()).args(["-m", "immediate", "-t", "10", "stop"]);
        let _ = stop.output();
    }
}

/// A PgBouncer in transaction mode, in front of a PostgreSQL.
#[derive(Debug)]
pub struct Pooler {
    _program: Program,
    port: u16,
    _folder: Folder,
}

impl Pooler {
    /// Starts one that shares few sessions of the server of `url` among all clients, and waits until it answers. The program is
    /// named by the variable `PGBOUNCER`, which `scripts/test` sets.
    ///
    /// # Panics
    /// If it cannot be started.
    pub async fn before(url: &str) -> Self {
        let (port, folder) = (free_port(), Folder::new());
        let server = url::Url::parse(url).expect("an address of PostgreSQL");
        let (host, server_port) = (server.host_str().unwrap_or("127.0.0.1"), server.port().unwrap_or(5432));
        let settings = format!(
            "[databases]\n* = host={host} port={server_port} user={user}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = 6\nmax_client_conn = 500\n",
            user = server.username(),
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).expect("the folder is ours");
        if is_root() {
            let owned = Command::new("chown").arg("-R").arg("postgres").arg(folder.path()).status();
            assert!(owned.is_ok_and(|status| status.success()), "there is a user postgres");
        }
        let mut program = as_postgres(Path::new(&variable("PGBOUNCER")));
        program.arg(&file);
        let mut program = Program::start("pgbouncer", program, &folder.path().join("log"));
        program.listens(port).await;
        Self { _program: program, port, _folder: folder }
    }

    /// Its address, without the name of a database.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}", self.port)
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().map(|output| output.stdout);
    id.is_ok_and(|id| id.starts_with(b"0\n"))
}

/// PostgreSQL refuses to run as root. What changes the user becomes the program, so that a kill ends it: `runuser` would be
/// its parent, and leave it behind.
fn as_postgres(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]).arg(program).current_dir("/");
    command
}

/// The newest installed one.
fn binary(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut binaries: Vec<PathBuf> = versions.map(|version| version.path().join("bin").join(name)).collect();
    binaries.retain(|binary| binary.exists());
    binaries.sort_by_key(|binary| {
        let version = binary.iter().nth(4).and_then(|version| version.to_str()?.parse::<u32>().ok());
        version.unwrap_or_default()
    });
    binaries.pop().unwrap_or_else(|| name.into())
}
