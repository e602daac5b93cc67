//! A graded attempt with the test that it answers, as its student may know it.

use std::sync::Arc;

use bellwork_shared::answers::Response;
use bellwork_shared::attempts::{self, AttemptStatus, Feedback};
use bellwork_shared::catalogue::Sheet;
use bellwork_shared::ids::{AttemptId, QuestionId, UserId};
use bellwork_shared::practice_tests::Question;

use crate::context::Platform;

/// One question of a graded attempt.
#[derive(Debug)]
pub(crate) struct TakenQuestion {
    sheet: Arc<Sheet>,
    place: usize,
    /// None: left out.
    pub(crate) response: Option<Response>,
    pub(crate) feedback: Feedback,
}

impl TakenQuestion {
    /// The question as it was answered, unless the attempt is not graded, not `user`'s, or has no such question.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) async fn find(
        platform: &Platform,
        user: UserId,
        attempt: AttemptId,
        question: QuestionId,
    ) -> sqlx::Result<Option<Self>> {
        let mut conn = platform.database.acquire().await?;
        let Some(result) = attempts::find(&mut conn, user, attempt).await? else { return Ok(None) };
        let Some(submitted) = attempts::submitted(&mut conn, attempt).await? else { return Ok(None) };
        drop(conn);
        if result.status != AttemptStatus::Graded {
            return Ok(None);
        }
        let Some(sheet) = platform.catalogue.taken(submitted.taken()).await? else { return Ok(None) };
        let answer = submitted.answers.0.into_iter().find(|answer| answer.question_id == question);
        let feedback = result.feedback.0.into_iter().find(|line| line.question_id == question);
        let place = sheet.questions.iter().position(|other| other.id == question);
        let (Some(feedback), Some(place)) = (feedback, place) else { return Ok(None) };
        Ok(Some(Self { sheet, place, response: answer.map(|answer| answer.response), feedback }))
    }

    pub(crate) fn question(&self) -> &Question {
        &self.sheet.questions[self.place]
    }

    pub(crate) fn passage(&self) -> Option<&str> {
        self.sheet.test.passage.as_deref()
    }

    /// What the student wrote, if they were to write.
    pub(crate) fn written(&self) -> Option<&str> {
        match &self.response {
            Some(Response::Text(text)) => Some(text),
            _ => None,
        }
    }
}
