//! The columns of a CSV file, by name and in any order.

use crate::content::bounds::MAX_CHOICES;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Id,
    Kind,
    Topic,
    Difficulty,
    Points,
    Prompt,
    Answer,
    Tolerance,
    KeyPoints,
    Explanation,
    /// The choice of this number, from 0.
    Choice(usize),
}

/// Every column but the choices, with its name and what else people call it.
pub(super) const NAMED: &[(Column, &[&str])] = &[
    (Column::Id, &["id", "slug", "name"]),
    (Column::Kind, &["kind", "type"]),
    (Column::Topic, &["topic", "category"]),
    (Column::Difficulty, &["difficulty", "level"]),
    (Column::Points, &["points", "score", "marks"]),
    (Column::Prompt, &["prompt", "question", "question_text"]),
    (Column::Answer, &["answer", "correct", "correct_answer", "right_answer"]),
    (Column::Tolerance, &["tolerance"]),
    (Column::KeyPoints, &["key_points"]),
    (Column::Explanation, &["explanation", "feedback"]),
];
/// What stands before the letter of a choice; the first is ours.
const CHOICE: &[&str] = &["choice_", "option_", "answer_"];
/// The number of choices whose column may be named by the letter or number alone: two letters are a word.
const NAMED_ALONE: usize = 26;

/// What the column with this header holds.
pub(super) fn find(header: &str) -> Option<Column> {
    let name = header.trim().to_lowercase().replace([' ', '-'], "_");
    let named = NAMED.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(column, _)| *column);
    let lettered = || CHOICE.iter().find_map(|before| letter(name.strip_prefix(before)?));
    let alone = || letter(&name).filter(|number| *number < NAMED_ALONE);
    named.or_else(|| lettered().or_else(alone).map(Column::Choice))
}

/// The number of the choice with this letter, or this number from 1.
pub(super) fn letter(text: &str) -> Option<usize> {
    let number = match text.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(usize::from(letter - b'a')),
        [first @ b'a'..=b'z', second @ b'a'..=b'z'] => {
            Some((usize::from(first - b'a') + 1) * 26 + usize::from(second - b'a'))
        }
        _ => text.parse::<usize>().ok().and_then(|number| number.checked_sub(1)),
    };
    number.filter(|number| *number < MAX_CHOICES)
}

/// The header of a choice.
pub(super) fn choice_header(index: usize) -> String {
    format!("choice_{}", crate::formats::names::choice_id(index))
}
