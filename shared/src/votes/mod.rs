//! Students' votes on AI models.
//!
//! A vote goes through three statements of one transaction: [`evidence`] finds what the [`rules`] look at, [`casting`]
//! writes the vote, its history and the counts, [`counts`] reads them. What the rules find suspicious is held back: stored,
//! shown to operators with the reasons, and not counted until they release it. Its voter sees it as if it counted, so
//! that nobody can learn from the answers how to stay below a rule. What a single vote cannot show, a [`review`] sees
//! afterwards.

pub mod casting;
pub mod counts;
pub mod evidence;
pub mod history;
pub mod moderation;
#[cfg(test)]
pub(crate) mod rehearsal;
pub mod review;
pub mod rules;
pub mod traces;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// What a student says of a model's help. Over HTTP it is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(try_from = "i16", into = "i16")]
#[repr(i16)]
pub enum Ballot {
    /// 1: it helped.
    Up = 1,
    /// 0: nothing any more.
    Withdrawn = 0,
    /// -1: it did not help.
    Down = -1,
}

/// Why a number is no ballot. Its message is a sentence for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a vote is 1, 0 or -1")]
pub struct NoBallot;

impl TryFrom<i16> for Ballot {
    type Error = NoBallot;

    fn try_from(value: i16) -> Result<Self, NoBallot> {
        [Self::Up, Self::Withdrawn, Self::Down].into_iter().find(|ballot| *ballot as i16 == value).ok_or(NoBallot)
    }
}

impl PartialSchema for Ballot {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([-1, 0, 1])).into()
    }
}

impl ToSchema for Ballot {}

impl From<Ballot> for i16 {
    fn from(ballot: Ballot) -> Self {
        ballot as Self
    }
}

/// Whether a live vote counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "vote_state", rename_all = "snake_case")]
pub enum VoteState {
    /// It does.
    Counted,
    /// It is suspicious, and waits for an operator.
    Held,
    /// An operator has decided that it never will.
    Rejected,
}

/// A student's own vote, as they see it: whether it counts is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OwnVote {
    /// What they said.
    pub value: Ballot,
    /// When they said so; none if they never voted on the model.
    pub cast_at: Option<DateTime<Utc>>,
}

/// How a model stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Tally {
    /// Votes for it.
    pub up: i64,
    /// Votes against it.
    pub down: i64,
    /// Lower end of Wilson's interval at 95 % for the share of its votes that are up, from 0 to 1.
    pub score: f64,
}
