//! Writes a test as GIFT. All texts are marked `[plain]`, since Moodle would else read `x < 3` as HTML.

use std::fmt::Write as _;

use super::syntax::escaped;
use crate::content::{QuestionEntry, TestFile};
use crate::formats::notes::Notes;
use crate::formats::outgoing::{self, Passage, clean};
use crate::points::Points;
use crate::practice_tests::{AnswerKey, QuestionKind, TextKey};

/// What a reader assumes if no tag says otherwise.
const USUAL_DIFFICULTY: i16 = 2;
const USUAL_POINTS: Points = Points(100);

/// Writes `test`.
pub(super) fn write(test: &TestFile, notes: &mut Notes) -> String {
    let mut file = format!("// {}\n", one_line(&test.title));
    outgoing::note_head(test, Passage::Held, notes);
    if let Some(passage) = &test.passage {
        let _ = write!(file, "\n{}\n", marked_up(passage));
    }
    let mut topic = "";
    for question in &test.questions {
        if question.topic != topic {
            topic = &question.topic;
            let _ = write!(file, "\n$CATEGORY: $course$/top/{topic}\n");
        }
        write_question(question, notes, &mut file);
    }
    notes.losses().for_each(|loss| file += &format!("\n// Lost: {loss}\n"));
    file
}

fn write_question(question: &QuestionEntry, notes: &mut Notes, file: &mut String) {
    outgoing::note_oddities(question, notes);
    let _ = write!(file, "\n// [id:{}]", question.slug);
    if question.difficulty != USUAL_DIFFICULTY {
        let _ = write!(file, " [tag:difficulty:{}]", question.difficulty);
    }
    if question.points != USUAL_POINTS {
        let _ = write!(file, " [tag:points:{}]", question.points);
    }
    let answers = answers(question, notes);
    let explanation = match clean(&question.explanation) {
        text if text.is_empty() => String::new(),
        text => format!("####{}", marked_up(&text)),
    };
    let _ = writeln!(file, "\n::{}::{} {{{answers}{explanation}}}", question.slug, marked_up(&question.prompt));
}

fn answers(question: &QuestionEntry, notes: &mut Notes) -> String {
    match &question.answer {
        AnswerKey::Number(key) => format!("#{}:{}", key.number, key.tolerance),
        AnswerKey::Text(key) => text_answers(key, notes),
        AnswerKey::Choices(_) => match outgoing::statement(question) {
            Some(true) => "T".to_owned(),
            Some(false) => "F".to_owned(),
            None => choices(question),
        },
    }
}

fn text_answers(key: &TextKey, notes: &mut Notes) -> String {
    if let Some(terms) = outgoing::alternatives(key) {
        return terms.iter().fold(String::new(), |answers, term| format!("{answers}\n\t={}", answer(term, "100")))
            + "\n";
    }
    let what = "GIFT has no place for key points; the question is an essay that a person must mark.";
    notes.lost("/answer/key_points", what, "Export Moodle XML, CSV or JSON to keep them.");
    String::new()
}

fn choices(question: &QuestionEntry) -> String {
    let right = outgoing::marked(question).filter(|(_, right)| *right).count();
    let share = outgoing::share(right);
    let mut answers = String::new();
    for (choice, is_right) in outgoing::marked(question) {
        let line = match (question.kind, is_right) {
            (QuestionKind::MultipleChoice, true) => format!("~%{share}%{}", marked_up_if_needed(&choice.text)),
            (QuestionKind::MultipleChoice, false) => format!("~%-{share}%{}", marked_up_if_needed(&choice.text)),
            (_, true) => format!("={}", answer(&choice.text, "100")),
            (_, false) => format!("~{}", answer(&choice.text, "0")),
        };
        let _ = write!(answers, "\n\t{line}");
    }
    answers + "\n"
}

/// An answer that begins like a weight gets its own before it.
fn answer(text: &str, weight: &str) -> String {
    let text = clean(text);
    let weight = if text.starts_with('%') { format!("%{weight}%") } else { String::new() };
    format!("{weight}{}", marked_up_if_needed(&text))
}

fn marked_up(text: &str) -> String {
    format!("[plain]{}", escaped(&clean(text)))
}

/// Answers have the markup of their question.
fn marked_up_if_needed(text: &str) -> String {
    let text = clean(text);
    if text.starts_with('[') { marked_up(&text) } else { escaped(&text) }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
