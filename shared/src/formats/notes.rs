//! What a file holds that a test cannot, or a test that a file cannot.

use serde::{Deserialize, Serialize};

/// Problems that are listed; of more, only their number is told. A broken file can make one on every line.
const MAX_PROBLEMS: usize = 5_000;
/// Characters of a text quoted in a problem.
const QUOTED: usize = 60;

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "import_severity", rename_all = "snake_case")]
pub enum Severity {
    /// It is not there any more: a whole question, or a part of one.
    Lost,
    /// It is there, but reads or is graded otherwise.
    Changed,
}

impl Severity {
    /// Its name, as it goes out over HTTP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Changed => "changed",
        }
    }
}

/// A thing that did not come through as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = FormatProblem)]
pub struct Problem {
    /// The line of the file where the question begins, from 1; none where lines mean nothing.
    pub line: Option<i32>,
    /// The question's name; empty: the file as a whole.
    pub question: String,
    /// A JSON pointer to the part of the question, such as `/answers/2/feedback`; in a JSON file to the place in it.
    pub pointer: String,
    /// What became of it.
    pub severity: Severity,
    /// A sentence about it.
    pub detail: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

/// Problems as they are found, and where the reader is.
#[derive(Debug, Default)]
pub(super) struct Notes {
    problems: Vec<Problem>,
    unlisted: usize,
    line: Option<i32>,
    question: String,
}

impl Notes {
    /// From here on problems are of the question `name`, which begins at `line`.
    pub(super) fn at(&mut self, line: Option<usize>, name: &str) {
        self.line = line.map(|line| i32::try_from(line).unwrap_or(i32::MAX));
        name.clone_into(&mut self.question);
    }

    /// From here on problems are of the file.
    pub(super) fn of_the_file(&mut self) {
        self.at(None, "");
    }

    /// Something is not there any more.
    pub(super) fn lost(&mut self, pointer: &str, detail: impl Into<String>, hint: impl Into<String>) {
        self.note(Severity::Lost, pointer, detail.into(), hint.into());
    }

    /// Something is there, but otherwise.
    pub(super) fn changed(&mut self, pointer: &str, detail: impl Into<String>, hint: impl Into<String>) {
        self.note(Severity::Changed, pointer, detail.into(), hint.into());
    }

    /// What is lost, in a sentence each, with the question's name.
    pub(super) fn losses(&self) -> impl Iterator<Item = String> + '_ {
        let lost = self.problems.iter().filter(|problem| problem.severity == Severity::Lost);
        lost.map(|problem| match problem.question.as_str() {
            "" => problem.detail.clone(),
            question => format!("{question}: {}", problem.detail),
        })
    }

    /// All problems, in the order in which they were found.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        if self.unlisted > 0 {
            self.of_the_file();
            let detail = format!("There are {} more problems that are not listed.", self.unlisted);
            let (line, question) = (None, String::new());
            let (pointer, hint) = (String::new(), "Correct the first ones and import again.".to_owned());
            self.problems.push(Problem { line, question, pointer, severity: Severity::Lost, detail, hint });
        }
        self.problems
    }

    fn note(&mut self, severity: Severity, pointer: &str, detail: String, hint: String) {
        if self.problems.len() >= MAX_PROBLEMS {
            self.unlisted += 1;
            return;
        }
        let (line, question, pointer) = (self.line, self.question.clone(), pointer.to_owned());
        self.problems.push(Problem { line, question, pointer, severity, detail, hint });
    }
}

/// The beginning of a text on one line, in quotation marks.
pub(super) fn quoted(text: &str) -> String {
    let mut line = String::new();
    for (count, character) in
        text.split_whitespace().flat_map(|word| [" ", word]).skip(1).flat_map(str::chars).enumerate()
    {
        if count == QUOTED {
            line.push('…');
            break;
        }
        line.push(character);
    }
    format!("“{line}”")
}
