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

macro_rules! script {
    ($constant:ident, $file:literal $(, $part:literal)*) => {
        #[doc = concat!("See `scripts/", $file, ".lua`.")]
        pub(crate) static $constant: Script = Script {
            name: $file,
            script: LazyLock::new(|| {
                redis::Script::new(concat!(
                    part!("keys"), part!("tables"), $(part!($part),)* include_str!(concat!("scripts/", $file, ".lua"))
                ))
            }),
        };
    };
}

script!(PUSH, "push", "options", "lanes");
script!(CLAIM, "claim", "options", "lanes", "endings", "rates", "turns");
script!(COMPLETE, "complete", "options", "lanes", "endings");
script!(REQUEUE, "requeue", "options", "lanes", "endings");
script!(BURY, "bury", "options", "lanes", "endings");
script!(RECOVER, "recover", "options", "lanes", "endings");
script!(REMOVE, "remove", "options", "lanes", "endings");
script!(BATCH, "batch", "options", "lanes", "endings");
script!(LIMIT, "limit", "lanes");
script!(HASTEN, "hasten", "lanes");
script!(READMIT, "readmit", "lanes");
script!(PROGRESS, "progress");
script!(SWEEP, "sweep");
script!(BEAT, "beat");
script!(LEAVE, "leave");
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
