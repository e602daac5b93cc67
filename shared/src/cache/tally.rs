//! How often each layer knew the answer.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::Counter;
use serde::Serialize;
use thread_local::ThreadLocal;

/// What a layer said to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The process had it.
    LocalHit,
    /// The process had it, too old, and it could not be loaded anew.
    LocalStale,
    /// The process had nothing fresh.
    LocalMiss,
    /// The process does not hear of changes, and did not look.
    LocalBypass,
    /// Redis had it.
    RemoteHit,
    /// Redis had nothing fresh.
    RemoteMiss,
    /// It is being changed, or the change could not be told to Redis yet.
    RemoteHeld,
    /// Redis did not answer in time, or was not asked since it did not just now.
    RemoteAway,
    /// Redis was told of a change while the value was loaded, and did not take it.
    RemoteRefused,
    /// It was loaded.
    Loaded,
    /// There is no such thing.
    Absent,
    /// It could not be loaded.
    Failed,
}

/// The labels of each outcome, in the order of the enum.
const LABELS: [(&str, &str); 12] = [
    ("local", "hit"),
    ("local", "stale"),
    ("local", "miss"),
    ("local", "bypass"),
    ("redis", "hit"),
    ("redis", "miss"),
    ("redis", "held"),
    ("redis", "away"),
    ("redis", "refused"),
    ("source", "loaded"),
    ("source", "absent"),
    ("source", "failed"),
];

/// The counts of one cache. Each thread has its own: a counter that the cores take from each other would cost a hit more
/// than the look.
pub(super) struct Tally {
    cache: &'static str,
    counters: [Counter; LABELS.len()],
    threads: ThreadLocal<Counts>,
}

/// Those of a thread, on lines of memory of their own.
#[derive(Default)]
#[repr(align(128))]
struct Counts([AtomicU64; LABELS.len()]);

/// How a cache has done since this process started.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = CacheFigures)]
pub struct Figures {
    /// The cache's name.
    pub cache: &'static str,
    /// How often the process was asked.
    pub requests: u64,
    /// The share that it had; none before the first request.
    pub local_hit_rate: Option<f64>,
    /// The share of the rest that Redis had; none before the first.
    pub redis_hit_rate: Option<f64>,
    /// How often a value was loaded from PostgreSQL.
    pub loads: u64,
}

impl Tally {
    pub(super) fn new(cache: &'static str) -> Self {
        let counter = |(layer, outcome)| metrics::counter!("bellwork_cache_requests_total", "cache" => cache, "layer" => layer, "outcome" => outcome);
        Self { cache, counters: LABELS.map(counter), threads: ThreadLocal::new() }
    }

    pub(super) fn count(&self, outcome: Outcome) {
        let count = &self.threads.get_or_default().0[outcome as usize];
        // Nobody else writes it.
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Shows in this process's metrics what was counted until now. Of two tallies of one cache the metrics would show the
    /// larger count, not the sum: there is one.
    pub(super) fn publish(&self) {
        for (place, counter) in self.counters.iter().enumerate() {
            counter.absolute(self.total(place));
        }
    }

    pub(super) fn figures(&self) -> Figures {
        use Outcome::{
            Absent, Loaded, LocalBypass, LocalHit, LocalMiss, LocalStale, RemoteAway, RemoteHeld, RemoteHit, RemoteMiss,
        };
        let sum = |outcomes: &[Outcome]| outcomes.iter().map(|outcome| self.read(*outcome)).sum();
        let requests = sum(&[LocalHit, LocalStale, LocalMiss, LocalBypass]);
        let asked = sum(&[RemoteHit, RemoteMiss, RemoteHeld, RemoteAway]);
        Figures {
            cache: self.cache,
            requests,
            local_hit_rate: share(self.read(LocalHit), requests),
            redis_hit_rate: share(self.read(RemoteHit), asked),
            loads: sum(&[Loaded, Absent]),
        }
    }

    pub(super) fn read(&self, outcome: Outcome) -> u64 {
        self.total(outcome as usize)
    }

    fn total(&self, place: usize) -> u64 {
        self.threads.iter().map(|counts| counts.0[place].load(Ordering::Relaxed)).sum()
    }
}

/// With three decimals.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64 * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn each_count_of_each_thread_is_published_once() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let tally = metrics::with_local_recorder(&recorder, || Tally::new("here"));
        let count = |threads: u64| {
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| (0..1000).for_each(|_| tally.count(Outcome::LocalHit)));
                }
            });
        };
        // The second ones take over the places of those that have ended.
        for threads in [4, 3] {
            count(threads);
            tally.publish();
        }
        tally.publish();
        assert_eq!((tally.read(Outcome::LocalHit), tally.read(Outcome::LocalMiss)), (7000, 0));
        let text = recorder.handle().render();
        let line = r#"bellwork_cache_requests_total{cache="here",layer="local",outcome="hit"} 7000"#;
        assert!(text.contains(line), "{text}");
    }
}
