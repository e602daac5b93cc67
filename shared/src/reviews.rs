//! Reviews: a graded attempt question by question, with the texts and keys of the version that was taken.

use std::collections::HashMap;

use serde::Serialize;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::answers::{Answer, Response};
use crate::attempts::{AttemptStatus, Feedback, GradedBy};
use crate::catalogue::Sheet;
use crate::ids::{AttemptId, QuestionId, TestId, UserId};
use crate::points::Points;
use crate::practice_tests::{AnswerKey, AskedQuestion, Question};
use crate::versions::Taken;

/// What a student handed in, and what it earned.
#[derive(Clone, Debug)]
pub struct Reviewable {
    /// What was taken.
    pub taken: Taken,
    /// How far it has come.
    pub status: AttemptStatus,
    /// The answers.
    pub answers: Vec<Answer>,
    /// One per question; empty before it is graded.
    pub feedback: Vec<Feedback>,
    /// What the answers earned.
    pub score: Option<Points>,
    /// What all right answers would earn.
    pub max_score: Points,
}

/// The attempt, if it is `user`'s.
///
/// # Errors
/// If the database fails.
pub async fn find(conn: &mut PgConnection, user: UserId, id: AttemptId) -> sqlx::Result<Option<Reviewable>> {
    let row = sqlx::query!(
        r#"
        select test_id as "test_id: TestId", test_version, status as "status: AttemptStatus",
               answers as "answers: Json<Vec<Answer>>", coalesce(feedback, '[]') as "feedback!: Json<Vec<Feedback>>",
               score as "score: Points", max_score as "max_score: Points"
        from attempts where id = $1 and user_id = $2
        "#,
        id as AttemptId,
        user as UserId,
    );
    Ok(row.fetch_optional(conn).await?.map(|row| Reviewable {
        taken: Taken::new(row.test_id, row.test_version),
        status: row.status,
        answers: row.answers.0,
        feedback: row.feedback.0,
        score: row.score,
        max_score: row.max_score,
    }))
}

/// A graded attempt, question by question.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Review {
    /// The attempt.
    pub id: AttemptId,
    /// The test taken; a practice set's own id.
    pub test_id: TestId,
    /// The version taken; none: it is a practice set.
    pub version: Option<i32>,
    /// Its title.
    pub title: String,
    /// A text that its questions are about.
    pub passage: Option<String>,
    /// What the answers earned.
    pub score: Option<Points>,
    /// What all right answers would earn.
    pub max_score: Points,
    /// In the order of the test.
    pub questions: Vec<ReviewedQuestion>,
}

/// A question with the student's answer, the right one, and why.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ReviewedQuestion {
    /// As it was asked.
    #[serde(flatten)]
    pub asked: AskedQuestion,
    /// What the student answered; none: it was left out.
    pub answer: Option<Response>,
    /// What a right answer is.
    #[schema(value_type = AnswerKey)]
    pub answer_key: Json<AnswerKey>,
    /// Why it is right.
    pub explanation: String,
    /// Whether the answer earned all points.
    pub correct: bool,
    /// What it earned.
    pub earned: Points,
    /// What the marker said.
    pub comment: String,
    /// Who or what graded it; none: it was not graded.
    pub graded_by: Option<GradedBy>,
}

/// Puts an attempt beside the sheet that it was made at.
#[must_use]
pub fn review(id: AttemptId, attempt: Reviewable, sheet: &Sheet) -> Review {
    let (test_id, version) = attempt.taken.columns();
    let mut answers: HashMap<_, _> =
        attempt.answers.into_iter().map(|answer| (answer.question_id, answer.response)).collect();
    let mut feedback: HashMap<QuestionId, Feedback> =
        attempt.feedback.into_iter().map(|feedback| (feedback.question_id, feedback)).collect();
    let questions = sheet.questions.iter();
    let questions = questions.map(|q| reviewed(q, answers.remove(&q.id), feedback.remove(&q.id))).collect();
    Review {
        id,
        test_id,
        version,
        title: sheet.test.title.clone(),
        passage: sheet.test.passage.clone(),
        score: attempt.score,
        max_score: attempt.max_score,
        questions,
    }
}

fn reviewed(question: &Question, answer: Option<Response>, feedback: Option<Feedback>) -> ReviewedQuestion {
    let graded_by = feedback.as_ref().map(|feedback| feedback.graded_by);
    let (correct, earned, comment) =
        feedback.map_or((false, Points::ZERO, String::new()), |f| (f.correct, f.points, f.comment));
    ReviewedQuestion {
        asked: AskedQuestion::from(question),
        answer,
        answer_key: question.answer_key.clone(),
        explanation: question.explanation.clone(),
        correct,
        earned,
        comment,
        graded_by,
    }
}
