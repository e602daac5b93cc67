//! The way to the cache instance of Redis, whatever its topology: this crate does not know the engine's connections.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, LazyLock};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use redis::aio::{ConnectionLike, PubSub};
use redis::{Cmd, ErrorKind, RedisResult, Script, ServerErrorKind, Value};

type Sending = dyn Fn(Cmd) -> BoxFuture<'static, RedisResult<Value>> + Send + Sync;
type Listening = dyn Fn() -> BoxFuture<'static, RedisResult<PubSub>> + Send + Sync;

/// How to send commands to Redis, and how to listen to it. Cheap to clone.
#[derive(Clone)]
pub struct Redis {
    send: Arc<Sending>,
    listen: Arc<Listening>,
}

impl Redis {
    /// Sends over `connection`; `listen` opens a connection of its own for SUBSCRIBE.
    pub fn new<C, L, F>(connection: C, listen: L) -> Self
    where
        C: ConnectionLike + Clone + Send + Sync + 'static,
        L: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = RedisResult<PubSub>> + Send + 'static,
    {
        let send = move |command: Cmd| {
            let mut connection = connection.clone();
            async move { command.query_async::<Value>(&mut connection).await }.boxed()
        };
        Self { send: Arc::new(send), listen: Arc::new(move || listen().boxed()) }
    }

    pub(super) async fn listen(&self) -> RedisResult<PubSub> {
        (self.listen)().await
    }

    /// Calls a script by its digest, and by its text if Redis has forgotten it.
    pub(super) async fn call(&self, script: &Lua, keys: &[&str], arguments: &[&[u8]]) -> RedisResult<Value> {
        let command = |verb: &str, script: &str| {
            let mut command = redis::cmd(verb);
            command.arg(script).arg(keys.len()).arg(keys).arg(arguments);
            command
        };
        match (self.send)(command("EVALSHA", script.digest.get_hash())).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                (self.send)(command("EVAL", script.text)).await
            }
            answered => answered,
        }
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}

/// A script and its digest.
pub(super) struct Lua {
    text: &'static str,
    digest: LazyLock<Script>,
}

macro_rules! script {
    ($constant:ident, $file:literal) => {
        #[doc = concat!("See `scripts/", $file, ".lua`.")]
        pub(super) static $constant: Lua = Lua {
            text: include_str!(concat!("scripts/", $file, ".lua")),
            digest: LazyLock::new(|| Script::new(include_str!(concat!("scripts/", $file, ".lua")))),
        };
    };
}

script!(LOOK, "look");
script!(STORE, "store");
script!(FORGET, "forget");
