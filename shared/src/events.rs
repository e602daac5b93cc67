//! Live events on their way from a worker to the streams of one student, over Redis pub/sub.
//!
//! Delivery is at most once and never trusted: each notification carries its sequence number, and a stream that sees a
//! gap reads the rows.

use serde::{Deserialize, Serialize};

use crate::ids::{JobId, UserId};
use crate::notifications::Notification;

/// What can reach a student's stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
pub enum Event {
    /// A stored notification.
    Notification(Notification),
    /// How far a running job has come. Never stored.
    Progress(Progress),
}

/// How far a running job has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The job.
    pub job_id: JobId,
    /// From 0 to 100.
    pub percent: u8,
    /// What it does now, for the student.
    pub message: String,
    /// What a model has written since the last event, as plain text. A stream that missed a part finds the whole with
    /// the result. When `percent` falls, the text begins anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The channel of a student's events.
#[must_use]
pub fn channel(prefix: &str, user: UserId) -> String {
    format!("{prefix}:events:{user}")
}
