//! The end of a command that failed: what happened, what to do next, and the exit code.

use std::error::Error;
use std::process::ExitCode;

use bellwork_shared::config::ConfigError;
use serde_json::{Map, Value};

use crate::screen::{Screen, Tone};

/// It could not be done.
const NOT_DONE: u8 = 1;
/// It was asked for wrongly: arguments or environment.
const MISUSED: u8 = 2;

const START_POSTGRES: &str =
    "Is PostgreSQL running where DATABASE_URL says? scripts/run starts one of its own under .local/.";
const START_REDIS: &str = "Is Redis running where REDIS_URL says? scripts/run starts one of its own under .local/.";
const MIGRATE: &str = "The schema is not there, or older than this program: run `bellwork migrate`.";
const MAKE_DATABASE: &str = "Make the database first: createdb, or `create database` in psql.";
const CHECK_PASSWORD: &str = "Check user and password in DATABASE_URL.";
const CHECK_REDIS_PASSWORD: &str = "Check user and password in REDIS_URL.";

/// An argument that cannot be what the operator meant. The sentence says what can be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misuse(pub(crate) String);

/// A failure that knows what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
pub(crate) struct Advised {
    /// What happened.
    pub(crate) sentence: String,
    /// What to do next.
    pub(crate) next: String,
    /// More about it, for programs: added to the answer.
    pub(crate) details: Map<String, Value>,
}

/// A failure with what to do next.
pub(crate) fn advised(sentence: impl Into<String>, next: impl Into<String>) -> anyhow::Error {
    Advised { sentence: sentence.into(), next: next.into(), details: Map::new() }.into()
}

/// Tells the operator, and gives the code to exit with.
pub(crate) fn report(error: &anyhow::Error, screen: &mut Screen) -> ExitCode {
    if error.chain().any(is_closed_pipe) {
        return ExitCode::SUCCESS;
    }
    let next = error.chain().find_map(next_step);
    let details =
        error.chain().find_map(|cause| cause.downcast_ref::<Advised>()).map(|advised| advised.details.clone());
    // There is nobody left to tell if neither standard output nor standard error can be written.
    let _ = show(&sentence(error), next.as_deref(), details.unwrap_or_default(), screen);
    let misused = error.chain().any(|cause| cause.is::<Misuse>() || cause.is::<ConfigError>());
    ExitCode::from(if misused { MISUSED } else { NOT_DONE })
}

fn show(
    sentence: &str,
    next: Option<&str>,
    mut answer: Map<String, Value>,
    screen: &mut Screen,
) -> std::io::Result<()> {
    answer.insert("error".to_owned(), sentence.into());
    answer.insert("next".to_owned(), next.into());
    screen.json(&answer)?;
    let mark = screen.toned(Tone::Bad, "✗");
    screen.hint(format_args!("{mark} {sentence}"))?;
    next.map_or(Ok(()), |next| screen.hint(format_args!("  {next}")))
}

/// The chain of causes as one line, without causes that their effects have named already.
fn sentence(error: &anyhow::Error) -> String {
    let mut sentence = String::new();
    for cause in error.chain().map(words) {
        if sentence.is_empty() {
            sentence = cause;
        } else if !sentence.contains(&cause) {
            sentence = format!("{}: {cause}", sentence.trim_end_matches('.'));
        }
    }
    capitalised(&sentence)
}

/// A cause in an operator's words.
fn words(cause: &(dyn Error + 'static)) -> String {
    match cause.downcast_ref::<sqlx::Error>() {
        Some(sqlx::Error::Database(error)) => format!("PostgreSQL says: {}", error.message()),
        Some(sqlx::Error::PoolTimedOut) => "PostgreSQL does not answer".to_owned(),
        _ => cause.to_string(),
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The reader of our output has seen enough.
fn is_closed_pipe(cause: &(dyn Error + 'static)) -> bool {
    cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn next_step(cause: &(dyn Error + 'static)) -> Option<String> {
    if let Some(advised) = cause.downcast_ref::<Advised>() {
        return Some(advised.next.clone());
    }
    let step = if let Some(error) = cause.downcast_ref::<sqlx::Error>() {
        after_database(error)
    } else {
        cause.downcast_ref::<redis::RedisError>().and_then(after_redis)
    };
    step.map(str::to_owned)
}

fn after_database(error: &sqlx::Error) -> Option<&'static str> {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => Some(START_POSTGRES),
        sqlx::Error::Database(error) => match error.code()?.as_ref() {
            "42P01" | "42703" | "42704" | "42883" => Some(MIGRATE),
            "3D000" => Some(MAKE_DATABASE),
            "28P01" | "28000" => Some(CHECK_PASSWORD),
            "57P03" => Some(START_POSTGRES),
            _ => None,
        },
        _ => None,
    }
}

fn after_redis(error: &redis::RedisError) -> Option<&'static str> {
    match error.kind() {
        redis::ErrorKind::AuthenticationFailed => Some(CHECK_REDIS_PASSWORD),
        redis::ErrorKind::Io => Some(START_REDIS),
        _ if error.is_connection_dropped() || error.is_timeout() => Some(START_REDIS),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn causes_are_told_once_in_one_line() {
        let error = anyhow!("redis: Connection refused").context("email was not paused");
        assert_eq!(sentence(&error), "Email was not paused: redis: Connection refused");
        let wrapped = Err::<(), _>(anyhow!("refused")).context("it was refused.").unwrap_err();
        assert_eq!(sentence(&wrapped), "It was refused.");
    }

    #[test]
    fn a_database_that_is_away_is_not_its_last_word() {
        let error = anyhow::Error::new(sqlx::Error::PoolTimedOut).context("nothing was seeded");
        assert_eq!(sentence(&error), "Nothing was seeded: PostgreSQL does not answer");
        assert_eq!(error.chain().find_map(next_step).as_deref(), Some(START_POSTGRES));
    }
}
