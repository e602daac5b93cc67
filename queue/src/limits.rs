//! What a queue and its groups may do: how many jobs at a time, how many in a time, and in whose favour.

use std::time::Duration;

use crate::error::Error;
use crate::inspector::Inspector;
use crate::job::check_key;
use crate::scripts;

/// The largest weight of a priority or a group.
const MAX_WEIGHT: u32 = 100;
/// Parked lanes whose limits are looked at anew in one call.
const LANES: usize = 200;

/// What all processes together may do with a queue. By default anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// How many of its jobs run at a time.
    pub concurrency: Option<u32>,
    /// How many begin in a time.
    pub rate: Option<Rate>,
    /// How many of each group run at a time.
    pub group_concurrency: Option<u32>,
    /// How many of each group begin in a time.
    pub group_rate: Option<Rate>,
    /// How the priorities below critical share.
    pub order: Order,
}

/// A number of jobs in a time, by the generic cell rate algorithm: evenly spread, but after a quiet while `burst` of
/// them may begin at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many jobs may begin …
    pub jobs: u32,
    /// … in this time.
    pub per: Duration,
    /// How many may begin at once, at least one.
    pub burst: u32,
}

/// How high, normal and low priorities share what critical jobs leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Each has its number of turns in their sum, so that none starves.
    Weighted {
        /// Turns of high jobs.
        high: u32,
        /// Turns of normal jobs.
        normal: u32,
        /// Turns of low jobs.
        low: u32,
    },
    /// A priority runs only when those above it are empty.
    Strict,
}

impl Default for Order {
    fn default() -> Self {
        Self::Weighted { high: 6, normal: 3, low: 1 }
    }
}

/// What one group may do; a limit that is none is that of all groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupLimits {
    /// Its turns, where others have one.
    pub weight: u32,
    /// How many of its jobs run at a time.
    pub concurrency: Option<u32>,
    /// How many of its jobs begin in a time.
    pub rate: Option<Rate>,
}

impl Inspector {
    /// Sets what all processes together may do with `queue`; what was set before is replaced. Each partition gets its share.
    ///
    /// # Errors
    /// If a limit cannot be used, or is too small to be shared, or Redis fails.
    pub async fn limit(&self, queue: &str, limits: &Limits) -> Result<(), Error> {
        let limits = limits.share(self.0.partitions_of(queue))?;
        let count = |most: Option<u32>| most.map(|most| most.to_string()).unwrap_or_default();
        let fields = [
            ("concurrency", count(at_least_one("concurrency", limits.concurrency)?)),
            ("rate", stored_rate("rate", limits.rate)?),
            ("group_concurrency", count(at_least_one("group_concurrency", limits.group_concurrency)?)),
            ("group_rate", stored_rate("group_rate", limits.group_rate)?),
            ("order", limits.order.turns()?),
        ];
        let arguments = fields.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
        self.set_limits(queue, "queue", arguments.collect()).await
    }

    /// Sets what one group of `queue` may do; none: what all may do.
    ///
    /// # Errors
    /// If the group or a limit cannot be used, or Redis fails.
    pub async fn limit_group(&self, queue: &str, group: &str, limits: Option<&GroupLimits>) -> Result<(), Error> {
        check_key("group", group)?;
        let policy = limits.map(stored_policy).transpose()?.unwrap_or_default();
        self.set_limits(queue, "group", vec![group.to_owned(), policy]).await
    }

    async fn set_limits(&self, queue: &str, which: &str, arguments: Vec<String>) -> Result<(), Error> {
        for keys in self.parts(queue)? {
            let mut connection = self.0.connection.clone();
            let parked: usize = redis::cmd("ZCARD").arg(&*keys.parked).query_async(&mut connection).await?;
            // Lanes that still may not run are parked again by the next claim, so their number now bounds the calls.
            for _ in 0..=parked / LANES {
                let mut limit = scripts::LIMIT.on(&keys);
                limit.arg(which).arg(&arguments).arg(LANES);
                scripts::call::<u8>(&limit, &mut connection).await?;
            }
        }
        Ok(())
    }
}

impl Limits {
    /// What one of `partitions` may do, so that all together do no more.
    fn share(&self, partitions: u32) -> Result<Self, Error> {
        let reason = "must not be less than the partitions of the queue";
        let concurrency = self.concurrency.map(|most| most / partitions);
        if partitions > 1 && concurrency == Some(0) {
            return Err(Error::Invalid { field: "concurrency", reason });
        }
        let rate = self.rate.map(|rate| Rate {
            per: rate.per * partitions,
            burst: (rate.burst / partitions).max(rate.burst.min(1)),
            ..rate
        });
        Ok(Self { concurrency, rate, ..self.clone() })
    }
}

fn stored_policy(limits: &GroupLimits) -> Result<String, Error> {
    check_weight("weight", limits.weight)?;
    let most = at_least_one("concurrency", limits.concurrency)?.map(|most| most.to_string()).unwrap_or_default();
    Ok(format!("{}:{most}:{}", limits.weight, stored_rate("rate", limits.rate)?))
}

fn at_least_one(field: &'static str, most: Option<u32>) -> Result<Option<u32>, Error> {
    match most {
        Some(0) => Err(Error::Invalid { field, reason: "must be 1 or more; to stop a queue, pause it" }),
        _ => Ok(most),
    }
}

fn check_weight(field: &'static str, weight: u32) -> Result<(), Error> {
    if (1..=MAX_WEIGHT).contains(&weight) {
        return Ok(());
    }
    Err(Error::Invalid { field, reason: "must be between 1 and 100" })
}

/// `<interval in us>/<burst>`, or nothing.
fn stored_rate(field: &'static str, rate: Option<Rate>) -> Result<String, Error> {
    let Some(Rate { jobs, per, burst }) = rate else { return Ok(String::new()) };
    let interval = per.as_micros().checked_div(jobs.into()).unwrap_or(0);
    if interval == 0 || per > Duration::from_secs(24 * 3600) {
        let reason = "must be one job a day at the least, and a million a second at the most";
        return Err(Error::Invalid { field, reason });
    }
    if burst == 0 {
        return Err(Error::Invalid { field, reason: "must have a burst of 1 or more" });
    }
    Ok(format!("{interval}/{burst}"))
}

impl Order {
    /// The priorities in the order of their turns, spread evenly; what `scripts/claim.lua` reads. Source: the smooth weighted
    /// round robin of nginx, which at each turn takes the one that is owed most.
    fn turns(&self) -> Result<String, Error> {
        let Self::Weighted { high, normal, low } = *self else { return Ok("strict".to_owned()) };
        let weights = [("order.high", high), ("order.normal", normal), ("order.low", low)];
        weights.iter().try_for_each(|(field, weight)| check_weight(field, *weight))?;
        let weights = weights.map(|(_, weight)| i64::from(weight));
        let sum: i64 = weights.iter().sum();
        let mut owed = [0; 3];
        let turns = (0..sum).map(|_| {
            owed.iter_mut().zip(weights).for_each(|(owed, weight)| *owed += weight);
            let next = (0..3).max_by_key(|priority| (owed[*priority], -(i64::try_from(*priority).unwrap_or(0))));
            let next = next.unwrap_or(0);
            owed[next] -= sum;
            char::from(b'1' + u8::try_from(next).unwrap_or(0))
        });
        Ok(turns.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_spread_evenly() {
        let turns = |high, normal, low| Order::Weighted { high, normal, low }.turns().unwrap();
        assert_eq!(Order::default().turns().unwrap(), "1211213121");
        assert_eq!(turns(1, 1, 1), "123");
        assert_eq!(turns(2, 1, 1), "1231");
        assert_eq!(turns(100, 100, 100).len(), 300);
        assert_eq!(Order::Strict.turns().unwrap(), "strict");
    }

    #[test]
    fn a_limit_that_cannot_be_used_is_named() {
        let rate = |jobs, per, burst| stored_rate("rate", Some(Rate { jobs, per, burst }));
        assert_eq!(rate(10, Duration::from_secs(1), 5).unwrap(), "100000/5");
        assert_eq!(rate(1, Duration::from_secs(86_400), 1).unwrap(), "86400000000/1");
        for (jobs, per, burst) in [
            (0, Duration::from_secs(1), 1),
            (1, Duration::ZERO, 1),
            (2_000_000, Duration::from_secs(1), 1),
            (1, Duration::from_secs(86_401), 1),
            (1, Duration::from_secs(1), 0),
        ] {
            assert!(matches!(rate(jobs, per, burst), Err(Error::Invalid { field: "rate", .. })), "{jobs} {per:?}");
        }
        let weights = Order::Weighted { high: 0, normal: 1, low: 1 };
        assert!(matches!(weights.turns(), Err(Error::Invalid { field: "order.high", .. })));
        assert!(matches!(at_least_one("concurrency", Some(0)), Err(Error::Invalid { field: "concurrency", .. })));
        let heavy = GroupLimits { weight: 101, concurrency: None, rate: None };
        assert!(matches!(stored_policy(&heavy), Err(Error::Invalid { field: "weight", .. })));
    }

    /// More than fit in one call.
    #[test]
    fn all_parked_lanes_feel_a_raised_limit() {
        use crate::job::NewJob;
        use crate::proof::trial::{Ground, QUEUE};
        Ground::new().run(async |trial| {
            let inspector = trial.engine.inspector();
            let once = Rate { jobs: 1, per: Duration::from_secs(3600), burst: 1 };
            inspector.limit(QUEUE, &Limits { group_rate: Some(once), ..Limits::default() }).await.unwrap();
            let group = |number: usize| Some(format!("group {}", number % (2 * LANES)));
            let job = |number| NewJob { group: group(number), ..NewJob::new(uuid::Uuid::now_v7(), "") };
            trial.engine.producer().push(QUEUE, (0..4 * LANES).map(job).collect()).await.unwrap();
            for _ in 0..10 {
                let mut claim = scripts::CLAIM.on(&trial.keys);
                claim.arg("aaaaaaaa").arg(200).arg(200).arg(0).arg(2);
                let _: redis::Value = trial.call(&claim).await;
            }
            assert_eq!(inspector.counts(QUEUE).await.unwrap().parked_lanes, 2 * LANES as u64);
            inspector.limit(QUEUE, &Limits::default()).await.unwrap();
            assert_eq!(inspector.counts(QUEUE).await.unwrap().parked_lanes, 0);
        });
    }

    #[test]
    fn a_policy_is_stored_as_the_claim_reads_it() {
        let rate = Some(Rate { jobs: 1, per: Duration::from_secs(1), burst: 2 });
        let policy = |concurrency, rate| stored_policy(&GroupLimits { weight: 3, concurrency, rate }).unwrap();
        assert_eq!(policy(Some(4), rate), "3:4:1000000/2");
        assert_eq!(policy(None, None), "3::");
    }
}
