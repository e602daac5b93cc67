//! Writes a test as CSV. A spreadsheet takes a cell that begins with `=` for a formula, and runs it: such cells get a `'`
//! before them, which the reader takes away again.

use ::csv::{Terminator, WriterBuilder};

use super::columns::{self, Column};
use crate::content::{QuestionEntry, TestFile};
use crate::formats::names::choice_id;
use crate::formats::notes::Notes;
use crate::formats::outgoing::{self, Passage, clean};
use crate::formats::rubric;
use crate::practice_tests::{AnswerKey, QuestionKind};

/// What makes a cell a formula in one spreadsheet or another.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
/// So that Excel reads UTF-8.
pub(super) const BYTE_ORDER_MARK: &str = "\u{feff}";

/// True if a spreadsheet would take `cell` for a formula, or if it looks as if it had been protected against that.
pub(super) fn is_formula(cell: &str) -> bool {
    cell.trim_start_matches('\'').starts_with(FORMULA)
}

/// Writes `test`.
pub(super) fn write(test: &TestFile, notes: &mut Notes) -> String {
    outgoing::note_head(test, Passage::NotHeld, notes);
    let choices = test.questions.iter().map(|question| question.choices.len()).max().unwrap_or_default();
    let columns: Vec<_> =
        columns::NAMED.iter().map(|(column, _)| *column).chain((0..choices).map(Column::Choice)).collect();
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    let mut put = |cells: Vec<String>| writer.write_record(cells).expect("memory takes rows of one length");
    put(columns.iter().map(|column| header(*column)).collect());
    for question in &test.questions {
        outgoing::note_oddities(question, notes);
        put(columns.iter().map(|column| cell(question, *column)).collect());
    }
    let bytes = writer.into_inner().expect("memory takes all rows");
    BYTE_ORDER_MARK.to_owned() + &String::from_utf8(bytes).expect("rows of text are text")
}

fn header(column: Column) -> String {
    match column {
        Column::Choice(index) => columns::choice_header(index),
        _ => columns::NAMED.iter().find(|(known, _)| *known == column).map_or("", |(_, names)| names[0]).to_owned(),
    }
}

fn cell(question: &QuestionEntry, column: Column) -> String {
    match (column, &question.answer) {
        (Column::Id, _) => question.slug.clone(),
        (Column::Kind, _) => kind(question.kind).to_owned(),
        (Column::Topic, _) => question.topic.clone(),
        (Column::Difficulty, _) => question.difficulty.to_string(),
        (Column::Points, _) => question.points.to_string(),
        (Column::Prompt, _) => protected(&question.prompt),
        (Column::Explanation, _) => protected(&question.explanation),
        (Column::Choice(index), _) => {
            question.choices.get(index).map_or_else(String::new, |choice| protected(&choice.text))
        }
        (Column::Answer, AnswerKey::Number(key)) => key.number.to_string(),
        (Column::Tolerance, AnswerKey::Number(key)) => key.tolerance.to_string(),
        (Column::Answer, AnswerKey::Text(key)) => protected(&key.model_answer),
        (Column::KeyPoints, AnswerKey::Text(key)) => protected(&rubric::write(&key.key_points)),
        (Column::Answer, AnswerKey::Choices(_)) => letters(question),
        (Column::Tolerance | Column::KeyPoints, _) => String::new(),
    }
}

fn kind(kind: QuestionKind) -> &'static str {
    match kind {
        QuestionKind::SingleChoice => "single_choice",
        QuestionKind::MultipleChoice => "multiple_choice",
        QuestionKind::Numeric => "numeric",
        QuestionKind::FreeText => "free_text",
    }
}

/// The letters of the right choices. If they are also the text of a choice, a semicolon behind them says what is meant.
fn letters(question: &QuestionEntry) -> String {
    let right = outgoing::marked(question).enumerate().filter(|(_, (_, right))| *right);
    let mut letters = right.map(|(index, _)| choice_id(index)).collect::<Vec<_>>().join(";");
    while question.choices.iter().any(|choice| clean(&choice.text) == letters) {
        letters.push(';');
    }
    letters
}

/// `text` as a cell that no spreadsheet takes for a formula.
pub(super) fn protected(text: &str) -> String {
    let text = clean(text);
    if is_formula(&text) { format!("'{text}") } else { text.into_owned() }
}
