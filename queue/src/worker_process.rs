//! A process that runs jobs: it registers, beats, listens for wake-ups, and hands out a backend per queue.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::backend::{RedisBackend, ServedQueue};
use crate::cancellations::Cancellations;
use crate::claimer::Buffer;
use crate::delivery::{InHand, Verdict};
use crate::engine::Engine;
use crate::error::Error;
use crate::keys::Keys;
use crate::process::{Beat, ProcessId, leave};
use crate::progress::Source;
use crate::settler::{Settlement, Settler};
use crate::wake::Wake;

/// One start of a worker process. Its jobs are safe as long as it lives; it is dead when its beats stop.
pub struct WorkerProcess {
    id: ProcessId,
    engine: Engine,
    queues: HashMap<String, Vec<Arc<ServedQueue>>>,
    /// The names of all partitions.
    parts: Vec<String>,
    stop: watch::Sender<bool>,
    _wake: Wake,
    beat: Beat,
}

impl WorkerProcess {
    /// Registers this process with `queues` and begins to beat.
    ///
    /// # Errors
    /// If a queue's name cannot be used. Redis may be away: the process registers when it comes.
    pub async fn start(engine: Engine, queues: &[&str]) -> Result<Self, Error> {
        let id = ProcessId::new();
        let parts: Vec<String> = queues.iter().flat_map(|queue| engine.parts(queue)).collect();
        let names: Vec<&str> = parts.iter().map(String::as_str).collect();
        let wake = Wake::start(&engine, &names)?;
        let beat = Beat::start(&engine, id, &names).await?;
        let (stop, stopped) = watch::channel(false);
        let mut served = HashMap::new();
        for queue in queues {
            let parts = engine.parts(queue).into_iter().map(|part| {
                let keys = Arc::new(engine.keys(&part)?);
                Ok(Arc::new(ServedQueue::start(&engine, id, keys, &wake, stopped.clone())))
            });
            served.insert((*queue).to_owned(), parts.collect::<Result<_, Error>>()?);
        }
        Ok(Self { id, engine, queues: served, parts, stop, _wake: wake, beat })
    }

    /// The identity of this start.
    #[must_use]
    pub fn id(&self) -> ProcessId {
        self.id
    }

    /// The source of the queue's deliveries, at most `concurrency` at a time.
    ///
    /// # Errors
    /// If the process was not started with this queue.
    pub fn backend(&self, queue: &str, concurrency: usize) -> Result<RedisBackend, Error> {
        let reason = "is not one this process was started with";
        let queue = self.queues.get(queue).ok_or(Error::Invalid { field: "queue", reason })?;
        Ok(RedisBackend::new(queue, concurrency))
    }

    /// How many jobs of `queue` are in the hands of this process.
    #[must_use]
    pub fn in_hand(&self, queue: &str) -> usize {
        self.queues.get(queue).map_or(0, |parts| parts.iter().map(|part| part.in_hand.len()).sum())
    }

    /// Claims no more; what was claimed and not begun goes back.
    pub fn stop_claiming(&self) {
        self.stop.send_replace(true);
    }

    /// Gives all jobs in hand back, uncharged, for others to run, and waits for each queue until Redis has it, but no longer
    /// than `patience`. What Redis did not take is found by the silence of this process.
    pub async fn release_all(&self, patience: Duration) -> usize {
        let mut released = 0;
        for queue in self.queues.values().flatten() {
            for (id, lease) in queue.in_hand.all() {
                queue.settler.settle(Settlement { id, lease, verdict: Verdict::Release });
                released += 1;
            }
        }
        let flushes = self.queues.values().flatten().map(|queue| timeout(patience, queue.settler.flush()));
        join_all(flushes).await;
        released
    }

    /// Strikes this process off the registers. It must not claim any more.
    ///
    /// # Errors
    /// If Redis fails: it is then found dead by its silence.
    pub async fn leave(&self) -> Result<(), Error> {
        self.beat.stop();
        let parts: Vec<&str> = self.parts.iter().map(String::as_str).collect();
        leave(&self.engine, self.id, &parts).await
    }
}

impl ServedQueue {
    fn start(engine: &Engine, process: ProcessId, keys: Arc<Keys>, wake: &Wake, stop: watch::Receiver<bool>) -> Self {
        let bell = wake.bell(&keys);
        let in_hand = InHand::new(Arc::clone(&bell));
        let source = Arc::new(Source { engine: engine.clone(), keys: Arc::clone(&keys) });
        Self {
            _cancellations: Cancellations::start(Arc::clone(&source), in_hand.clone(), wake.cancel_bell(&keys)),
            settler: Settler::start(engine.clone(), keys, in_hand.clone()),
            buffer: Arc::new(Buffer::default()),
            bell,
            source,
            process,
            stop,
            in_hand,
        }
    }
}

impl std::fmt::Debug for WorkerProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerProcess").field("id", &self.id.as_str()).finish_non_exhaustive()
    }
}
