//! One round trip: a command or a pipeline, its answers, and what an error among them means for the connection.

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisError, RedisResult, Value};

#[derive(Clone, Copy)]
pub(super) enum Request<'a> {
    Command(&'a Cmd),
    Pipeline { pipeline: &'a Pipeline, offset: usize, count: usize },
}

impl<'a> Request<'a> {
    pub(super) async fn send(self, connection: &mut MultiplexedConnection) -> RedisResult<Vec<Value>> {
        match self {
            Self::Command(command) => connection.req_packed_command(command).await.map(|value| vec![value]),
            Self::Pipeline { pipeline, offset, count } => connection.req_packed_commands(pipeline, offset, count).await,
        }
    }

    /// Sends to a node that takes the slot over: it accepts one command after the word ASKING. Not for pipelines.
    pub(super) async fn send_asking(self, connection: &mut MultiplexedConnection) -> RedisResult<Vec<Value>> {
        let Self::Command(command) = self else { return self.send(connection).await };
        let mut asking = redis::pipe();
        asking.cmd("ASKING").add_command(command.clone());
        connection.req_packed_commands(&asking, 1, 1).await
    }

    pub(super) fn commands(self) -> Box<dyn Iterator<Item = &'a Cmd> + Send + 'a> {
        match self {
            Self::Command(command) => Box::new(std::iter::once(command)),
            Self::Pipeline { pipeline, .. } => Box::new(pipeline.cmd_iter()),
        }
    }
}

/// The first error of a round trip: of the connection, or of the server.
pub(super) fn error_in(answers: &RedisResult<Vec<Value>>) -> Option<RedisError> {
    match answers {
        Err(error) => Some(error.clone()),
        Ok(values) => values.iter().find_map(|value| match value {
            Value::ServerError(error) => Some(error.clone().into()),
            _ => None,
        }),
    }
}

/// Whether another connection is needed: this one broke or fell silent, or leads to a server that is no master any more,
/// or that has changed its passwords.
pub(super) fn loses_connection(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || matches!(error.code(), Some("READONLY" | "MASTERDOWN" | "NOAUTH"))
}
