//! The ceiling: pushes, claims and completions of ids in Lua, with nothing else.

use std::sync::LazyLock;
use std::time::Instant;

use futures_util::future::try_join_all;
use redis::Script;
use redis::aio::MultiplexedConnection;
use uuid::Uuid;

use super::{Answer, CALLERS, Verb};

/// Ids in one call.
const BATCH: usize = 100;
/// So many calls are under way at the same time.
const LANES: usize = 16;
const READY: &str = "raw:ready";
const LEASED: &str = "raw:leased";

static PUSH: LazyLock<Script> = LazyLock::new(|| Script::new("return redis.call('RPUSH', KEYS[1], unpack(ARGV))"));
static CLAIM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local ids = redis.call('LPOP', KEYS[1], ARGV[1])
         if not ids then return {} end
         redis.call('SADD', KEYS[2], unpack(ids))
         return ids",
    )
});
static COMPLETE: LazyLock<Script> = LazyLock::new(|| Script::new("return redis.call('SREM', KEYS[1], unpack(ARGV))"));

type Id = Vec<u8>;

/// Does what `verb` says on the Redis at `url`.
pub(super) async fn answer(verb: &Verb, url: &str) -> anyhow::Result<Answer> {
    let redis = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let seconds = match verb {
        Verb::About => return Ok(Answer::About { config: config() }),
        Verb::PushBulk { count } => push(&redis, *count, LANES, BATCH).await?,
        Verb::PushSingle { count } => push(&redis, *count, CALLERS, 1).await?,
        Verb::Work { .. } => work(&redis).await?,
        Verb::Pickup { .. } | Verb::Hold { .. } => anyhow::bail!("there are no workers"),
    };
    Ok(Answer::Took { seconds })
}

fn config() -> String {
    format!("Lua alone, ids without payload, {BATCH} a call, {LANES} calls at a time")
}

/// Pushes `count` ids from `lanes` tasks, `batch` a call.
async fn push(redis: &MultiplexedConnection, count: usize, lanes: usize, batch: usize) -> anyhow::Result<f64> {
    let ids: Vec<Id> = (0..count).map(|_| Uuid::now_v7().as_bytes().to_vec()).collect();
    let began = Instant::now();
    let pushing = ids.chunks(count.div_ceil(lanes)).map(|share| {
        let (share, mut redis) = (share.to_vec(), redis.clone());
        tokio::spawn(async move {
            for ids in share.chunks(batch) {
                PUSH.key(READY).arg(ids).invoke_async::<()>(&mut redis).await?;
            }
            anyhow::Ok(())
        })
    });
    for pushed in try_join_all(pushing).await? {
        pushed?;
    }
    Ok(began.elapsed().as_secs_f64())
}

/// Claims and completes until nothing waits.
async fn work(redis: &MultiplexedConnection) -> anyhow::Result<f64> {
    let began = Instant::now();
    let working = (0..LANES).map(|_| tokio::spawn(work_alone(redis.clone())));
    for worked in try_join_all(working).await? {
        worked?;
    }
    Ok(began.elapsed().as_secs_f64())
}

async fn work_alone(mut redis: MultiplexedConnection) -> anyhow::Result<()> {
    loop {
        let ids: Vec<Id> = CLAIM.key(READY).key(LEASED).arg(BATCH).invoke_async(&mut redis).await?;
        if ids.is_empty() {
            return Ok(());
        }
        COMPLETE.key(LEASED).arg(&ids).invoke_async::<()>(&mut redis).await?;
    }
}
