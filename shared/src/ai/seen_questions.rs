//! The questions that a student has answered in graded attempts: of these, and of no others, they may learn the answers.

use serde::Serialize;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::ids::{AttemptId, QuestionId, UserId};
use crate::practice_tests::{AnswerKey, Choice};

/// How many of the latest graded attempts count.
const ATTEMPTS: i64 = 50;

/// Which of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choosing<'a> {
    /// Of this attempt.
    pub attempt: Option<AttemptId>,
    /// Of tests in this subject.
    pub subject: Option<&'a str>,
    /// Of this topic.
    pub topic: Option<&'a str>,
}

/// A question that was answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeenQuestion {
    /// Its id.
    pub id: QuestionId,
    /// Its topic.
    pub topic: String,
    /// What the student read.
    pub prompt: String,
    /// For single and multiple choice; otherwise empty.
    pub choices: Json<Vec<Choice>>,
    /// What a right answer is.
    pub answer_key: Json<AnswerKey>,
    /// Why it is right.
    pub explanation: String,
    /// The share of its points that was earned lately, from 0 to 1.
    pub share: f64,
}

/// Up to `limit` questions that `user` has answered, those that went worst first.
///
/// # Errors
/// If the database fails.
pub async fn worst(
    conn: &mut PgConnection,
    user: UserId,
    choosing: Choosing<'_>,
    limit: i64,
) -> sqlx::Result<Vec<SeenQuestion>> {
    sqlx::query_as!(
        SeenQuestion,
        r#"
        with latest as (
            select feedback from attempts
            where user_id = $1 and status = 'graded' and ($2::uuid is null or id = $2) order by id desc limit $3
        ), seen as (
            select (line ->> 'question_id')::uuid as question_id, avg((line ->> 'points')::float8 * 100) as points
            from latest cross join lateral jsonb_array_elements(latest.feedback) as line group by 1
        )
        select question.id as "id: QuestionId", topic, prompt, choices as "choices: Json<Vec<Choice>>",
               answer_key as "answer_key: Json<AnswerKey>", explanation,
               (seen.points / question.points)::float8 as "share!"
        from seen join questions as question on question.id = seen.question_id
        where ($4::text is null or (select subject from practice_tests where id = question.test_id) = $4)
          and ($5::text is null or topic = $5)
        order by seen.points / question.points, question.id limit $6
        "#,
        user as UserId,
        choosing.attempt as Option<AttemptId>,
        ATTEMPTS,
        choosing.subject,
        choosing.topic,
        limit,
    )
    .fetch_all(conn)
    .await
}
