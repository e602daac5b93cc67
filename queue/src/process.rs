//! A worker process: an identity unique to its start, and the proof that it lives.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};
use tracing::warn;
use uuid::Uuid;

use crate::connection::{Connection, Server};
use crate::engine::Engine;
use crate::error::Error;
use crate::keys::Keys;
use crate::scripts;

/// How often a process beats.
pub const BEAT_EVERY: Duration = Duration::from_secs(2);
/// A process is dead after this silence: its jobs go to others.
pub const DEAD_AFTER: Duration = Duration::from_secs(6);
/// A beat that takes longer has failed; the next one opens a new connection.
const BEAT_TIMEOUT: Duration = Duration::from_millis(1500);
/// Longer than 64 bytes: see `scripts/beat.lua`.
const SENTINEL: &str = "this entry keeps the hash of leases from being stored as a listpack";

/// The identity of a process: eight characters, new at each start, so that a restarted process is never taken for the
/// one that died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProcessId([u8; 8]);

impl ProcessId {
    /// A new one.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "an identity is never a default value")]
    pub fn new() -> Self {
        const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let random = Uuid::new_v4();
        let mut id = [0; 8];
        for (character, byte) in id.iter_mut().zip(random.as_bytes()) {
            *character = ALPHABET[usize::from(*byte) % ALPHABET.len()];
        }
        Self(id)
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("the alphabet is ASCII")
    }
}

/// What is known of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// The name of its machine.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
    /// When it started, in ms since 1970.
    pub started: i64,
}

impl ProcessInfo {
    /// This process.
    #[must_use]
    pub fn of_this() -> Self {
        let host = hostname::get().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let started = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
        Self { host, pid: std::process::id(), started: i64::try_from(started).unwrap_or_default() }
    }
}

/// Beats from a thread of its own, which no handler can block, until it is stopped or dropped.
#[derive(Debug)]
pub(crate) struct Beat {
    stop: watch::Sender<bool>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl Beat {
    /// Registers `process` with `queues` and begins to beat. Returns after the first beat was tried.
    ///
    /// # Errors
    /// If a queue's name cannot be used, or the system refuses a thread.
    pub(crate) async fn start(engine: &Engine, process: ProcessId, queues: &[&str]) -> Result<Self, Error> {
        let keys = queues.iter().map(|queue| engine.keys(queue)).collect::<Result<Vec<_>, _>>()?;
        let info = serde_json::to_string(&ProcessInfo::of_this()).expect("text and numbers");
        let mut beats = Beats {
            connection: engine.server.connection(),
            server: Arc::clone(&engine.server),
            keys: keys.into(),
            process,
            info,
        };
        let (stop, stopped) = watch::channel(false);
        let (began, first) = oneshot::channel();
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(beats.run(began, stopped)),
                Err(error) => warn!(%error, "no beats: this process will be taken for dead"),
            }
        };
        let thread = thread::Builder::new().name("beat".into()).spawn(run);
        let thread = thread.map_err(Error::Thread)?;
        // An error says only that the thread has ended, which it has logged.
        let _ = first.await;
        Ok(Self { stop, thread: Mutex::new(Some(thread)) })
    }

    /// Stops the thread, and waits for the beat under way.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It has reported its own panic.
            let _ = thread.join();
        }
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Beats {
    server: Arc<Server>,
    /// Of its own, in this thread's runtime.
    connection: Connection,
    keys: Arc<[Keys]>,
    process: ProcessId,
    info: String,
}

impl Beats {
    async fn run(&mut self, began: oneshot::Sender<()>, mut stopped: watch::Receiver<bool>) {
        let mut began = Some(began);
        let mut interval = tokio::time::interval(BEAT_EVERY);
        loop {
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => return,
                _ = interval.tick() => {}
            }
            self.beat().await;
            if let Some(began) = began.take() {
                let _ = began.send(());
            }
        }
    }

    /// Each queue by itself: in a cluster, the one whose server is away must not silence the others.
    async fn beat(&mut self) {
        let beats = self.keys.iter().map(|keys| tokio::time::timeout(BEAT_TIMEOUT, self.beat_for(keys)));
        let mut failed = false;
        for (keys, beat) in self.keys.iter().zip(join_all(beats).await) {
            let error = match beat {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            failed = true;
            metrics::counter!("bellwork_beats_failed_total").increment(1);
            let silence = DEAD_AFTER.as_secs();
            warn!(
                error,
                queue = &*keys.queue,
                "a beat failed; after {silence} s of silence others take this process's jobs"
            );
        }
        if failed {
            self.connection = self.server.connection();
        }
    }

    async fn beat_for(&self, keys: &Keys) -> redis::RedisResult<()> {
        let mut beat = scripts::BEAT.on(keys);
        beat.arg(self.process.as_str()).arg(&self.info).arg(SENTINEL);
        scripts::call(&beat, &mut self.connection.clone()).await
    }
}

/// Strikes a stopping process off the registers, after it has given its jobs back.
///
/// # Errors
/// If Redis fails: the process is then found dead by its silence.
pub(crate) async fn leave(engine: &Engine, process: ProcessId, queues: &[&str]) -> Result<(), Error> {
    let leave = async |queue: &&str| {
        let mut leave = scripts::LEAVE.on(&engine.keys(queue)?);
        leave.arg(process.as_str()).arg("");
        Ok(scripts::call::<()>(&leave, &mut engine.connection.clone()).await?)
    };
    join_all(queues.iter().map(leave)).await.into_iter().collect()
}
