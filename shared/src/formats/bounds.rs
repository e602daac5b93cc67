//! What a question must have to be stored and asked, and how much of it there may be.

use std::collections::HashSet;

use crate::content::QuestionEntry;
use crate::practice_tests::{AnswerKey, ChoicesKey, NumberKey, QuestionKind, TextKey};

/// The most choices in a question.
const MAX_CHOICES: usize = 50;
/// The most key points in a question, groups of terms in a point, and terms in a group.
const MAX_KEY_PARTS: usize = 50;
/// The longest prompt, explanation or model answer, in characters.
const MAX_TEXT: usize = 20_000;
/// The longest choice, key point or term, in characters.
const MAX_SHORT_TEXT: usize = 2_000;

/// Why a question cannot be stored or asked.
pub(super) fn fault(entry: &QuestionEntry) -> Option<String> {
    long(&entry.prompt, "prompt", MAX_TEXT, Blank::Refused)
        .or_else(|| long(&entry.explanation, "explanation", MAX_TEXT, Blank::Allowed))
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

fn long(text: &str, name: &str, most: usize, blank: Blank) -> Option<String> {
    if blank == Blank::Refused && text.trim().is_empty() {
        return Some(format!("Its {name} is blank."));
    }
    // Each character is a byte at least: most texts need no counting.
    (text.len() > most && text.chars().count() > most).then(|| format!("Its {name} is longer than {most} characters."))
}

fn choices_fault(entry: &QuestionEntry, key: &ChoicesKey) -> Option<String> {
    let texts: HashSet<_> = entry.choices.iter().map(|choice| choice.text.as_str()).collect();
    match (entry.choices.len(), key.choice_ids.len()) {
        (0..=1, _) => Some("It has fewer than two choices.".to_owned()),
        (count, _) if count > MAX_CHOICES => Some(format!("It has more than {MAX_CHOICES} choices.")),
        (_, 0) => Some("None of its choices is right.".to_owned()),
        (_, 2..) if entry.kind == QuestionKind::SingleChoice => Some("More than one choice is right.".to_owned()),
        (count, _) if texts.len() < count => Some("Two of its choices are the same.".to_owned()),
        _ => entry.choices.iter().find_map(|choice| long(&choice.text, "choice", MAX_SHORT_TEXT, Blank::Refused)),
    }
}

fn number_fault(key: NumberKey) -> Option<String> {
    let possible = key.number.is_finite() && key.tolerance.is_finite() && key.tolerance >= 0.0;
    (!possible).then(|| "Its answer must be a number, with a tolerance that is not negative.".to_owned())
}

fn text_fault(key: &TextKey) -> Option<String> {
    let ids: HashSet<_> = key.key_points.iter().map(|point| point.id.as_str()).collect();
    let terms = || key.key_points.iter().flat_map(|point| &point.terms).flatten();
    let groups = || key.key_points.iter().map(|point| &point.terms);
    let countable = |count: usize| (1..=MAX_KEY_PARTS).contains(&count);
    if !countable(key.key_points.len()) || !groups().all(|groups| countable(groups.len())) {
        return Some(format!(
            "It must have 1 to {MAX_KEY_PARTS} key points, each with 1 to {MAX_KEY_PARTS} groups of terms."
        ));
    }
    if !groups().flatten().all(|group| countable(group.len())) {
        return Some(format!("Each group of terms must have 1 to {MAX_KEY_PARTS} terms."));
    }
    if ids.len() < key.key_points.len() {
        return Some("Two of its key points have the same id.".to_owned());
    }
    let short = |text: &String, name| long(text, name, MAX_SHORT_TEXT, Blank::Refused);
    long(&key.model_answer, "model answer", MAX_TEXT, Blank::Refused)
        .or_else(|| key.key_points.iter().find_map(|point| short(&point.text, "key point")))
        .or_else(|| terms().find_map(|term| short(term, "term")))
}
