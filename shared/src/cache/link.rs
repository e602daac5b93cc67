//! The link over which a process hears what to forget. While it is broken, nothing that the process keeps is certain.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};
use redis::aio::PubSubSink;
use redis::{RedisError, RedisResult};
use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::generations::Generations;
use super::invalidation::Invalidator;
use super::remote::Remote;
use super::tally::{Figures, Tally};
use super::wire::Redis;
use super::{Policy, Shelf, Unheard, Value};

/// How often Redis is asked whether it is there: several times within the shortest time a cache trusts it unheard.
const PING_EVERY: Duration = Duration::from_millis(250);
/// A server that takes longer to answer is gone.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause before the link is opened again, in milliseconds; random, so that not all processes come at once.
const RECONNECT_MS: std::ops::Range<u64> = 50..500;

/// The layers of a process. Cheap to clone; the link ends with the last clone and the last [`Shelf`].
#[derive(Clone, Debug)]
pub struct Layers(Arc<Core>);

/// What all caches of a process share.
pub(super) struct Core {
    pub(super) generations: Arc<Generations>,
    pub(super) remote: Remote,
    pub(super) invalidator: Invalidator,
    pub(super) runtime: Handle,
    tallies: Mutex<Vec<Arc<Tally>>>,
    started: Instant,
    /// When Redis was last known to be heard, in milliseconds after `started`; 0: it is not.
    heard: AtomicU64,
}

impl Layers {
    /// Starts to listen, on the current runtime. Redis need not be there.
    #[must_use]
    pub fn start(redis: Redis, prefix: &str) -> Self {
        let (remote, generations) = (Remote::new(redis.clone(), prefix), Arc::new(Generations::new()));
        let core = Arc::new(Core {
            invalidator: Invalidator::of(remote.clone(), Arc::clone(&generations)),
            generations,
            remote,
            runtime: Handle::current(),
            tallies: Mutex::default(),
            started: Instant::now(),
            heard: AtomicU64::new(0),
        });
        tokio::spawn(listen(Arc::downgrade(&core), redis));
        Self(core)
    }

    /// The cache of a line of THE TABLE. Make each once.
    #[must_use]
    pub fn shelf<V: Value>(&self, policy: &'static Policy) -> Shelf<V> {
        let tally = Arc::new(Tally::new(policy.name));
        self.0.tallies.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&tally));
        Shelf::new(policy, Arc::clone(&self.0), tally)
    }

    /// Forgets what has changed, here and elsewhere.
    #[must_use]
    pub fn invalidator(&self) -> &Invalidator {
        &self.0.invalidator
    }

    /// True if this process hears what others change.
    #[must_use]
    pub fn hears(&self) -> bool {
        self.0.hears()
    }

    #[cfg(test)]
    pub(super) fn doubt_all(&self) {
        self.0.generations.doubt_all();
    }

    /// How each cache has done.
    #[must_use]
    pub fn figures(&self) -> Vec<Figures> {
        self.0.tallies.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|tally| tally.figures()).collect()
    }

    /// Brings how they have done into this process's metrics, before somebody reads those.
    pub fn publish(&self) {
        self.0.tallies.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|tally| tally.publish());
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("hears", &self.hears()).finish_non_exhaustive()
    }
}

impl Core {
    /// How long a value may be used after its load, under `policy` and as things stand at `now`; none: not at all.
    pub(super) fn trust(&self, policy: &Policy, now: Instant) -> Option<Duration> {
        match (policy.unheard, self.unheard_for(now)) {
            (Unheard::Shorten(limit), None) => Some(limit),
            (Unheard::Bypass(limit), heard) if heard.is_none_or(|since| since > limit) => None,
            _ => Some(policy.local),
        }
    }

    fn hears(&self) -> bool {
        self.heard.load(Ordering::SeqCst) > 0
    }

    /// How long ago Redis was last heard; none if the link is broken.
    fn unheard_for(&self, now: Instant) -> Option<Duration> {
        let heard = self.heard.load(Ordering::SeqCst);
        let since = now.saturating_duration_since(self.started);
        (heard > 0).then(|| since.saturating_sub(Duration::from_millis(heard)))
    }

    fn hear_at(&self, instant: Instant) {
        let since = instant.saturating_duration_since(self.started).as_millis();
        self.heard.store(u64::try_from(since).unwrap_or(u64::MAX).max(1), Ordering::SeqCst);
    }

    /// What was changed while nobody listened is not known: all that is kept is doubtful.
    fn begin(&self, asked: Instant) {
        self.generations.doubt_all();
        self.hear_at(asked);
        metrics::gauge!("bellwork_cache_link_up").set(1.0);
        tracing::debug!("the cache hears of changes");
    }

    fn lose(&self, error: &RedisError) {
        if self.heard.swap(0, Ordering::SeqCst) == 0 {
            return;
        }
        self.generations.doubt_all();
        metrics::counter!("bellwork_cache_flushes_total").increment(1);
        metrics::gauge!("bellwork_cache_link_up").set(0.0);
        tracing::warn!(%error, "the cache was flushed: it does not hear of changes until Redis is back");
    }

    fn hear(&self, message: &redis::Msg) {
        let text = std::str::from_utf8(message.get_payload_bytes()).unwrap_or_default();
        if let Some(scope) = self.invalidator.read(text) {
            self.generations.forget(scope);
        }
    }
}

/// Listens as long as the core lives.
async fn listen(core: Weak<Core>, redis: Redis) {
    metrics::gauge!("bellwork_cache_link_up").set(0.0);
    loop {
        let followed = follow(&core, &redis).await;
        let Some(core) = core.upgrade() else { return };
        if let Err(error) = followed {
            core.lose(&error);
        }
        drop(core);
        tokio::time::sleep(Duration::from_millis(rand::random_range(RECONNECT_MS))).await;
    }
}

/// Follows one link until it breaks.
async fn follow(core: &Weak<Core>, redis: &Redis) -> RedisResult<()> {
    let (mut sink, mut messages) = answered(redis.listen()).await?.split();
    let Some(channel) = core.upgrade().map(|core| core.remote.channel()) else { return Ok(()) };
    let asked = Instant::now();
    answered(sink.subscribe(channel)).await?;
    if let Some(core) = core.upgrade() {
        core.begin(asked);
    }
    let mut pings = interval(PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            message = messages.next() => {
                let message = message.ok_or_else(|| RedisError::from(std::io::Error::from(ErrorKind::ConnectionReset)))?;
                let Some(core) = core.upgrade() else { return Ok(()) };
                core.hear(&message);
            }
            _ = pings.tick() => {
                let asked = Instant::now();
                ping(&mut sink).await?;
                let Some(core) = core.upgrade() else { return Ok(()) };
                // What was published before the answer arrived before it.
                while let Some(Some(message)) = messages.next().now_or_never() {
                    core.hear(&message);
                }
                core.hear_at(asked);
            }
        }
    }
}

async fn ping(sink: &mut PubSubSink) -> RedisResult<()> {
    answered(sink.ping::<redis::Value>()).await.map(drop)
}

async fn answered<T>(answer: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    timeout(ANSWER_TIMEOUT, answer).await.unwrap_or_else(|_| Err(std::io::Error::from(ErrorKind::TimedOut).into()))
}
