//! What can go wrong in the engine.

use std::error::Error as Source;
use std::sync::Arc;

use redis::{ErrorKind, RedisError};
use uuid::Uuid;

/// An operation on a queue that did not happen, or may not have happened if the connection broke.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Redis refused, or cannot be reached.
    #[error("redis: {1}{advice}", advice = .0.advice())]
    Redis(Trouble, #[source] RedisError),
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
    /// The system refused the thread that says that this process lives.
    #[error("no thread for the beats: {0}")]
    Thread(#[source] std::io::Error),
    /// A task of the engine has ended, with its runtime or by a mistake of ours.
    #[error("a task of the engine has ended")]
    Stopped,
    /// The error of a push that shared a round trip with others.
    #[error("{0}")]
    Shared(Arc<Error>),
}

/// What is the matter with Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It cannot be reached, or did not answer in time. A command may have been executed.
    Away,
    /// It reads its data after a start (`LOADING`).
    Loading,
    /// It is a replica, or was one a moment ago (`READONLY`).
    ReadOnly,
    /// No master is known now: sentinels elect one, or a replica has lost its own (`MASTERDOWN`).
    NoMaster,
    /// Too few replicas for it to accept writes (`NOREPLICAS`).
    NoReplicas,
    /// No master of the cluster serves the slot, or too few masters see each other (`CLUSTERDOWN`).
    ClusterDown,
    /// The queue's slot moves to another node of the cluster (`MOVED`, `ASK`, `TRYAGAIN`), which may not have the scripts
    /// yet (`NOSCRIPT`).
    Moving,
    /// Its memory is full (`OOM`).
    Full,
    /// It runs a long script (`BUSY`).
    Busy,
    /// It cannot write its files, and so accepts no writes (`MISCONF`).
    Unsaved,
    /// User or password are missing or wrong (`NOAUTH`, `WRONGPASS`).
    Credentials,
    /// The user may not do this (`NOPERM`).
    Forbidden,
    /// One of the two does not trust the other's certificate.
    Certificate,
    /// Something else.
    Other,
}

impl Trouble {
    /// True if Redis may do it later.
    #[must_use]
    pub fn is_transient(self) -> bool {
        !matches!(self, Self::Credentials | Self::Forbidden | Self::Certificate | Self::Other)
    }

    /// What is the matter according to `error`.
    #[must_use]
    pub fn of(error: &RedisError) -> Self {
        match error.kind() {
            ErrorKind::AuthenticationFailed => return Self::Credentials,
            ErrorKind::MasterNameNotFoundBySentinel => return Self::NoMaster,
            ErrorKind::ClusterConnectionNotFound => return Self::ClusterDown,
            ErrorKind::Io if is_about_certificates(error) => return Self::Certificate,
            ErrorKind::Io => return Self::Away,
            _ => {}
        }
        // The code of a pipeline's error is that of its first failed command.
        let errors = error.clone().into_server_errors();
        let first = errors.as_ref().and_then(|errors| errors.first()).map(|(_, error)| error);
        match first.map(|error| (error.code(), error.details().unwrap_or_default())) {
            Some(("ERR", detail)) if detail.starts_with("max number of clients") => Self::Away,
            // It reads no long command of somebody it does not know.
            Some(("ERR", detail)) if detail.starts_with("Protocol error: unauthenticated") => Self::Credentials,
            // Redis 7.0 gives a right that a script lacks no code of its own.
            Some(("ERR", detail)) if detail.starts_with("The user executing the script can't") => Self::Forbidden,
            Some((code, _)) => Self::of_code(code),
            None => error.code().map_or(Self::Other, Self::of_code),
        }
    }

    fn of_code(code: &str) -> Self {
        match code {
            "LOADING" => Self::Loading,
            "READONLY" => Self::ReadOnly,
            "MASTERDOWN" => Self::NoMaster,
            "NOREPLICAS" => Self::NoReplicas,
            "CLUSTERDOWN" => Self::ClusterDown,
            "MOVED" | "ASK" | "TRYAGAIN" | "NOSCRIPT" => Self::Moving,
            "OOM" => Self::Full,
            "BUSY" => Self::Busy,
            "MISCONF" => Self::Unsaved,
            "NOAUTH" | "WRONGPASS" => Self::Credentials,
            "NOPERM" => Self::Forbidden,
            _ => Self::Other,
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Credentials => "; correct user and password in the address: redis://user:password@host",
            Self::Forbidden => "; give the user the rules in the engine's README",
            Self::Certificate => "; name the authority's file in the address: rediss://host?ca=file.pem",
            _ => "",
        }
    }
}

/// rustls reports a handshake that failed inside of an I/O error, and redis shows that one only as a shared source.
fn is_about_certificates(error: &RedisError) -> bool {
    let shared = error.source().and_then(|source| source.downcast_ref::<Arc<dyn Source + Send + Sync>>());
    let io = shared.and_then(|shared| shared.downcast_ref::<std::io::Error>());
    let cause = io.and_then(std::io::Error::get_ref).and_then(|cause| cause.downcast_ref());
    matches!(cause, Some(rustls::Error::InvalidCertificate(_) | rustls::Error::AlertReceived(_)))
}

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Self {
        Self::Redis(Trouble::of(&error), error)
    }
}

impl Error {
    /// What is the matter with Redis, if that is why.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Redis(trouble, _) => Some(*trouble),
            Self::Shared(error) => error.trouble(),
            _ => None,
        }
    }

    /// True if Redis may do it later: it was away, loading, full, or changing masters.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.trouble().is_some_and(Trouble::is_transient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(line: &str) -> Error {
        let answer = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        answer.extract_error().unwrap_err().into()
    }

    #[test]
    fn what_redis_says_is_told_apart() {
        for (line, trouble, transient) in [
            ("LOADING Redis is loading the dataset in memory", Trouble::Loading, true),
            ("READONLY You can't write against a read only replica.", Trouble::ReadOnly, true),
            ("MASTERDOWN Link with MASTER is down", Trouble::NoMaster, true),
            ("NOREPLICAS Not enough good replicas to write.", Trouble::NoReplicas, true),
            ("CLUSTERDOWN Hash slot not served", Trouble::ClusterDown, true),
            ("MOVED 1 127.0.0.1:1", Trouble::Moving, true),
            ("ASK 1 127.0.0.1:1", Trouble::Moving, true),
            ("TRYAGAIN Multiple keys request during rehashing of slot", Trouble::Moving, true),
            ("OOM command not allowed when used memory > 'maxmemory'.", Trouble::Full, true),
            ("BUSY Redis is busy running a script.", Trouble::Busy, true),
            ("MISCONF Redis is configured to save RDB snapshots", Trouble::Unsaved, true),
            ("ERR max number of clients reached", Trouble::Away, true),
            ("NOAUTH Authentication required.", Trouble::Credentials, false),
            ("WRONGPASS invalid username-password pair", Trouble::Credentials, false),
            ("ERR Protocol error: unauthenticated multibulk length", Trouble::Credentials, false),
            ("NOPERM this user has no permissions", Trouble::Forbidden, false),
            ("ERR The user executing the script can't run this command", Trouble::Forbidden, false),
            ("ERR unknown command", Trouble::Other, false),
            ("WRONGTYPE Operation against a key", Trouble::Other, false),
        ] {
            let error = refusal(line);
            assert_eq!((error.trouble(), error.is_transient()), (Some(trouble), transient), "{line}");
            let shared = Error::Shared(Arc::new(error));
            assert_eq!((shared.trouble(), shared.is_transient()), (Some(trouble), transient), "{line}, shared");
        }
    }

    #[test]
    fn a_connection_that_fails_is_away() {
        use std::io::ErrorKind;
        for kind in [ErrorKind::ConnectionRefused, ErrorKind::ConnectionReset, ErrorKind::TimedOut, ErrorKind::NotFound]
        {
            let error = Error::from(RedisError::from(std::io::Error::from(kind)));
            assert_eq!((error.trouble(), error.is_transient()), (Some(Trouble::Away), true), "{kind}");
        }
        assert!(!Error::Stopped.is_transient());
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let text = refusal("WRONGPASS invalid username-password pair or user is disabled.").to_string();
        assert!(text.ends_with("correct user and password in the address: redis://user:password@host"), "{text}");
    }
}
