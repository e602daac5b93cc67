//! The Lua scripts: one per transition, called by digest, loaded again when Redis forgot them. What several need stands
//! in `scripts/parts`.

use std::sync::LazyLock;

use redis::aio::ConnectionLike;
use redis::{ErrorKind, FromRedisValue, RedisResult, ServerErrorKind, ToRedisArgs};

use crate::keys::Keys;

/// A transition of the state machine.
pub(crate) struct Script {
    /// Its file's name.
    pub(crate) name: &'static str,
    script: LazyLock<redis::Script>,
}

macro_rules! part {
    ($file:literal) => {
        include_str!(concat!("scripts/parts/", $file, ".lua"))
    };
}

/// What only makes room, or leads to it, runs in a full Redis too: a queue that is full must be able to empty itself.
const EVEN_IF_FULL: &str = "#!lua flags=allow-oom\n";

macro_rules! script {
    ($constant:ident, $file:literal $(, $part:literal)*) => {
        script!("", $constant, $file $(, $part)*);
    };
    ($head:expr, $constant:ident, $file:literal $(, $part:literal)*) => {
        #[doc = concat!("See `scripts/", $file, ".lua`.")]
        pub(crate) static $constant: Script = Script {
            name: $file,
            script: LazyLock::new(|| {
                let code = concat!(
                    part!("keys"), part!("tables"), $(part!($part),)* include_str!(concat!("scripts/", $file, ".lua"))
                );
                redis::Script::new(&[$head, code].concat())
            }),
        };
    };
}

script!(PUSH, "push", "options", "lanes");
script!(EVEN_IF_FULL, CLAIM, "claim", "options", "lanes", "endings", "rates", "turns");
script!(EVEN_IF_FULL, COMPLETE, "complete", "options", "lanes", "endings");
script!(EVEN_IF_FULL, REQUEUE, "requeue", "options", "lanes", "endings");
script!(EVEN_IF_FULL, BURY, "bury", "options", "lanes", "endings");
script!(EVEN_IF_FULL, RECOVER, "recover", "options", "lanes", "endings");
script!(EVEN_IF_FULL, REMOVE, "remove", "options", "lanes", "endings");
script!(BATCH, "batch", "options", "lanes", "endings");
script!(EVEN_IF_FULL, LIMIT, "limit", "lanes");
script!(EVEN_IF_FULL, HASTEN, "hasten", "lanes");
script!(EVEN_IF_FULL, READMIT, "readmit", "lanes");
script!(PROGRESS, "progress");
script!(EVEN_IF_FULL, SWEEP, "sweep");
script!(EVEN_IF_FULL, OBSERVE, "observe");
script!(EVEN_IF_FULL, BEAT, "beat");
script!(EVEN_IF_FULL, LEAVE, "leave");
script!(COUNT, "count");
script!(LOOK, "look", "options");

impl Script {
    /// A call on the keys of a queue; arguments are added by the caller.
    pub(crate) fn on(&'static self, keys: &Keys) -> Call {
        let mut command = redis::cmd("EVALSHA");
        command.arg(self.script.get_hash()).arg(keys.all().count());
        for key in keys.all() {
            command.arg(key);
        }
        Call { script: self, command }
    }
}

/// A call of a script. Its arguments are written once, into one buffer: there are thousands of them in a second.
pub(crate) struct Call {
    script: &'static Script,
    command: redis::Cmd,
}

impl Call {
    pub(crate) fn arg(&mut self, argument: impl ToRedisArgs) -> &mut Self {
        self.command.arg(argument);
        self
    }
}

/// Calls a script.
pub(crate) async fn call<T: FromRedisValue>(call: &Call, connection: &mut impl ConnectionLike) -> RedisResult<T> {
    match call.command.query_async(connection).await {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            call.script.script.load_async(connection).await?;
            call.command.query_async(connection).await
        }
        answered => answered,
    }
}
