//! What the engine promises beside its speed: what all features together cost, how fair it is between groups, that nothing
//! starves, and how long its longest calls take with a million jobs.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bellwork_queue::{Conflict, Connection, Delivery, Hold, Limits, NewJob, Priority, Rate, Unique, Verdict};
use tokio::sync::{Notify, mpsc};
use uuid::Uuid;

use crate::figures::{self, Figures};
use crate::screen::say;
use crate::work::{Bench, QUEUE, job};

const BACKLOG: usize = 100_000;
const ROUNDS: usize = 3;
const GROUPS: usize = 100;

/// Measures on the Redis at `url`, which nobody else uses.
pub(crate) async fn measure(url: &str) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    say("Everything in use, and nothing …");
    cost_of_everything(url, &mut figures).await?;
    say("A small group beside a flood …");
    fairness(url, &mut figures).await?;
    say("Low jobs in a flood of critical ones …");
    starvation(url, &mut figures).await?;
    longest_calls(url, &mut figures).await?;
    Ok(figures)
}

/// On an empty Redis.
async fn begin(url: &str) -> anyhow::Result<Bench> {
    let mut bench = Bench::new(url)?;
    redis::cmd("FLUSHALL").query_async::<()>(&mut bench.redis).await?;
    Ok(bench)
}

impl Bench {
    async fn push(&self, jobs: Vec<NewJob>) -> anyhow::Result<()> {
        self.producer.push(QUEUE, jobs).await?;
        Ok(())
    }

    /// Jobs in a second.
    async fn push_all(&self, jobs: Vec<NewJob>) -> anyhow::Result<f64> {
        let count = as_f64(jobs.len());
        let began = Instant::now();
        self.push(jobs).await?;
        Ok(count / began.elapsed().as_secs_f64())
    }

    /// Runs jobs with `handle` until `enough` is told.
    async fn run_until<F, Fut>(&self, concurrency: usize, enough: &Notify, handle: F) -> anyhow::Result<Duration>
    where
        F: Fn(Delivery) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Verdict> + Send + 'static,
    {
        let working = self.work(concurrency, handle).await?;
        let began = Instant::now();
        enough.notified().await;
        working.drain().await?;
        Ok(began.elapsed())
    }

    /// Jobs in a second, with a handler that does nothing.
    async fn rate(&self, count: usize) -> anyhow::Result<f64> {
        Ok(as_f64(count) / self.process(count).await?)
    }
}

/// Groups, a unique key on each job, and every limit there is, none of which holds anything up; against plain jobs.
async fn cost_of_everything(url: &str, figures: &mut Figures) -> anyhow::Result<()> {
    let rate = Some(Rate { jobs: 1_000_000, per: Duration::from_secs(1), burst: 1_000_000 });
    let everything = Limits {
        concurrency: Some(1_000_000),
        rate,
        group_concurrency: Some(1_000_000),
        group_rate: rate,
        ..Limits::default()
    };
    let mut rates: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        let bench = begin(url).await?;
        rates[0].push(bench.push_all((0..BACKLOG).map(|_| job()).collect()).await?);
        rates[1].push(bench.rate(BACKLOG).await?);
        let bench = begin(url).await?;
        bench.engine.inspector().limit(QUEUE, &everything).await?;
        rates[2].push(bench.push_all((0..BACKLOG).map(full_job).collect()).await?);
        rates[3].push(bench.rate(BACKLOG).await?);
    }
    let [plain_pushed, plain, full_pushed, full] = rates.map(median);
    figures.add("pushed, plain jobs", plain_pushed, "1/s");
    figures.add("pushed, groups and unique keys", full_pushed, "1/s");
    figures.add("processed, plain jobs", plain, "1/s");
    figures.add("processed, groups, limits and unique keys", full, "1/s");
    figures.add("cost of everything: share that is left (aim 0.60)", full / plain, "");
    Ok(())
}

fn full_job(number: usize) -> NewJob {
    let unique = Unique { key: format!("key {number}"), hold: Hold::UntilDone, conflict: Conflict::Keep };
    NewJob { group: Some(format!("group {}", number % GROUPS)), unique: Some(unique), ..job() }
}

/// How long the jobs of a small group wait, alone and behind a group that has pushed 100,000. Handlers take a millisecond.
async fn fairness(url: &str, figures: &mut Figures) -> anyhow::Result<()> {
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(wait_of_small_group(url, 0).await?);
        beside.push(wait_of_small_group(url, BACKLOG).await?);
    }
    let (alone, beside) = (median(alone), median(beside));
    figures.add("wait of a small group, alone, p95", alone * 1000.0, "ms");
    figures.add("wait of a small group, beside 100,000 of another, p95", beside * 1000.0, "ms");
    figures.add("fairness: times its own wait (aim 2)", beside / alone, "");
    Ok(())
}

const SMALL: usize = 2000;

async fn wait_of_small_group(url: &str, flood: usize) -> anyhow::Result<f64> {
    let bench = begin(url).await?;
    let of = |group: &'static str, count| (0..count).map(move |_| NewJob { group: Some(group.into()), ..job() });
    bench.push(of("flood", flood).collect()).await?;
    let small: Vec<_> = of("small", SMALL).collect();
    let ids: HashMap<Uuid, ()> = small.iter().map(|job| (job.id, ())).collect();
    let (begun, mut waits) = mpsc::unbounded_channel();
    let (left, enough) = (Arc::new(AtomicUsize::new(SMALL)), Arc::new(Notify::new()));
    let (told, ids) = (Arc::clone(&enough), Arc::new(ids));
    bench.push(small).await?;
    let pushed = Instant::now();
    bench
        .run_until(50, &enough, move |delivery| {
            let small = ids.contains_key(&delivery.id);
            if small {
                // The receiver lives as long as the measurement.
                let _ = begun.send(pushed.elapsed().as_secs_f64());
                if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                    told.notify_one();
                }
            }
            async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Verdict::Complete
            }
        })
        .await?;
    let mut all = Vec::with_capacity(SMALL);
    while let Ok(wait) = waits.try_recv() {
        all.push(wait);
    }
    all.sort_by(f64::total_cmp);
    Ok(all[all.len() * 95 / 100])
}

/// The share of low jobs while critical and high ones come without end.
async fn starvation(url: &str, figures: &mut Figures) -> anyhow::Result<()> {
    let bench = begin(url).await?;
    let of = |priority, count| {
        (0..count).map(move |_| NewJob { priority, ..NewJob::new(Uuid::now_v7(), [priority as u8].to_vec()) })
    };
    for priority in [Priority::Critical, Priority::High, Priority::Low] {
        bench.push(of(priority, BACKLOG).collect()).await?;
    }
    // The flood has lasted for a while.
    let mut begin = redis::cmd("HSET");
    begin.arg(format!("{{bench:{QUEUE}}}:state")).arg("rushing_since").arg(1);
    begin.query_async::<()>(&mut bench.redis.clone()).await?;
    let counts: Arc<[AtomicUsize; 4]> = Arc::default();
    let (ended, enough) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let (counted, told) = (Arc::clone(&counts), Arc::clone(&enough));
    bench
        .run_until(200, &enough, move |delivery| {
            if !ended.load(Ordering::Relaxed) {
                let priority = usize::from(delivery.payload[0]);
                // The flood is still there when this is counted.
                if counted[priority].fetch_add(1, Ordering::Relaxed) == BACKLOG * 9 / 10 {
                    ended.store(true, Ordering::Relaxed);
                    told.notify_one();
                }
            }
            std::future::ready(Verdict::Complete)
        })
        .await?;
    let counts: Vec<_> = counts.iter().map(|count| as_f64(count.load(Ordering::Relaxed))).collect();
    let all: f64 = counts.iter().sum();
    for (priority, count) in Priority::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0.0) {
        figures.add(format!("share of {} jobs in a flood of critical and high", priority.name()), count / all, "");
    }
    Ok(())
}

/// The longest script call with a million jobs ready, with a million of many groups ready, and with a million due at once.
async fn longest_calls(url: &str, figures: &mut Figures) -> anyhow::Result<()> {
    const MILLION: usize = 1_000_000;
    let soon = std::time::UNIX_EPOCH.elapsed()? + Duration::from_secs(20);
    let due = Some(i64::try_from(soon.as_millis())?);
    type Make = Box<dyn Fn(usize) -> NewJob>;
    let cases: [(&str, Make); 3] = [
        ("1,000,000 ready", Box::new(|_| job())),
        (
            "1,000,000 ready in 100,000 groups",
            Box::new(|number| NewJob { group: Some(format!("group {}", number % 100_000)), ..job() }),
        ),
        ("1,000,000 due at one instant", Box::new(move |_| NewJob { due, ..job() })),
    ];
    for (name, make) in cases {
        say(&format!("{name} …"));
        let mut bench = begin(url).await?;
        watch_calls(&mut bench.redis).await?;
        for start in (0..MILLION).step_by(10_000) {
            bench.push((start..start + 10_000).map(&make).collect()).await?;
        }
        bench.process(MILLION).await?;
        let mut calls = slow_calls(&mut bench.redis).await?;
        calls.sort_by(f64::total_cmp);
        let over = calls.iter().filter(|ms| **ms > 5.0).count();
        figures.add(format!("longest call, {name} (aim 5)"), calls.last().copied().unwrap_or_default(), "ms");
        figures.add(format!("calls over 5 ms, {name}"), as_f64(over), "");
    }
    begin(url).await.map(drop)
}

async fn watch_calls(redis: &mut Connection) -> redis::RedisResult<()> {
    let mut settings = redis::pipe();
    settings.cmd("CONFIG").arg("SET").arg("slowlog-log-slower-than").arg(500).ignore();
    settings.cmd("CONFIG").arg("SET").arg("slowlog-max-len").arg(100_000).ignore();
    settings.cmd("SLOWLOG").arg("RESET").ignore();
    settings.query_async(redis).await
}

/// Milliseconds of the calls of scripts that Redis has noted.
async fn slow_calls(redis: &mut Connection) -> anyhow::Result<Vec<f64>> {
    let entries: Vec<redis::Value> = redis::cmd("SLOWLOG").arg("GET").arg(-1).query_async(redis).await?;
    let micros = entries.iter().filter_map(|entry| {
        let redis::Value::Array(fields) = entry else { return None };
        let [_, _, redis::Value::Int(micros), redis::Value::Array(words), ..] = fields.as_slice() else { return None };
        let script = matches!(words.first(), Some(redis::Value::BulkString(word)) if word == b"EVALSHA");
        script.then_some(*micros)
    });
    micros.map(|micros| Ok(as_f64(usize::try_from(micros)?) / 1000.0)).collect()
}

fn median(values: Vec<f64>) -> f64 {
    figures::median(values).expect("each is measured once at least")
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn as_f64(count: usize) -> f64 {
    count as f64
}
