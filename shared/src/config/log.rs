//! What is logged, and how.

use std::str::FromStr;

use super::{ConfigError, Variables};

const FILTER: &str = "info";

/// The log of a process.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Directives such as `info,bellwork_queue=debug`.
    pub filter: String,
    /// For people or for machines.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people, coloured on a terminal.
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("it must be text or json"),
        }
    }
}

impl LogConfig {
    /// Reads `LOG` and `LOG_FORMAT`.
    ///
    /// # Errors
    /// If one is wrong.
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            filter: variables.optional("LOG").unwrap_or(FILTER).to_owned(),
            format: variables.parsed("LOG_FORMAT", LogFormat::Text)?,
        })
    }
}
