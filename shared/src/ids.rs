//! Identifiers: a newtype per noun, so that an attempt's id cannot be passed where a job's is meant.
//! All are UUIDv7: they sort by time of creation and tell it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($name:ident, $noun:literal) => {
        #[doc = concat!("The id of ", $noun, ".")]
        #[derive(
            Clone,
            Copy,
            Debug,
            PartialEq,
            Eq,
            Hash,
            PartialOrd,
            Ord,
            Serialize,
            Deserialize,
            sqlx::Type,
            utoipa::ToSchema,
        )]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id that sorts after all earlier ones of this process.
            #[must_use]
            #[allow(clippy::new_without_default, reason = "an id is never a default value")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// When the id was made, to the millisecond.
            #[must_use]
            pub fn created_at(self) -> Option<DateTime<Utc>> {
                let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
                DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

id!(UserId, "a user");
id!(SessionId, "a session");
id!(ApiTokenId, "a personal API token");
id!(TestId, "a practice test");
id!(QuestionId, "a question");
id!(AttemptId, "an attempt");
id!(JobId, "a job");
id!(ImportId, "an import");
id!(NotificationId, "a notification");
id!(AidId, "a study aid");
id!(ModelId, "an AI model");
id!(VoteId, "a vote on a model");
id!(SittingId, "a sitting");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_tell_it() {
        let before = Utc::now();
        let (first, second) = (JobId::new(), JobId::new());
        assert!(first < second);
        let age = first.created_at().unwrap() - before;
        assert!(age.num_milliseconds().abs() < 1000, "{age}");
    }
}
