//! What can be out of date: each cached value belongs to one scope, and a scope is forgotten as a whole.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{LEADERBOARDS, NOTIFICATIONS, Policy, QUESTION_BANK, SESSIONS, STATS, TESTS};
use crate::ids::{TestId, UserId};

/// What is forgotten at once when something changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The published tests: their list and each of them.
    Tests,
    /// Everything read from the question bank.
    QuestionBank,
    /// The public figures.
    Stats,
    /// All boards of a test.
    Board(TestId),
    /// The notifications of a student.
    Notifications(UserId),
    /// The session whose token has this SHA-256.
    Session([u8; 32]),
}

impl Scope {
    /// How its values are kept.
    #[must_use]
    pub fn policy(self) -> &'static Policy {
        match self {
            Self::Tests => &TESTS,
            Self::QuestionBank => &QUESTION_BANK,
            Self::Stats => &STATS,
            Self::Board(_) => &LEADERBOARDS,
            Self::Notifications(_) => &NOTIFICATIONS,
            Self::Session(_) => &SESSIONS,
        }
    }
}

/// As it stands in keys and messages.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tests => f.write_str("tests"),
            Self::QuestionBank => f.write_str("question-bank"),
            Self::Stats => f.write_str("stats"),
            Self::Board(test) => write!(f, "board:{test}"),
            Self::Notifications(user) => write!(f, "notifications:{user}"),
            Self::Session(hash) => write!(f, "session:{}", URL_SAFE_NO_PAD.encode(hash)),
        }
    }
}

/// A scope that this release does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no scope of this release")]
pub struct UnknownScope;

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let (name, of) = text.split_once(':').unwrap_or((text, ""));
        let hash = |of: &str| URL_SAFE_NO_PAD.decode(of).ok()?.try_into().ok();
        let scope = match name {
            "tests" => Some(Self::Tests),
            "question-bank" => Some(Self::QuestionBank),
            "stats" => Some(Self::Stats),
            "board" => of.parse().ok().map(Self::Board),
            "notifications" => of.parse().ok().map(Self::Notifications),
            "session" => hash(of).map(Self::Session),
            _ => None,
        };
        scope.ok_or(UnknownScope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_reads_back() {
        let scopes = [
            Scope::Tests,
            Scope::QuestionBank,
            Scope::Stats,
            Scope::Board(TestId::new()),
            Scope::Notifications(UserId::new()),
            Scope::Session([0xAB; 32]),
        ];
        for scope in scopes {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        for text in ["", "test", "board:", "session:AA", "weather"] {
            assert_eq!(text.parse::<Scope>(), Err(UnknownScope), "{text}");
        }
    }
}
