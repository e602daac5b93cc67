//! What can go wrong in the engine.

use uuid::Uuid;

/// An operation on a queue that did not happen, or may not have happened if the connection broke.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Redis refused, or cannot be reached.
    #[error("redis: {0}")]
    Redis(#[from] redis::RedisError),
    /// A field that cannot be used; nothing was pushed.
    #[error("{field} {reason}")]
    Invalid {
        /// Which one.
        field: &'static str,
        /// What it must be.
        reason: &'static str,
    },
    /// A payload over the limit; nothing was pushed.
    #[error("the payload of job {id} has {bytes} bytes, more than the {limit} allowed")]
    PayloadTooLarge {
        /// The job.
        id: Uuid,
        /// How many it has.
        bytes: usize,
        /// How many it may have.
        limit: usize,
    },
    /// A script answered in a way that this version does not know.
    #[error("the script {script} gave an answer that cannot be read")]
    Answer {
        /// The script's name.
        script: &'static str,
    },
    /// A task of the engine has ended, with its runtime or by a mistake of ours.
    #[error("a task of the engine has ended")]
    Stopped,
    /// The error of a push that shared a round trip with others.
    #[error("{0}")]
    Shared(std::sync::Arc<Error>),
}

impl Error {
    /// True if Redis may do it later: it was away, loading, full, or changing masters.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Redis(error) => {
                error.is_io_error()
                    || error.is_timeout()
                    || error.is_connection_dropped()
                    || matches!(
                        error.code(),
                        Some(
                            "LOADING"
                                | "OOM"
                                | "READONLY"
                                | "MASTERDOWN"
                                | "CLUSTERDOWN"
                                | "TRYAGAIN"
                                | "BUSY"
                                | "MISCONF"
                        )
                    )
            }
            Self::Shared(error) => error.is_transient(),
            Self::Invalid { .. } | Self::PayloadTooLarge { .. } | Self::Answer { .. } | Self::Stopped => false,
        }
    }
}
