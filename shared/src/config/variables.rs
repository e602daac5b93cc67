//! Readers of environment variables that name the variable in their failure.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

/// The variables of the process, or of a test.
#[derive(Clone, Debug, Default)]
pub struct Variables(HashMap<String, String>);

/// A variable that is missing or cannot be used. Its message is a whole sentence for an operator.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A required variable is not set, or empty.
    #[error("{name} is not set. {hint}")]
    Missing {
        /// The variable's name.
        name: &'static str,
        /// What to write there.
        hint: &'static str,
    },
    /// The value cannot be used.
    #[error("{name}={value} cannot be used: {reason}.")]
    Invalid {
        /// The variable's name.
        name: &'static str,
        /// What was found, without passwords.
        value: String,
        /// Why it is wrong.
        reason: String,
    },
}

impl Variables {
    /// The process's environment.
    #[must_use]
    pub fn of_process() -> Self {
        Self(std::env::vars().collect())
    }

    /// These pairs and nothing else.
    #[must_use]
    pub fn of_pairs<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// The value of `name`; an empty one counts as not set.
    #[must_use]
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// The value of `name`.
    ///
    /// # Errors
    /// If it is not set; `hint` says what to write.
    pub fn required(&self, name: &'static str, hint: &'static str) -> Result<&str, ConfigError> {
        self.optional(name).ok_or(ConfigError::Missing { name, hint })
    }

    /// The value of `name` as a `T`, or `default`.
    ///
    /// # Errors
    /// If it is set and no `T`.
    pub fn parsed<T: FromStr<Err: Display>>(&self, name: &'static str, default: T) -> Result<T, ConfigError> {
        match self.optional(name) {
            None => Ok(default),
            Some(value) => value.parse().map_err(|error: T::Err| invalid(name, value, error.to_string())),
        }
    }

    /// The value of `name` as a number within `range`, or `default`.
    ///
    /// # Errors
    /// If it is set and no number, or outside of `range`.
    pub fn number<T>(
        &self,
        name: &'static str,
        default: T,
        range: std::ops::RangeInclusive<T>,
    ) -> Result<T, ConfigError>
    where
        T: FromStr<Err: Display> + PartialOrd + Display + Copy,
    {
        let value = self.parsed(name, default)?;
        if range.contains(&value) {
            return Ok(value);
        }
        Err(invalid(name, &value.to_string(), format!("it must be between {} and {}", range.start(), range.end())))
    }

    /// The value of `name` in whole seconds within `range`, or `default` seconds.
    ///
    /// # Errors
    /// If it is set and no number, or outside of `range`.
    pub fn seconds(
        &self,
        name: &'static str,
        default: u64,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<Duration, ConfigError> {
        self.number(name, default, range).map(Duration::from_secs)
    }

    /// The value of `name` as an address with one of `schemes`.
    ///
    /// # Errors
    /// If it is set and no such address. The message shows it without its password.
    pub fn address(&self, name: &'static str, schemes: &[&str]) -> Result<Option<Url>, ConfigError> {
        self.optional(name).map(|value| address(name, value, schemes)).transpose()
    }

    /// The value of `name` as addresses with one of `schemes`, separated by commas.
    ///
    /// # Errors
    /// If one is no such address. The message shows it without its password.
    pub fn addresses(&self, name: &'static str, schemes: &[&str]) -> Result<Vec<Url>, ConfigError> {
        let values = self.optional(name).unwrap_or_default().split(',').map(str::trim);
        values.filter(|value| !value.is_empty()).map(|value| address(name, value, schemes)).collect()
    }
}

fn address(name: &'static str, value: &str, schemes: &[&str]) -> Result<Url, ConfigError> {
    let url = Url::parse(value).map_err(|error| invalid(name, "…", error.to_string()))?;
    if schemes.contains(&url.scheme()) {
        return Ok(url);
    }
    let reason = format!("its scheme must be one of {}", schemes.join(", "));
    Err(invalid(name, &without_password(&url), reason))
}

/// A value of `name` that cannot be used.
pub(crate) fn invalid(name: &'static str, value: &str, reason: String) -> ConfigError {
    ConfigError::Invalid { name, value: value.to_owned(), reason }
}

/// The address with its password replaced, fit for a log.
#[must_use]
pub fn without_password(url: &Url) -> String {
    let mut shown = url.clone();
    if shown.password().is_some() && shown.set_password(Some("***")).is_err() {
        return format!("{}://…", url.scheme());
    }
    shown.to_string()
}
