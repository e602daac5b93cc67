//! Topics: what a student knows of each, moved on with every result, and where they are weak.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use crate::attempts::Feedback;
use crate::ids::{AttemptId, UserId};

/// A few answers say little: a topic's share is taken as if this many more had been half right.
const PRIOR_ANSWERS: f64 = 2.0;

/// What a student knows of a topic.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct TopicStanding {
    /// The subject, such as `mathematics`.
    pub subject: String,
    /// The topic, such as `linear-equations`.
    pub topic: String,
    /// How many of its questions were answered, repetitions included.
    pub answered: i32,
    /// How many of them fully right.
    pub correct: i32,
    /// The share of their points that was earned, from 0 to 1.
    pub share: f64,
    /// When the newest of them was handed in.
    pub last_answered_at: DateTime<Utc>,
}

/// Adds a result to what its student knows. It must be called once per result, in the transaction that stores it.
/// Questions that were left out say nothing. Rows are taken in one order, so that two results cannot deadlock.
///
/// # Errors
/// If the database fails.
pub async fn record(conn: &mut PgConnection, attempt: AttemptId, feedback: &[Feedback]) -> sqlx::Result<()> {
    let questions: Vec<_> = feedback.iter().map(|feedback| feedback.question_id.0).collect();
    let points: Vec<_> = feedback.iter().map(|feedback| feedback.points.0).collect();
    sqlx::query!(
        r#"
        insert into topic_standings as standing
               (user_id, subject, topic, answered, correct, earned, possible, last_answered_at)
        select user_id, subject, topic, count(*), count(*) filter (where earned = points), sum(earned), sum(points),
               max(submitted_at)
        from attempts
        cross join lateral jsonb_to_recordset(answers) as answer (question_id uuid)
        join unnest($2::uuid[], $3::integer[]) as graded (question_id, earned) using (question_id)
        join questions on questions.id = question_id
        where attempts.id = $1
        group by user_id, subject, topic order by subject, topic
        on conflict (user_id, subject, topic) do update
        set answered = standing.answered + excluded.answered, correct = standing.correct + excluded.correct,
            earned = standing.earned + excluded.earned, possible = standing.possible + excluded.possible,
            last_answered_at = greatest(standing.last_answered_at, excluded.last_answered_at)
        "#,
        attempt as AttemptId,
        &questions,
        &points,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Up to `limit` topics of `user`, of `subject` or all, the weakest first. A topic with few answers is not called weak for
/// one slip.
///
/// # Errors
/// If the database fails.
pub async fn weakest(
    conn: &mut PgConnection,
    user: UserId,
    subject: Option<&str>,
    limit: i64,
) -> sqlx::Result<Vec<TopicStanding>> {
    sqlx::query_as!(
        TopicStanding,
        r#"
        select subject, topic, answered, correct, earned::float8 / possible as "share!", last_answered_at
        from topic_standings where user_id = $1 and ($2::text is null or subject = $2)
        order by (earned::float8 / possible * answered + $4::float8 / 2) / (answered + $4), subject, topic limit $3
        "#,
        user as UserId,
        subject,
        limit,
        PRIOR_ANSWERS,
    )
    .fetch_all(conn)
    .await
}

/// Up to `limit` topics of `user` by subject and topic, after `after`.
///
/// # Errors
/// If the database fails.
pub async fn list(
    conn: &mut PgConnection,
    user: UserId,
    after: Option<(String, String)>,
    limit: i64,
) -> sqlx::Result<Vec<TopicStanding>> {
    let (subject, topic) = after.unwrap_or_default();
    sqlx::query_as!(
        TopicStanding,
        r#"
        select subject, topic, answered, correct, earned::float8 / possible as "share!", last_answered_at
        from topic_standings where user_id = $1 and (subject, topic) > ($2, $3)
        order by subject, topic limit $4
        "#,
        user as UserId,
        subject,
        topic,
        limit,
    )
    .fetch_all(conn)
    .await
}
