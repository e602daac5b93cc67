//! What a student knows least, from their last graded attempts.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::ids::UserId;

/// So many of the latest graded attempts count.
const ATTEMPTS: i64 = 50;

/// A topic and how well a student does in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeakTopic {
    /// The subject of its tests.
    pub subject: String,
    /// The topic.
    pub topic: String,
    /// How many of its questions were answered.
    pub answered: i64,
    /// The share of their points that was earned, from 0 to 1.
    pub share: f64,
}

/// Up to `limit` topics of `user`, of `subject` or all, the weakest first.
///
/// # Errors
/// If the database fails.
pub async fn weakest(
    conn: &mut PgConnection,
    user: UserId,
    subject: Option<&str>,
    limit: i64,
) -> sqlx::Result<Vec<WeakTopic>> {
    sqlx::query_as!(
        WeakTopic,
        r#"
        with latest as (
            select feedback from attempts
            where user_id = $1 and status = 'graded' order by id desc limit $2
        ), seen as (
            select (line ->> 'question_id')::uuid as question_id, count(*) as answered,
                   sum((line ->> 'points')::float8 * 100) as points
            from latest cross join lateral jsonb_array_elements(latest.feedback) as line group by 1
        )
        select test.subject as "subject!", question.topic as "topic!", sum(seen.answered)::bigint as "answered!",
               (sum(seen.points) / sum(question.points * seen.answered))::float8 as "share!"
        from seen
        join questions as question on question.id = seen.question_id
        join practice_tests as test on test.id = question.test_id
        where question.topic <> '' and ($3::text is null or test.subject = $3)
        group by test.subject, question.topic
        order by 4, 3 desc, 1, 2 limit $4
        "#,
        user as UserId,
        ATTEMPTS,
        subject,
        limit,
    )
    .fetch_all(conn)
    .await
}
