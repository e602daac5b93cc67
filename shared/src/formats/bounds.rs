//! What a question must have to be stored and asked. How much of it there may be is said in `content`.

use std::collections::HashSet;

use crate::content::QuestionEntry;
use crate::content::bounds::{MAX_CHOICES, MAX_GROUPS, MAX_KEY_POINTS, MAX_TERMS, MAX_TEXT, is_too_long};
use crate::practice_tests::{AnswerKey, ChoicesKey, NumberKey, QuestionKind, TextKey};
use crate::schemas::MAX_NUMBER;

/// Why a question cannot be stored or asked.
pub(super) fn fault(entry: &QuestionEntry) -> Option<String> {
    long(&entry.prompt, "prompt", Blank::Refused)
        .or_else(|| long(&entry.explanation, "explanation", Blank::Allowed))
        .or_else(|| match &entry.answer {
            AnswerKey::Choices(key) => choices_fault(entry, key),
            AnswerKey::Number(key) => number_fault(*key),
            AnswerKey::Text(key) => text_fault(key),
        })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Blank {
    Allowed,
    Refused,
}

fn long(text: &str, name: &str, blank: Blank) -> Option<String> {
    if blank == Blank::Refused && text.trim().is_empty() {
        return Some(format!("Its {name} is blank."));
    }
    is_too_long(text).then(|| format!("Its {name} is longer than {MAX_TEXT} characters."))
}

fn choices_fault(entry: &QuestionEntry, key: &ChoicesKey) -> Option<String> {
    let texts: HashSet<_> = entry.choices.iter().map(|choice| choice.text.as_str()).collect();
    match (entry.choices.len(), key.choice_ids.len()) {
        (0..=1, _) => Some("It has fewer than two choices.".to_owned()),
        (count, _) if count > MAX_CHOICES => Some(format!("It has more than {MAX_CHOICES} choices.")),
        (_, 0) => Some("None of its choices is right.".to_owned()),
        (_, 2..) if entry.kind == QuestionKind::SingleChoice => Some("More than one choice is right.".to_owned()),
        (count, _) if texts.len() < count => Some("Two of its choices are the same.".to_owned()),
        _ => entry.choices.iter().find_map(|choice| long(&choice.text, "choice", Blank::Refused)),
    }
}

fn number_fault(key: NumberKey) -> Option<String> {
    let possible = key.number.abs() <= MAX_NUMBER && (0.0..=MAX_NUMBER).contains(&key.tolerance);
    (!possible).then(|| {
        format!("Its answer and its tolerance must be numbers up to {MAX_NUMBER:e}, the tolerance not negative.")
    })
}

fn text_fault(key: &TextKey) -> Option<String> {
    let ids: HashSet<_> = key.key_points.iter().map(|point| point.id.as_str()).collect();
    let terms = || key.key_points.iter().flat_map(|point| &point.terms).flatten();
    let groups = || key.key_points.iter().map(|point| &point.terms);
    let has_points = (1..=MAX_KEY_POINTS).contains(&key.key_points.len());
    if !has_points || !groups().all(|groups| (1..=MAX_GROUPS).contains(&groups.len())) {
        return Some(format!(
            "It must have 1 to {MAX_KEY_POINTS} key points, each with 1 to {MAX_GROUPS} groups of terms."
        ));
    }
    if !groups().flatten().all(|group| (1..=MAX_TERMS).contains(&group.len())) {
        return Some(format!("Each group of terms must have 1 to {MAX_TERMS} terms."));
    }
    if ids.len() < key.key_points.len() {
        return Some("Two of its key points have the same id.".to_owned());
    }
    let short = |text: &String, name| long(text, name, Blank::Refused);
    long(&key.model_answer, "model answer", Blank::Refused)
        .or_else(|| key.key_points.iter().find_map(|point| short(&point.text, "key point")))
        .or_else(|| terms().find_map(|term| short(term, "term")))
}
