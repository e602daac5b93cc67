//! What was read: questions, what the file says of the whole test, and the problems.

use super::names::fingerprint;
use super::notes::{Notes, Problem, Severity};
use crate::content::{QuestionEntry, TestFile};
use crate::practice_tests::TimeLimit;
use crate::slugs::slug_of;

/// What the questions are about if nobody says.
const DEFAULT_SUBJECT: &str = "general";

/// What a file came to.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The name of its format; empty if that is not known.
    pub format: &'static str,
    /// What the file says of the test.
    pub head: Head,
    /// The questions that can be used, in their order.
    pub questions: Vec<QuestionEntry>,
    /// How many questions the file holds, usable or not.
    pub found: usize,
    /// What did not come through as it was.
    pub problems: Vec<Problem>,
}

/// What a file says of the test as a whole; formats of single questions say little.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    pub(super) slug: Option<String>,
    pub(super) title: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) description: Option<String>,
    pub(super) passage: Option<String>,
    pub(super) time_limit: Option<TimeLimit>,
}

/// What the one who imports says of the test. It wins over what the file says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Naming<'a> {
    /// What the student reads.
    pub title: Option<&'a str>,
    /// What it is about.
    pub subject: Option<&'a str>,
    /// The file's name; a test without any title is called so.
    pub filename: Option<&'a str>,
}

/// Why a reading is no test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// All of its questions were left out, or it had none.
    #[error("the file holds no question that can be used")]
    NoQuestions,
    /// Nobody says what the test is called.
    #[error("the test has no title: neither the file nor its name gives one")]
    NoTitle,
}

impl Reading {
    /// A reading that came to nothing.
    pub(super) fn nothing(format: &'static str, notes: Notes) -> Self {
        let (head, questions) = (Head::default(), Vec::new());
        Self { format, head, questions, found: 0, problems: notes.finish() }
    }

    /// How many problems are of that severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.problems.iter().filter(|problem| problem.severity == severity).count()
    }

    /// The questions as a test.
    ///
    /// # Errors
    /// If there are none, or nothing names the test.
    pub fn test(&self, naming: Naming<'_>) -> Result<TestFile, Unusable> {
        if self.questions.is_empty() {
            return Err(Unusable::NoQuestions);
        }
        let head = &self.head;
        let stem = naming.filename.map(|name| name.rsplit_once('.').map_or(name, |(stem, _)| stem));
        let titles = [naming.title.map(str::trim), head.title.as_deref(), stem.map(str::trim)];
        let title = titles.into_iter().flatten().find(|title| !title.trim().is_empty());
        let title = title.ok_or(Unusable::NoTitle)?;
        let renamed = naming.title.is_some_and(|title| !title.trim().is_empty());
        let own_slug = head.slug.clone().filter(|_| !renamed);
        let slug = own_slug.or_else(|| slug_of(title)).unwrap_or_else(|| format!("test-{}", fingerprint(title)));
        let subject = naming.subject.and_then(slug_of).or_else(|| head.subject.clone());
        Ok(TestFile {
            slug,
            title: title.to_owned(),
            subject: subject.unwrap_or_else(|| DEFAULT_SUBJECT.to_owned()),
            description: head.description.clone().unwrap_or_default(),
            passage: head.passage.clone(),
            time_limit: head.time_limit,
            questions: self.questions.clone(),
        })
    }
}
