//! A paper: an attempt with the test that it answers, graded question by question.

use std::collections::HashMap;
use std::sync::Arc;

use bellwork_shared::answers::Response;
use bellwork_shared::attempts::{self, Feedback, Grading, Submitted};
use bellwork_shared::catalogue::Sheet;
use bellwork_shared::ids::{AttemptId, QuestionId};
use bellwork_shared::points::Points;
use bellwork_shared::practice_tests::{Question, TextKey};

use crate::context::{Context, Platform};
use crate::failure::Failure;
use crate::grading::{self, Grade};
use crate::marker::{Essay, Marked, Marker, Usage};

/// An attempt with the test that it answers.
#[derive(Debug)]
pub struct Paper {
    attempt: AttemptId,
    submitted: Submitted,
    sheet: Arc<Sheet>,
}

/// A graded paper.
#[derive(Debug)]
pub struct Graded {
    /// What all right answers would earn.
    pub max_score: Points,
    /// The result.
    pub grading: Grading,
    /// What an AI server used for it.
    pub usage: Usage,
}

impl Paper {
    /// The paper of `attempt`, unless it has vanished.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find(platform: &Platform, attempt: AttemptId) -> sqlx::Result<Option<Self>> {
        let submitted = attempts::submitted(&mut *platform.database.acquire().await?, attempt).await?;
        let Some(submitted) = submitted else { return Ok(None) };
        let sheet = platform.catalogue.taken(submitted.taken()).await?;
        Ok(sheet.map(|sheet| Self { attempt, submitted, sheet }))
    }

    /// Grades all of it.
    ///
    /// # Errors
    /// If a written answer cannot be marked now, or the content is broken.
    pub async fn graded(self, context: Context<'_>) -> Result<Graded, Failure> {
        let responses: HashMap<QuestionId, &Response> =
            self.submitted.answers.iter().map(|answer| (answer.question_id, &answer.response)).collect();
        let grades: Vec<_> =
            self.sheet.questions.iter().map(|q| grading::grade(q, responses.get(&q.id).copied())).collect();
        let mut reading =
            Reading { paper: &self, context, done: 0, all: count_written(&grades), usage: Usage::default() };
        reading.begin().await?;
        let mut feedback = Vec::with_capacity(grades.len());
        for (question, grade) in self.sheet.questions.iter().zip(grades) {
            feedback.push(reading.feedback(question, grade).await?);
        }
        let usage = reading.usage;
        let grading = Grading { score: grading::score(&feedback, self.submitted.max_score), feedback };
        Ok(Graded { max_score: self.submitted.max_score, grading, usage })
    }
}

fn count_written(grades: &[Grade<'_>]) -> usize {
    grades.iter().filter(|grade| matches!(grade, Grade::ToBeMarked { .. })).count()
}

/// The reading of a paper's written answers, one after the other: the queue's concurrency is also that of the calls.
struct Reading<'a> {
    paper: &'a Paper,
    context: Context<'a>,
    done: usize,
    all: usize,
    usage: Usage,
}

impl Reading<'_> {
    /// Shows that grading has begun, for those who look at the attempt only if it takes a while.
    async fn begin(&self) -> Result<(), Failure> {
        if self.all > 0 && self.takes_a_while() {
            let mut conn = self.context.platform.database.acquire().await?;
            attempts::mark_grading(&mut conn, self.paper.attempt).await?;
        } else {
            self.context.progress(0, "Grading your answers").await;
        }
        Ok(())
    }

    fn takes_a_while(&self) -> bool {
        matches!(*self.context.platform.marker, Marker::Ai(_))
    }

    async fn feedback(&mut self, question: &Question, grade: Grade<'_>) -> Result<Feedback, Failure> {
        match grade {
            Grade::Exact(feedback) => Ok(feedback),
            Grade::ToBeMarked { key, answer } => {
                let marked = self.marked(question, key, answer).await?;
                Ok(grading::marked(question, &marked))
            }
            Grade::Mismatch => Err(Failure::fatal(format!("question {} has a key of another kind", question.id))),
        }
    }

    async fn marked(&mut self, question: &Question, key: &TextKey, answer: &str) -> Result<Marked, Failure> {
        if self.takes_a_while() {
            let percent = u8::try_from(100 * self.done / self.all.max(1)).unwrap_or(100);
            let message = format!("Reading written answer {} of {}", self.done + 1, self.all);
            self.context.progress(percent, &message).await;
        }
        let essay = Essay {
            job: self.context.job,
            question: question.id,
            prompt: &question.prompt,
            passage: self.paper.sheet.test.passage.as_deref(),
            key,
            answer,
        };
        let marked = self.context.platform.marker.mark(&self.context, &essay).await?;
        self.usage += marked.usage;
        self.done += 1;
        Ok(marked)
    }
}
