//! How much is allowed in how long.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const SECOND: u64 = 1000;
/// A count older than a month is not worth its place in memory.
const LONGEST: u64 = 31 * 24 * 3600 * SECOND;
const UNITS: [(&str, u64); 4] = [("s", SECOND), ("min", 60 * SECOND), ("h", 3600 * SECOND), ("d", 24 * 3600 * SECOND)];

/// A number of requests in any window of some length. Written `100/s`, `60/min`, `20/10min`, `5/h`, `50/d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The most requests in a window, at least one.
    pub requests: u32,
    /// The window's length in milliseconds, at least a second.
    pub window_ms: u64,
}

/// A text that is no quota.
#[derive(Debug, thiserror::Error)]
#[error("a quota reads 100/s, 60/min, 20/10min, 5/h or 50/d")]
pub struct UnreadableQuota;

impl Quota {
    /// This many in any second.
    #[must_use]
    pub const fn per_second(requests: u32) -> Self {
        Self { requests, window_ms: SECOND }
    }

    /// This many in any minute.
    #[must_use]
    pub const fn per_minute(requests: u32) -> Self {
        Self { requests, window_ms: 60 * SECOND }
    }

    /// This many in any hour.
    #[must_use]
    pub const fn per_hour(requests: u32) -> Self {
        Self { requests, window_ms: 3600 * SECOND }
    }

    /// The window's length in whole seconds.
    #[must_use]
    pub const fn window_seconds(self) -> u64 {
        self.window_ms / SECOND
    }
}

impl FromStr for Quota {
    type Err = UnreadableQuota;

    fn from_str(text: &str) -> Result<Self, UnreadableQuota> {
        let (requests, window) = text.split_once('/').ok_or(UnreadableQuota)?;
        let digits = window.len() - window.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (times, unit) = window.split_at(digits);
        let times = if times.is_empty() { 1 } else { times.parse::<u32>().map_err(|_| UnreadableQuota)? };
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(UnreadableQuota)?;
        let quota =
            Self { requests: requests.parse().map_err(|_| UnreadableQuota)?, window_ms: u64::from(times) * unit };
        if quota.requests == 0 || !(SECOND..=LONGEST).contains(&quota.window_ms) {
            Err(UnreadableQuota)
        } else {
            Ok(quota)
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}s", self.requests, Duration::from_millis(self.window_ms).as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_read_as_it_is_written() {
        for (text, quota) in [
            ("100/s", Quota::per_second(100)),
            ("60/min", Quota::per_minute(60)),
            ("20/60s", Quota::per_minute(20)),
            ("5/h", Quota::per_hour(5)),
            ("7/24h", "7/d".parse().unwrap()),
        ] {
            assert_eq!(text.parse::<Quota>().unwrap(), quota, "{text}");
            assert_eq!(quota.to_string().parse::<Quota>().unwrap(), quota, "{text}");
        }
        for text in ["", "5", "/s", "5/", "0/s", "5/0s", "-1/s", "5/week", "5/s ", "9999999999/s", "1/99999d"] {
            assert!(text.parse::<Quota>().is_err(), "{text}");
        }
    }
}
