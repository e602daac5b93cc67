//! Answers: parsed once against the questions of a test into a type that cannot be wrong, and only that goes inward.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::content::bounds::{MAX_CHOICES, MAX_QUESTIONS};
use crate::ids::QuestionId;
use crate::practice_tests::{Question, QuestionKind};
use crate::schemas::{self, MAX_NUMBER};
use crate::slugs::MAX_SLUG;

/// The longest text that can be an answer, in characters.
pub const MAX_TEXT: usize = 10_000;
/// The most answers that can be handed in at once: no test asks more.
pub const MAX_ANSWERS: usize = MAX_QUESTIONS;

/// An answer as a client sends it; exactly one of `choice_ids`, `number` and `text` must be there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawAnswer {
    /// The question.
    pub question_id: QuestionId,
    /// For single and multiple choice.
    pub choice_ids: Option<Vec<String>>,
    /// For numbers.
    pub number: Option<f64>,
    /// For words.
    pub text: Option<String>,
}

impl PartialSchema for RawAnswer {
    fn schema() -> RefOr<Schema> {
        let choices = schemas::set(schemas::slug(MAX_SLUG), 1..=MAX_CHOICES).into();
        let answered = |response: &'static str, schema: &RefOr<Schema>| {
            let others = ["choice_ids", "number", "text"].into_iter().filter(|other| *other != response);
            let given = [("question_id", QuestionId::schema()), (response, schema.clone())];
            let fields = given.into_iter().chain(others.map(|other| (other, schemas::null())));
            schemas::closed(&["question_id", response], fields).into()
        };
        schemas::one_of([
            answered("choice_ids", &choices),
            answered("number", &schemas::number(-MAX_NUMBER..=MAX_NUMBER)),
            answered("text", &schemas::written(MAX_TEXT)),
        ])
    }
}

impl ToSchema for RawAnswer {}

/// An answer that fits its question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Answer {
    /// The question.
    pub question_id: QuestionId,
    /// What was answered.
    #[serde(flatten)]
    pub response: Response,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// The ids of the choices taken, each once.
    ChoiceIds(Vec<String>),
    /// A finite number.
    Number(f64),
    /// Words, without NUL.
    Text(String),
}

/// What is the matter with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no such question.
    Unknown,
    /// It does not fit its question, or stands beside another.
    Unfit,
}

/// What is wrong with an answer, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerError {
    /// What is the matter.
    pub trouble: Trouble,
    /// A JSON pointer into the list of answers, such as `/3/choice_ids/1`.
    pub pointer: String,
    /// A sentence for the client.
    pub detail: String,
}

/// Checks `raw` against `questions` and reports everything that is wrong. A question may be left out; the order is free.
///
/// # Errors
/// All that is wrong, at least one.
pub fn parse(raw: Vec<RawAnswer>, questions: &[Question]) -> Result<Vec<Answer>, Vec<AnswerError>> {
    let by_id: HashMap<QuestionId, &Question> = questions.iter().map(|question| (question.id, question)).collect();
    let mut seen = HashSet::new();
    let mut answers = Vec::with_capacity(raw.len());
    let mut errors = Vec::new();
    for (index, answer) in raw.into_iter().enumerate() {
        let question_id = answer.question_id;
        let checked = match by_id.get(&question_id) {
            None => {
                let trouble = Trouble::Unknown;
                Err(AnswerError { trouble, ..fault("/question_id", "The test has no such question.") })
            }
            Some(_) if !seen.insert(question_id) => Err(fault("/question_id", "The question is answered twice.")),
            Some(question) => response(answer, question),
        };
        match checked {
            Ok(response) => answers.push(Answer { question_id, response }),
            Err(error) => errors.push(AnswerError { pointer: format!("/{index}{}", error.pointer), ..error }),
        }
    }
    if errors.is_empty() { Ok(answers) } else { Err(errors) }
}

fn fault(pointer: impl Into<String>, detail: impl Into<String>) -> AnswerError {
    AnswerError { trouble: Trouble::Unfit, pointer: pointer.into(), detail: detail.into() }
}

fn response(answer: RawAnswer, question: &Question) -> Result<Response, AnswerError> {
    match (question.kind, answer.choice_ids, answer.number, answer.text) {
        (QuestionKind::SingleChoice, Some(ids), None, None) => {
            if ids.len() > 1 {
                return Err(fault("/choice_ids", "The question takes one choice."));
            }
            choices(ids, question)
        }
        (QuestionKind::MultipleChoice, Some(ids), None, None) => choices(ids, question),
        (QuestionKind::Numeric, None, Some(number), None) => numeric(number),
        (QuestionKind::FreeText, None, None, Some(text)) => words(text),
        (kind, ..) => Err(fault("", expectation(kind))),
    }
}

fn expectation(kind: QuestionKind) -> &'static str {
    match kind {
        QuestionKind::SingleChoice | QuestionKind::MultipleChoice => {
            "The question is answered by choice_ids, and nothing else."
        }
        QuestionKind::Numeric => "The question is answered by number, and nothing else.",
        QuestionKind::FreeText => "The question is answered by text, and nothing else.",
    }
}

fn choices(ids: Vec<String>, question: &Question) -> Result<Response, AnswerError> {
    if ids.is_empty() {
        return Err(fault("/choice_ids", "Name a choice, or leave the question out."));
    }
    let mut seen = HashSet::new();
    for (index, id) in ids.iter().enumerate() {
        if !question.choices.iter().any(|choice| choice.id == *id) {
            return Err(fault(format!("/choice_ids/{index}"), "The question has no such choice."));
        }
        if !seen.insert(id) {
            return Err(fault(format!("/choice_ids/{index}"), "The choice is named twice."));
        }
    }
    Ok(Response::ChoiceIds(ids))
}

fn numeric(number: f64) -> Result<Response, AnswerError> {
    if number.abs() <= MAX_NUMBER {
        return Ok(Response::Number(number));
    }
    Err(fault("/number", format!("The number must not be beyond {MAX_NUMBER:e}.")))
}

fn words(text: String) -> Result<Response, AnswerError> {
    if text.contains('\0') {
        return Err(fault("/text", "The text must not hold the character NUL."));
    }
    if text.trim().is_empty() {
        return Err(fault("/text", "Write something, or leave the question out."));
    }
    if text.chars().count() > MAX_TEXT {
        return Err(fault("/text", format!("The text must not be longer than {MAX_TEXT} characters.")));
    }
    Ok(Response::Text(text))
}
