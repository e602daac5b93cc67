//! The Lua scripts: one per transition, called by digest, loaded again when Redis forgot them.

use std::sync::LazyLock;

use redis::aio::ConnectionLike;
use redis::{FromRedisValue, RedisResult, ScriptInvocation};

/// A transition of the state machine.
pub(crate) struct Script {
    /// Its file's name.
    pub(crate) name: &'static str,
    script: LazyLock<redis::Script>,
}

macro_rules! script {
    ($constant:ident, $file:literal) => {
        #[doc = concat!("See `scripts/", $file, ".lua`.")]
        pub(crate) static $constant: Script = Script {
            name: $file,
            script: LazyLock::new(|| redis::Script::new(include_str!(concat!("scripts/", $file, ".lua")))),
        };
    };
}

script!(PUSH, "push");
script!(CLAIM, "claim");
script!(COMPLETE, "complete");
script!(REQUEUE, "requeue");
script!(BURY, "bury");
script!(BEAT, "beat");
script!(LEAVE, "leave");
script!(RECOVER, "recover");
script!(REMOVE, "remove");
script!(COUNT, "count");

impl Script {
    /// A call with these keys; arguments are added by the caller.
    pub(crate) fn keys<'a>(&'static self, keys: impl IntoIterator<Item = &'a str>) -> ScriptInvocation<'static> {
        let mut invocation = self.script.prepare_invoke();
        for key in keys {
            invocation.key(key);
        }
        invocation
    }
}

/// Calls a script.
pub(crate) async fn call<T: FromRedisValue>(
    invocation: &ScriptInvocation<'_>,
    connection: &mut impl ConnectionLike,
) -> RedisResult<T> {
    invocation.invoke_async(connection).await
}

/// Reads an answer of one character per job.
pub(crate) fn flags(answer: &str) -> impl Iterator<Item = bool> {
    answer.bytes().map(|flag| flag == b'1')
}
