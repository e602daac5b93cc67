//! Slows down who guesses passwords, and nobody else.
//!
//! Failures fill buckets that empty by themselves; a full one closes for a time that doubles with each further failure. An
//! attempt counts for the account from this address, for the address, and for the account wherever it comes from. A
//! client that has signed in before brings a [`Device`] and has a bucket of its own, as has one that is signed in: what
//! others fill does not slow it. One that has signed in from the same address before is not slowed by failures elsewhere.
//! So an attacker closes doors only behind himself, but for those who are new both by device and by address: while many
//! addresses guess for their account, these share its short delays.
//!
//! Each attempt is charged before the password is looked at, so that many at once gain nothing. One that succeeds is
//! forgiven; one that gets no verdict is taken back.

mod device;
mod local;
mod rules;

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bellwork_queue::Connection;
use bellwork_shared::ids::SessionId;
use hmac::{Hmac, KeyInit, Mac};
use redis::{RedisResult, Script, ScriptInvocation};
use sha2::Sha256;
use tokio::time::timeout;

use crate::client::site;
pub(crate) use device::Device;
use local::Local;
use rules::RULES;

/// How long an address stays known after somebody has signed in from it.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// Bytes kept of a key's digest: too many to collide.
const DIGEST: usize = 16;

static CHARGE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("charge.lua")));
static TAKE_BACK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("take_back.lua")));
static FORGIVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("forgive.lua")));

/// The number of the bucket that an account fills from an address.
const PAIR: usize = 2;

/// Whose failures count for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counting {
    /// Those of the client itself, by its session or its device.
    Own,
    /// Those from the address, for whatever account.
    Address,
    /// Those for the account from the address, from the address, and for the account.
    Login,
}

impl Counting {
    const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Address => "address",
            Self::Login => "login",
        }
    }
}

/// What the throttle knows a client by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KnownBy {
    /// A session of the account, which it is signed in to already.
    Session(SessionId),
    /// A device that has signed in to the account before.
    Device(Device),
    /// No more than its address.
    Address,
}

/// Who tries.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// The installation's key, so that what is kept in Redis names nobody.
    pub(crate) key: String,
    /// The address of the account, whether there is one or not.
    pub(crate) account: String,
    /// Where the client is.
    pub(crate) address: IpAddr,
    /// What else is known of it.
    pub(crate) known_by: KnownBy,
}

/// The keys of an attempt's buckets, and of its known address.
type Keys = [String; 5];

/// What an attempt was charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Charge {
    /// The last bucket that it fills.
    last: usize,
    at: At,
}

/// Who keeps the buckets that a charge has filled, and when it did by that clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Redis, in milliseconds of its time.
    Redis(u64),
    /// This process.
    Here(Instant),
}

/// What Redis says to an attempt.
struct Told {
    /// Zero if it was let through.
    wait: Wait,
    /// The last bucket that it looked at.
    last: usize,
    /// Milliseconds of its time.
    at: u64,
}

/// An attempt that was let through and charged.
#[derive(Debug)]
pub(crate) struct Charged {
    keys: Keys,
    charge: Charge,
}

/// How long a client has to wait before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait(pub(crate) Duration);

/// The buckets: in Redis, and while it is away in this process. Clones share them.
#[derive(Clone)]
pub(crate) struct Throttle {
    redis: Connection,
    prefix: Arc<str>,
    /// A Redis that takes longer counts as away.
    patience: Duration,
    local: Arc<Local>,
}

impl Throttle {
    /// Keeps its buckets in `redis` under `prefix`; while Redis takes longer than `patience`, this process counts.
    #[must_use]
    pub(crate) fn new(redis: Connection, prefix: &str, patience: Duration) -> Self {
        Self { redis, prefix: prefix.into(), patience, local: Arc::default() }
    }

    /// Lets an attempt to sign in through, and charges it.
    ///
    /// # Errors
    /// If it comes too early.
    pub(crate) async fn charge(&self, attempt: &Attempt) -> Result<Charged, Wait> {
        let counting = match attempt.known_by {
            KnownBy::Session(_) | KnownBy::Device(_) => Counting::Own,
            KnownBy::Address => Counting::Login,
        };
        let keys = self.keys(attempt);
        let charge = self.ask(&keys, counting, 1).await?;
        Ok(Charged { keys, charge })
    }

    /// Takes back what an attempt was charged that got no verdict: it was neither a failure nor a success.
    pub(crate) async fn take_back(&self, charged: Charged) {
        let Charged { keys, charge: Charge { last, at } } = charged;
        match at {
            At::Here(at) => self.local.take_back(&keys, last, at),
            At::Redis(at) => {
                let mut redis = self.redis.clone();
                let mut call = prepared(&TAKE_BACK, &keys);
                call.arg(last).arg(at);
                // While Redis is away the charge stays until it is forgiven by time.
                let _ = timeout(self.patience, call.invoke_async::<()>(&mut redis)).await;
            }
        }
    }

    /// Forgives the failures of a client whose attempt has succeeded.
    pub(crate) async fn forgive(&self, charged: Charged) {
        self.forgive_up_to(&charged.keys, charged.charge.last).await;
    }

    /// Forgives the failures for an account from an address, of somebody who has proved otherwise to be its owner.
    pub(crate) async fn pardon(&self, attempt: &Attempt) {
        self.forgive_up_to(&self.keys(attempt), PAIR).await;
    }

    async fn forgive_up_to(&self, keys: &Keys, last: usize) {
        let mut redis = self.redis.clone();
        let mut call = prepared(&FORGIVE, keys);
        call.arg(last).arg(milliseconds(KNOWN_FOR));
        if !matches!(timeout(self.patience, call.invoke_async::<()>(&mut redis)).await, Ok(Ok(()))) {
            self.local.forgive(keys, last);
        }
    }

    /// Whether an address may ask at all whether something is registered.
    ///
    /// # Errors
    /// If it has been told too often lately that something is.
    pub(crate) async fn ask_address(&self, attempt: &Attempt) -> Result<(), Wait> {
        self.ask(&self.keys(attempt), Counting::Address, 0).await.map(drop)
    }

    /// Charges an address for having been told that something is registered.
    pub(crate) async fn charge_address(&self, attempt: &Attempt) {
        // Whether it may go on is asked the next time.
        let _ = self.ask(&self.keys(attempt), Counting::Address, 1).await;
    }

    async fn ask(&self, keys: &Keys, counting: Counting, cost: u32) -> Result<Charge, Wait> {
        match timeout(self.patience, self.ask_redis(keys, counting, cost)).await {
            Ok(Ok(Told { wait: Wait(Duration::ZERO), last, at })) => Ok(Charge { last, at: At::Redis(at) }),
            Ok(Ok(Told { wait, .. })) => Err(wait),
            Ok(Err(error)) => {
                tracing::warn!(%error, "attempts to sign in are counted in this process");
                self.ask_here(keys, counting, cost)
            }
            Err(_) => self.ask_here(keys, counting, cost),
        }
    }

    async fn ask_redis(&self, keys: &Keys, counting: Counting, cost: u32) -> RedisResult<Told> {
        let mut call = prepared(&CHARGE, keys);
        call.arg(counting.name()).arg(cost);
        for rule in RULES {
            call.arg(rule.free).arg(milliseconds(rule.forgiven_in)).arg(milliseconds(rule.longest));
        }
        let (wait, last, at) = call.invoke_async(&mut self.redis.clone()).await?;
        Ok(Told { wait: Wait(Duration::from_millis(wait)), last, at })
    }

    fn ask_here(&self, keys: &Keys, counting: Counting, cost: u32) -> Result<Charge, Wait> {
        metrics::counter!("bellwork_login_throttle_degraded_total").increment(1);
        let now = Instant::now();
        let last = self.local.ask(now, keys, counting, cost)?;
        Ok(Charge { last, at: At::Here(now) })
    }

    /// All in one slot of a cluster: a script may touch no other.
    fn keys(&self, attempt: &Attempt) -> Keys {
        let address = site(attempt.address).to_string();
        let account = attempt.account.to_ascii_lowercase();
        let (own, client) = match attempt.known_by {
            KnownBy::Session(session) => ("session", session.to_string()),
            KnownBy::Device(device) => ("device", device.name()),
            KnownBy::Address => ("nobody", String::new()),
        };
        let name = |kind: &str, parts: [&str; 2]| {
            let digest = digest(&attempt.key, kind, parts);
            format!("{{{}:throttle}}:{kind}:{digest}", self.prefix)
        };
        [
            name(own, [&account, &client]),
            name("pair", [&account, &address]),
            name("address", [&address, ""]),
            name("account", [&account, ""]),
            name("known", [&account, &address]),
        ]
    }
}

impl std::fmt::Debug for Throttle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Throttle").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

fn prepared<'a>(script: &'a Script, keys: &Keys) -> ScriptInvocation<'a> {
    let mut call = script.prepare_invoke();
    keys.iter().for_each(|key| {
        call.key(key);
    });
    call
}

fn digest(key: &str, kind: &str, parts: [&str; 2]) -> String {
    use std::fmt::Write;

    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    for part in ["throttle", kind, parts[0], parts[1]] {
        mac.update(part.as_bytes());
        mac.update(&[0]);
    }
    let digest = mac.finalize().into_bytes();
    digest[..DIGEST].iter().fold(String::with_capacity(2 * DIGEST), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
