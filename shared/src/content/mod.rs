//! Test files: a practice test as JSON, read, validated and imported.
//!
//! `content/*.json` are examples. A file is imported whole or not at all; what is wrong with it is told all at once.

pub(crate) mod bounds;
mod export;
mod fields;
mod import;
mod reading;
mod schema;

pub use export::export;
pub use import::{ImportError, Imported, OnDifference, Published, import, publish};
pub(crate) use import::{insert, unlist};
pub use reading::{check, read};
pub use schema::schema;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::points::Points;
use crate::practice_tests::{AnswerKey, Choice, QuestionKind, TimeLimit};

/// A practice test as its file says it, validated.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct TestFile {
    /// Names the test for ever.
    pub slug: String,
    /// What the student reads.
    pub title: String,
    /// What it is about, such as `biology`.
    pub subject: String,
    /// A sentence or two.
    pub description: String,
    /// A text that its questions are about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passage: Option<String>,
    /// How long a student may take; none: as long as they like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<TimeLimit>,
    /// In their order; at least one.
    pub questions: Vec<QuestionEntry>,
}

/// A question as its file says it.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct QuestionEntry {
    /// Names the question within the test for ever.
    pub slug: String,
    /// How it is asked and answered.
    pub kind: QuestionKind,
    /// What it is about, such as `linear-equations`.
    pub topic: String,
    /// From 1 (easy) to 3.
    pub difficulty: i16,
    /// What the student reads.
    pub prompt: String,
    /// What a right answer earns.
    pub points: Points,
    /// For single and multiple choice; otherwise empty.
    pub choices: Vec<Choice>,
    /// What a right answer is; fits the kind.
    pub answer: AnswerKey,
    /// Why it is right; shown after grading.
    pub explanation: String,
}

/// What is the matter with a part of a test file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nobody can use it.
    Form,
    /// It does not fit another part.
    Fit,
}

/// Something wrong in a test file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is the matter.
    #[serde(skip)]
    pub flaw: Flaw,
    /// A JSON pointer to it, such as `/questions/3/answer/choice_ids/0`.
    pub pointer: String,
    /// A sentence about it.
    pub detail: String,
}

impl TestFile {
    /// What all right answers earn.
    #[must_use]
    pub fn max_score(&self) -> Points {
        self.questions.iter().map(|question| question.points).sum()
    }

    /// The SHA-256 of the content, in hexadecimal digits. White space, the order of fields and the spelling of numbers in
    /// the file make no difference.
    #[must_use]
    pub fn source_hash(&self) -> String {
        let canonical = serde_json::to_vec(self).expect("a test holds only strings, finite numbers and lists");
        Sha256::digest(canonical).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
