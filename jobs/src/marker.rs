//! Who grades free text: the built-in rubric, or an AI server whose findings our code checks.

use bellwork_shared::ai::budget::Purpose;
use bellwork_shared::attempts::GradedBy;
use bellwork_shared::config::ai::{AiConfig, DailyBudget};
use bellwork_shared::ids::{JobId, QuestionId};
use bellwork_shared::practice_tests::TextKey;
use serde::Serialize;

use crate::books::{Account, Books};
use crate::context::Context;
use crate::failure::Failure;
use crate::job::Job;
use crate::kinds::grade_attempt::GradeAttempt;
use crate::rubric;
use crate::tutor::{LONGEST_VERDICT, Tutor, meter};

/// The fixed part of a request for marking is shorter, in bytes.
const PROMPT: usize = 4000;
/// What stands around each key point in it, twice.
const FRAME: usize = 100;

/// Grades free text.
#[derive(Debug)]
pub enum Marker {
    /// By the terms of the question's key points.
    Rubric,
    /// By an AI server.
    Ai(Box<Tutor>),
}

/// A written answer and what is needed to mark it.
#[derive(Clone, Copy, Debug)]
pub struct Essay<'a> {
    /// The job that asks; with the question it makes a repeated request recognisable.
    pub job: JobId,
    /// The question.
    pub question: QuestionId,
    /// What the student read.
    pub prompt: &'a str,
    /// The text that the question is about, if any.
    pub passage: Option<&'a str>,
    /// The key points.
    pub key: &'a TextKey,
    /// What the student wrote.
    pub answer: &'a str,
}

/// What a marker found.
#[derive(Clone, Debug, PartialEq)]
pub struct Marked {
    /// The ids of the key points met, in the order of the key.
    pub met: Vec<String>,
    /// Their share of all key points, from 0 to 1.
    pub share: f64,
    /// For the student.
    pub comment: String,
    /// Who marked.
    pub graded_by: GradedBy,
    /// What the marking cost, if an AI server did it.
    pub usage: Usage,
}

/// What an AI server was asked for and says it used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
    /// Requests answered.
    pub requests: u32,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
        self.requests = self.requests.saturating_add(other.requests);
    }
}

impl Marker {
    /// The marker that `config` asks for.
    ///
    /// # Errors
    /// If the HTTP client cannot be built; the sentence names the variable.
    pub fn new(config: &AiConfig) -> anyhow::Result<Self> {
        Ok(match &config.server {
            None => Self::Rubric,
            Some(server) => Self::Ai(Box::new(Tutor::new(server)?.within(config.budget))),
        })
    }

    /// Marks a written answer that is not empty. What an AI server used for it is counted.
    ///
    /// # Errors
    /// If the AI server cannot be reached, or does not answer as agreed.
    pub async fn mark(&self, context: &Context<'_>, essay: &Essay<'_>) -> Result<Marked, Failure> {
        match self {
            Self::Rubric => Ok(Marked::new(essay.key, rubric::met(essay.key, essay.answer), GradedBy::Rubric)),
            Self::Ai(tutor) => match tutor.recall(essay) {
                Some(marked) => Ok(marked),
                None => {
                    let mut entry = marking(tutor, context).open(most_tokens(essay), LONGEST_VERDICT).await?;
                    let marked = tutor.mark(essay, &mut entry.meter).await;
                    entry.close().await;
                    marked
                }
            },
        }
    }

    /// The AI server, if there is one.
    #[must_use]
    pub fn tutor(&self) -> Option<&Tutor> {
        match self {
            Self::Rubric => None,
            Self::Ai(tutor) => Some(tutor),
        }
    }
}

/// Marking is owed: it is counted, and bound by no budget.
fn marking(tutor: &Tutor, context: &Context<'_>) -> Books {
    let (model, price, budget) = (tutor.model(), tutor.price(), DailyBudget::default());
    Books::new(context, Account { kind: GradeAttempt::KIND, purpose: Purpose::Marking, model, price, budget })
}

fn most_tokens(essay: &Essay<'_>) -> u64 {
    let key_points: usize = essay.key.key_points.iter().map(|point| point.text.len() + FRAME).sum();
    let texts = essay.prompt.len() + essay.answer.len() + essay.passage.map_or(0, str::len);
    meter::most_tokens(PROMPT + key_points + texts)
}

impl Marked {
    /// The mark for meeting the key points `met`, with a comment that names what was met and what is missing.
    #[must_use]
    pub fn new(key: &TextKey, met: Vec<String>, graded_by: GradedBy) -> Self {
        let share = if key.key_points.is_empty() { 0.0 } else { as_f64(met.len()) / as_f64(key.key_points.len()) };
        Self { share, comment: comment(key, &met), met, graded_by, usage: Usage::default() }
    }
}

/// How many key points were met, in a sentence.
#[must_use]
pub fn tally(key: &TextKey, met: &[String]) -> String {
    match (met.len(), key.key_points.len()) {
        (met, all) if met == all => "Very good, every key point is there.".to_owned(),
        (0, 1) => "The key point is not there yet.".to_owned(),
        (0, all) => format!("None of the {all} key points is there yet."),
        (met, all) => format!("You made {met} of {all} key points."),
    }
}

fn comment(key: &TextKey, met: &[String]) -> String {
    let (made, missing): (Vec<_>, Vec<_>) = key.key_points.iter().partition(|point| met.contains(&point.id));
    let mut comment = tally(key, met);
    if missing.is_empty() {
        return comment;
    }
    for (label, points) in [("Made", made), ("Missing", missing)] {
        if !points.is_empty() {
            let texts: Vec<_> = points.iter().map(|point| point.text.as_str()).collect();
            comment += &format!(" {label}: {}", texts.join(" "));
        }
    }
    comment
}

fn as_f64(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use bellwork_shared::practice_tests::KeyPoint;

    use super::*;

    fn key(count: usize) -> TextKey {
        let point = |n| KeyPoint { id: format!("k{n}"), text: format!("Point {n}."), terms: Vec::new() };
        TextKey { model_answer: String::new(), key_points: (1..=count).map(point).collect() }
    }

    #[test]
    fn the_share_and_the_comment_follow_from_the_key_points_met() {
        for (count, met, share, comment) in [
            (2, &["k1", "k2"][..], 1.0, "Very good, every key point is there."),
            (2, &["k2"], 0.5, "You made 1 of 2 key points. Made: Point 2. Missing: Point 1."),
            (2, &[], 0.0, "None of the 2 key points is there yet. Missing: Point 1. Point 2."),
            (1, &[], 0.0, "The key point is not there yet. Missing: Point 1."),
        ] {
            let met = met.iter().map(|id| (*id).to_owned()).collect();
            let marked = Marked::new(&key(count), met, GradedBy::Rubric);
            assert_eq!((marked.share, marked.comment.as_str()), (share, comment));
        }
        assert_eq!(
            Marked::new(&key(0), Vec::new(), GradedBy::Rubric).share,
            0.0,
            "content without key points earns nothing"
        );
    }
}
