//! The buckets of this process, for as long as Redis is away. The same rules as in the scripts, but that no address is
//! known.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::rules::{RULES, Rule};
use super::{Counting, Keys, Wait};

/// The first delay; it doubles.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// More buckets than these are not kept: a process that forgets is better than one that dies.
const MOST: usize = 100_000;

/// Failures that are counted together.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Failures not yet forgiven.
    level: f64,
    /// When they were counted.
    at: Instant,
    /// When the next attempt may be made.
    opens: Instant,
}

/// The buckets of this process.
#[derive(Debug, Default)]
pub(super) struct Local(Mutex<HashMap<String, Bucket>>);

impl Local {
    /// As `charge.lua`.
    pub(super) fn ask(&self, now: Instant, keys: &Keys, counting: Counting, cost: u32) -> Result<usize, Wait> {
        let charged = match counting {
            Counting::Own => 0..1,
            Counting::Address => 2..3,
            Counting::Login => 1..4,
        };
        let last = charged.end;
        let mut buckets = self.0.lock().expect("nothing panics while it holds the buckets");
        let wait = charged.clone().filter_map(|bucket| buckets.get(&keys[bucket]));
        let wait = wait.map(|bucket| bucket.opens.saturating_duration_since(now)).max().unwrap_or_default();
        if !wait.is_zero() {
            return Err(Wait(wait));
        }
        if cost > 0 {
            make_room(&mut buckets, now);
            for bucket in charged {
                let old = buckets.get(&keys[bucket]).copied();
                buckets.insert(keys[bucket].clone(), fill(old, cost, RULES[bucket], now));
            }
        }
        Ok(last)
    }

    /// As `take_back.lua`.
    pub(super) fn take_back(&self, keys: &Keys, last: usize, at: Instant) {
        let mut buckets = self.0.lock().expect("nothing panics while it holds the buckets");
        for key in keys.iter().take(last).skip(usize::from(last != 1)) {
            if let Some(bucket) = buckets.get_mut(key) {
                bucket.level = (bucket.level - 1.0).max(0.0);
                if bucket.at == at {
                    bucket.opens = at;
                }
            }
        }
    }

    /// As `forgive.lua`.
    pub(super) fn forgive(&self, keys: &Keys, last: usize) {
        let mut buckets = self.0.lock().expect("nothing panics while it holds the buckets");
        buckets.remove(&keys[usize::from(last != 1)]);
        for key in keys.iter().take(last).skip(2) {
            if let Some(bucket) = buckets.get_mut(key) {
                bucket.level = (bucket.level - 1.0).max(0.0);
                bucket.opens = bucket.at;
            }
        }
    }
}

fn fill(old: Option<Bucket>, cost: u32, rule: Rule, now: Instant) -> Bucket {
    let left = |old: Bucket| old.level - now.duration_since(old.at).div_duration_f64(rule.forgiven_in);
    let level = old.map_or(0.0, left).max(0.0) + f64::from(cost);
    // Forgiving goes on all the time: a failure counts until it is forgiven whole.
    let over = level.ceil() - f64::from(rule.free);
    let delay = if over < 0.0 { Duration::ZERO } else { delay(over, rule.longest) };
    Bucket { level, at: now, opens: now + delay }
}

fn delay(over: f64, longest: Duration) -> Duration {
    let doubled = FIRST_DELAY.as_secs_f64() * over.exp2();
    Duration::try_from_secs_f64(doubled).map_or(longest, |delay| delay.min(longest))
}

/// Buckets that nobody has touched for the longest delay are forgotten; if that is not enough, all are.
fn make_room(buckets: &mut HashMap<String, Bucket>, now: Instant) {
    if buckets.len() < MOST {
        return;
    }
    buckets.retain(|_, bucket| bucket.opens > now);
    if buckets.len() >= MOST {
        buckets.clear();
    }
}
