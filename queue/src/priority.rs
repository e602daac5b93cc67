//! Priorities within a queue.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which of two ready jobs of a queue runs first. Critical ones go before all others, but for one turn in ten once they
/// have come for ten seconds without a break; high, normal and low share by weight: none starves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Before everything else, unless it comes without end.
    Critical = 0,
    /// Six turns in ten.
    High = 1,
    /// Three turns in ten.
    #[default]
    Normal = 2,
    /// One turn in ten.
    Low = 3,
}

/// A priority that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no priority: use critical, high, normal or low")]
pub struct UnknownPriority(pub String);

impl Priority {
    /// All, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Normal, Self::Low];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}

impl FromStr for Priority {
    type Err = UnknownPriority;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|priority| priority.name() == name).ok_or_else(|| UnknownPriority(name.to_owned()))
    }
}

impl TryFrom<i16> for Priority {
    type Error = UnknownPriority;

    fn try_from(rank: i16) -> Result<Self, Self::Error> {
        let found = Self::ALL.into_iter().find(|priority| *priority as i16 == rank);
        found.ok_or_else(|| UnknownPriority(rank.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_is_found_by_its_name_and_by_its_rank() {
        for priority in Priority::ALL {
            assert_eq!(priority.name().parse(), Ok(priority));
            assert_eq!(Priority::try_from(priority as i16), Ok(priority));
        }
        assert_eq!(Priority::High.name(), "high");
        assert_eq!("urgent".parse::<Priority>(), Err(UnknownPriority("urgent".into())));
        assert_eq!(Priority::try_from(4), Err(UnknownPriority("4".into())));
    }
}
