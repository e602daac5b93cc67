//! A queue of its own on the Redis of the test run.

use std::sync::LazyLock;

use bellwork_testkit::DEADLINE;
use bellwork_testkit::test_run::redis_url;
use redis::FromRedisValue;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::connection::{Connection, Server};
use crate::engine::Engine;
use crate::keys::Keys;
use crate::scripts::{self, Call};

pub(crate) const QUEUE: &str = "work";

/// Far enough ahead that no test sees it, near enough to be accepted.
pub(crate) static FAR: LazyLock<i64> = LazyLock::new(|| {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    i64::try_from(now).unwrap() + 365 * 24 * 3600 * 1000
});

/// An engine whose prefix nobody else has; its keys are deleted with [`Trial::end`].
pub(crate) struct Trial {
    pub(crate) engine: Engine,
    pub(crate) keys: Keys,
    pub(crate) redis: Connection,
}

/// Where one test's cases run: a runtime and a server that they share.
pub(crate) struct Ground {
    runtime: Runtime,
    server: Server,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let server: Server = redis_url().parse().unwrap();
        Self { runtime, server: server.with_timeouts(DEADLINE, DEADLINE) }
    }

    /// Runs one case on a queue of its own.
    pub(crate) fn run<T>(&self, case: impl AsyncFnOnce(Trial) -> T) -> T {
        let prefix = format!("proof-{}", Uuid::new_v4().simple());
        let engine = Engine::new(self.server.clone(), &prefix);
        let redis = engine.connection();
        let keys = engine.keys(QUEUE).unwrap();
        let trial = Trial { engine, keys: keys.clone(), redis: redis.clone() };
        self.runtime.block_on(async {
            let result = case(trial).await;
            let mut delete = redis::cmd("DEL");
            keys.all().for_each(|key| {
                delete.arg(key);
            });
            let () = delete.query_async(&mut redis.clone()).await.unwrap();
            result
        })
    }
}

impl Trial {
    pub(crate) async fn call<T: FromRedisValue>(&self, invocation: &Call) -> T {
        self.try_call(invocation).await.unwrap()
    }

    pub(crate) async fn try_call<T: FromRedisValue>(&self, invocation: &Call) -> redis::RedisResult<T> {
        scripts::call(invocation, &mut self.redis.clone()).await
    }

    pub(crate) async fn query<T: FromRedisValue>(&self, command: &redis::Cmd) -> T {
        command.query_async(&mut self.redis.clone()).await.unwrap()
    }
}
