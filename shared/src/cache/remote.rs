//! The layer in Redis: values beside the token of their scope. It never makes an error, only a miss, and never a long wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use redis::{RedisError, RedisResult};
use tokio::time::timeout;

use super::wire::{FORGET, LOOK, Lua, Redis, STORE};
use super::{Key, SECOND, Scope};

/// How long a reader waits for Redis: a good deal less than a load takes when everybody loads.
const READ_TIMEOUT: Duration = Duration::from_millis(50);
/// How long a writer waits until all processes can know.
const FORGET_TIMEOUT: Duration = Duration::from_millis(200);
/// How long readers leave Redis alone after a failure, so that few of them wait for a server that is away.
const QUIET: Duration = SECOND;
/// How much longer a scope's token lives than its values.
const SPARE: Duration = Duration::from_secs(60);
/// How long a hold lasts if its holder dies.
const HOLD: Duration = Duration::from_secs(60);

/// What a scope's values begin with while they hold.
pub(super) type Token = [u8; 16];

/// Of a scope that is being changed: nothing is found under it, and nothing stored.
const HELD: Token = [0; 16];

/// What a look at Redis found.
pub(super) enum Look {
    /// A value stored under the scope's present token.
    Found(Found),
    /// Nothing. What is loaded now may be stored under this token.
    Missing(Token),
    /// The scope is being changed: what is loaded now may be kept by nobody.
    Held,
    /// Redis did not answer.
    Away,
}

/// A value from Redis.
pub(super) struct Found {
    pub(super) token: Token,
    pub(super) value: Bytes,
    /// How long Redis still keeps it.
    pub(super) life: Duration,
    /// How long it took to load.
    pub(super) cost: Duration,
}

/// What became of a value that was to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    Kept,
    /// Its scope was forgotten since.
    Refused,
    Away,
}

/// The keys of this installation in the cache instance. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    redis: Redis,
    prefix: Arc<str>,
    started: Instant,
    /// Until when readers leave Redis alone, in milliseconds after `started`.
    quiet_until: Arc<AtomicU64>,
}

impl Remote {
    pub(super) fn new(redis: Redis, prefix: &str) -> Self {
        Self { redis, prefix: prefix.into(), started: Instant::now(), quiet_until: Arc::default() }
    }

    /// Where processes are told what to forget.
    pub(super) fn channel(&self) -> String {
        format!("{}:cache:forget", self.prefix)
    }

    pub(super) async fn look(&self, key: &Key) -> Look {
        let (scope, name) = (self.scope_key(key.scope), self.value_key(key));
        let life = millis(life(key.scope));
        match self.ask(&LOOK, &[&scope, &name], &[&new_token(), life.as_bytes()]).await {
            Some(answer) => read(answer).unwrap_or(Look::Away),
            None => Look::Away,
        }
    }

    /// Stores what was loaded after [`Remote::look`] had told `token`.
    pub(super) async fn store(&self, key: &Key, token: Token, value: &Bytes, cost: Duration) -> Stored {
        let mut stored = BytesMut::with_capacity(token.len() + 4 + value.len());
        stored.put_slice(&token);
        stored.put_u32(u32::try_from(cost.as_micros()).unwrap_or(u32::MAX));
        stored.put_slice(value);
        let policy = key.scope.policy();
        let life = millis(policy.remote + policy.stale);
        let (scope, name) = (self.scope_key(key.scope), self.value_key(key));
        match self.ask(&STORE, &[&scope, &name], &[&token, &stored, life.as_bytes()]).await {
            Some(redis::Value::Int(1)) => Stored::Kept,
            Some(_) => Stored::Refused,
            None => Stored::Away,
        }
    }

    /// Makes all values of `scope` unfindable, and tells all processes with `message`.
    ///
    /// # Errors
    /// If Redis fails or takes too long.
    pub(super) async fn forget(&self, scope: Scope, message: &str) -> RedisResult<()> {
        self.change(scope, new_token(), life(scope), message).await
    }

    /// Lets nothing of `scope` be found or stored until it is forgotten.
    ///
    /// # Errors
    /// If Redis fails or takes too long.
    pub(super) async fn hold(&self, scope: Scope, message: &str) -> RedisResult<()> {
        self.change(scope, HELD, HOLD, message).await
    }

    /// What is unfindable ends with its time, in minutes; but a session, which names its user and has a day, goes at once.
    async fn change(&self, scope: Scope, token: Token, life: Duration, message: &str) -> RedisResult<()> {
        let (key, channel, life) = (self.scope_key(scope), self.channel(), millis(life));
        let value = matches!(scope, Scope::Session(_)).then(|| self.value_key(&Key { scope, name: "".into() }));
        let arguments: [&[u8]; 4] = [&token, life.as_bytes(), channel.as_bytes(), message.as_bytes()];
        let keys: Vec<_> = [Some(key.as_str()), value.as_deref()].into_iter().flatten().collect();
        let changed = timeout(FORGET_TIMEOUT, self.redis.call(&FORGET, &keys, &arguments)).await;
        changed.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into())).map(drop)
    }

    /// The answer, unless Redis fails or takes too long, or did so just now.
    async fn ask(&self, script: &Lua, keys: &[&str], arguments: &[&[u8]]) -> Option<redis::Value> {
        if self.now() < self.quiet_until.load(Ordering::Relaxed) {
            return None;
        }
        match timeout(READ_TIMEOUT, self.redis.call(script, keys, arguments)).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => self.fall_quiet(Some(&error)),
            Err(_) => self.fall_quiet(None),
        }
    }

    fn fall_quiet(&self, error: Option<&RedisError>) -> Option<redis::Value> {
        let reason = error.map_or_else(|| "no answer in time".to_owned(), ToString::to_string);
        tracing::debug!(reason, "the cache does without Redis for a moment");
        let quiet = u64::try_from(QUIET.as_millis()).unwrap_or(u64::MAX);
        self.quiet_until.store(self.now() + quiet, Ordering::Relaxed);
        None
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Both keys share the scope as their hash tag, so that a cluster keeps them together.
    fn scope_key(&self, scope: Scope) -> String {
        format!("{}:cache:{{{scope}}}", self.prefix)
    }

    fn value_key(&self, key: &Key) -> String {
        let policy = key.scope.policy();
        format!("{}:cache:{{{}}}:{}:{}", self.prefix, key.scope, policy.shape, key.name)
    }
}

/// How long a scope's token lives after its last change or value.
fn life(scope: Scope) -> Duration {
    let policy = scope.policy();
    policy.remote + policy.stale + SPARE
}

fn new_token() -> Token {
    loop {
        let token = rand::random();
        if token != HELD {
            return token;
        }
    }
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

/// Reads the answer of `look.lua`; nothing if it is none of ours.
fn read(answer: redis::Value) -> Option<Look> {
    let (token, value, life): (Vec<u8>, Option<Vec<u8>>, i64) = redis::from_redis_value(answer).ok()?;
    let token = Token::try_from(token).ok()?;
    if token == HELD {
        return Some(Look::Held);
    }
    let Some(value) = value else { return Some(Look::Missing(token)) };
    let value = Bytes::from(value);
    let (head, _) = value.get(token.len()..)?.split_first_chunk::<4>()?;
    let cost = Duration::from_micros(u32::from_be_bytes(*head).into());
    let life = Duration::from_millis(u64::try_from(life).unwrap_or(0));
    Some(Look::Found(Found { token, value: value.slice(token.len() + head.len()..), life, cost }))
}
