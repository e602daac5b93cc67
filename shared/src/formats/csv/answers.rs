//! How the question of a row is answered, and what is right.

use std::collections::HashSet;

use super::columns::{self, Column};
use super::read::Row;
use crate::formats::draft::{Asked, Gathering, Offered, Verdict};
use crate::formats::notes::quoted;
use crate::formats::rubric;
use crate::practice_tests::{NumberKey, QuestionKind, TextKey};

/// What kinds are called.
const KINDS: &[(QuestionKind, &[&str])] = &[
    (QuestionKind::SingleChoice, &["single_choice", "single", "true_false", "choice"]),
    (QuestionKind::MultipleChoice, &["multiple_choice", "multiple", "multi"]),
    (QuestionKind::Numeric, &["numeric", "number", "numerical"]),
    (QuestionKind::FreeText, &["free_text", "text", "essay", "short_answer"]),
];

/// How the question is answered, or why it is left out.
pub(super) fn asked(row: &Row<'_>, gathering: &mut Gathering) -> Option<Asked> {
    let kind = kind(row, gathering)?;
    let (choices, is_choice) =
        (row.choices(), matches!(kind, QuestionKind::SingleChoice | QuestionKind::MultipleChoice));
    if !is_choice && !choices.is_empty() {
        gathering.notes.lost("/choices", "Only questions with choices have choices; they are not kept.", "");
    }
    if kind != QuestionKind::Numeric && !row.cell(Column::Tolerance).is_empty() {
        gathering.notes.lost("/tolerance", "Only numeric questions have a tolerance; it is not kept.", "");
    }
    if kind != QuestionKind::FreeText && !row.cell(Column::KeyPoints).is_empty() {
        gathering.notes.lost("/key_points", "Only questions for free text have key points; they are not kept.", "");
    }
    match kind {
        QuestionKind::Numeric => number(row, gathering),
        QuestionKind::FreeText => text(row, gathering),
        QuestionKind::SingleChoice | QuestionKind::MultipleChoice => {
            let offered = offered(&choices, row.cell(Column::Answer), gathering)?;
            Some(if kind == QuestionKind::SingleChoice { Asked::One(offered) } else { Asked::Some(offered) })
        }
    }
}

/// The kind that the row names, or else the one that its cells fit.
fn kind(row: &Row<'_>, gathering: &mut Gathering) -> Option<QuestionKind> {
    let name = row.cell(Column::Kind).to_lowercase().replace([' ', '-'], "_");
    if !name.is_empty() {
        let kind = KINDS.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(kind, _)| *kind);
        if kind.is_none() {
            let hint = "Known are single_choice, multiple_choice, numeric and free_text.";
            gathering.leave_out("/kind", &format!("The kind {} is not known.", quoted(&name)), hint);
        }
        return kind;
    }
    let (answer, choices) = (row.cell(Column::Answer), row.choices());
    let several = answer.contains([';', ',']) && !choices.iter().any(|(_, text)| *text == answer);
    let is_number = answer.parse::<f64>().is_ok();
    Some(match () {
        () if !choices.is_empty() && several => QuestionKind::MultipleChoice,
        () if !choices.is_empty() => QuestionKind::SingleChoice,
        () if is_number => QuestionKind::Numeric,
        () => QuestionKind::FreeText,
    })
}

/// The choices, with those marked that the answer names.
fn offered(choices: &[(usize, &str)], answer: &str, gathering: &mut Gathering) -> Option<Vec<Offered>> {
    let right = match right_choices(choices, answer) {
        Ok(right) => right,
        Err(unclear) => {
            gathering.leave_out("/answer", &unclear.to_string(), unclear.hint());
            return None;
        }
    };
    let verdict = |number| if right.contains(number) { Verdict::Right } else { Verdict::Wrong };
    Some(choices.iter().map(|(number, text)| Offered { text: (*text).to_owned(), verdict: verdict(number) }).collect())
}

/// Why it is not known which choices are right.
#[derive(Debug, thiserror::Error)]
enum Unclear {
    #[error("There is no choice {}.", quoted(.0))]
    NoSuchChoice(String),
    #[error("Its answer {} is the text of one choice and the letter or number of another.", quoted(.0))]
    Ambiguous(String),
}

impl Unclear {
    const fn hint(&self) -> &'static str {
        match self {
            Self::NoSuchChoice(_) => "Name the right choices by their letters, such as a or a;c.",
            Self::Ambiguous(_) => "Name the right choice by its letter with a semicolon behind it, such as c;.",
        }
    }
}

/// The numbers of the choices that are right: the one whose text the whole answer is, or else those named by letter.
fn right_choices(choices: &[(usize, &str)], answer: &str) -> Result<HashSet<usize>, Unclear> {
    let of_text = choices.iter().find(|(_, text)| *text == answer).map(|(number, _)| HashSet::from([*number]));
    let known: HashSet<usize> = choices.iter().map(|(number, _)| *number).collect();
    let named = |name: &str| columns::letter(&name.to_lowercase()).filter(|number| known.contains(number));
    let names = answer.split([';', ',', ' ']).map(str::trim).filter(|name| !name.is_empty());
    let by_letter: Result<HashSet<usize>, &str> = names.map(|name| named(name).ok_or(name)).collect();
    match (of_text, by_letter) {
        (Some(of_text), Ok(by_letter)) if by_letter != of_text => Err(Unclear::Ambiguous(answer.to_owned())),
        (Some(right), _) | (None, Ok(right)) => Ok(right),
        (None, Err(name)) => Err(Unclear::NoSuchChoice(name.to_owned())),
    }
}

fn number(row: &Row<'_>, gathering: &mut Gathering) -> Option<Asked> {
    let number = row.number(Column::Answer, &mut gathering.notes);
    let tolerance = row.number(Column::Tolerance, &mut gathering.notes);
    if let (Ok(Some(number)), Ok(tolerance)) = (number, tolerance) {
        return Some(Asked::Number(NumberKey { number, tolerance: tolerance.unwrap_or(0.0) }));
    }
    gathering.leave_out("/answer", "Its answer or its tolerance is not a number.", "Write a number such as 3.5.");
    None
}

fn text(row: &Row<'_>, gathering: &mut Gathering) -> Option<Asked> {
    match rubric::read(row.cell(Column::KeyPoints)) {
        Ok(key_points) => Some(Asked::Text(TextKey { model_answer: row.cell(Column::Answer).to_owned(), key_points })),
        Err(fault) => {
            gathering.leave_out(
                "/key_points",
                &fault,
                "Write each key point on a line: The mill failed. [mill] [fail | failed]",
            );
            None
        }
    }
}
