//! What every writer needs to know of a test: which of it its format does not hold.

use std::borrow::Cow;

use super::decode::is_noise;
use super::html;
use super::names::choice_id;
use super::notes::Notes;
use crate::content::{QuestionEntry, TestFile};
use crate::practice_tests::{AnswerKey, Choice, QuestionKind, TextKey};

/// A text as files hold it: without white space at its ends and control characters.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if text.contains(is_noise) { text.chars().filter(|character| !is_noise(*character)).collect() } else { text.into() }
}

/// Tells what of `question` no format but our own holds.
pub(super) fn note_oddities(question: &QuestionEntry, notes: &mut Notes) {
    notes.at(None, &question.slug);
    let ids = question.choices.iter().enumerate().all(|(index, choice)| choice.id == choice_id(index));
    if !ids {
        notes.changed("/choices", "The ids of the choices are not kept; they are a, b, c and so on at an import.", "");
    }
    let choices = question.choices.iter().map(|choice| &choice.text);
    let texts = [&question.prompt, &question.explanation].into_iter().chain(choices);
    if texts.chain(key_texts(&question.answer)).any(|text| is_trimmed(text)) {
        notes.changed("", TRIMMED, "");
    }
}

const TRIMMED: &str = "White space at the ends of texts and control characters are not kept.";

fn is_trimmed(text: &str) -> bool {
    clean(text) != text
}

/// What a key says in words.
fn key_texts(key: &AnswerKey) -> impl Iterator<Item = &String> {
    let key = if let AnswerKey::Text(key) = key { Some(key) } else { None };
    let points = || key.into_iter().flat_map(|key| &key.key_points);
    let terms = points().flat_map(|point| &point.terms).flatten();
    key.map(|key| &key.model_answer).into_iter().chain(points().map(|point| &point.text)).chain(terms)
}

/// What formats of single questions do not hold of a test.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    Held,
    NotHeld,
}

/// Tells what of the whole test a format of single questions does not hold.
pub(super) fn note_head(test: &TestFile, passage: Passage, notes: &mut Notes) {
    notes.of_the_file();
    notes.lost("/title", "Title and subject of the test are not in the file.", "Give them when you import it.");
    if !test.description.is_empty() {
        notes.lost("/description", "The description of the test is not in the file.", "");
    }
    if test.time_limit.is_some() {
        notes.lost("/time_limit", "The time limit of the test is not in the file.", "");
    }
    if passage == Passage::NotHeld && test.passage.is_some() {
        notes.lost("/passage", "The passage of the test is not in the file.", "");
    }
    if passage == Passage::Held && test.passage.as_deref().is_some_and(is_trimmed) {
        notes.changed("/passage", TRIMMED, "");
    }
}

/// The choices with whether each is right.
pub(super) fn marked(question: &QuestionEntry) -> impl Iterator<Item = (&Choice, bool)> {
    let right = match &question.answer {
        AnswerKey::Choices(key) => key.choice_ids.as_slice(),
        _ => &[],
    };
    question.choices.iter().map(move |choice| (choice, right.contains(&choice.id)))
}

/// Whether a statement is true, if that is what the question asks.
pub(super) fn statement(question: &QuestionEntry) -> Option<bool> {
    let is_statement = question.kind == QuestionKind::SingleChoice
        && matches!(&question.choices[..], [yes, no] if yes.text == "True" && no.text == "False");
    if !is_statement {
        return None;
    }
    marked(question).next().map(|(_, right)| right)
}

/// The words any of which is right, if the key says nothing beyond that.
pub(super) fn alternatives(key: &TextKey) -> Option<&[String]> {
    let [point] = &key.key_points[..] else { return None };
    let [terms] = &point.terms[..] else { return None };
    let first = terms.first()?;
    let says_no_more = point.id == "k1" && point.text == *first && key.model_answer == *first;
    let comparable = |term: &String| {
        !html::looks_like_html(term)
            && !term.contains(['*', '\n'])
            && !term.contains("->")
            && clean(term) == term.as_str()
    };
    (says_no_more && terms.iter().all(comparable)).then_some(terms)
}

/// What one of `right` right choices earns, in hundredths, as learning platforms know it.
pub(super) fn share(right: usize) -> String {
    let share = 100.0 / f64::from(u32::try_from(right.max(1)).unwrap_or(u32::MAX));
    let share = format!("{share:.5}");
    share.trim_end_matches('0').trim_end_matches('.').to_owned()
}
