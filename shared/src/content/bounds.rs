//! How much of everything a test may hold, whoever writes it: authors, test files and files of other formats.

use std::ops::RangeInclusive;

/// The most questions of a test; as many answers can be handed in at once.
pub(crate) const MAX_QUESTIONS: usize = 500;
/// The most choices of a question.
pub(crate) const MAX_CHOICES: usize = 500;
/// The most key points of a question.
pub(crate) const MAX_KEY_POINTS: usize = 500;
/// The most groups of terms of a key point.
pub(crate) const MAX_GROUPS: usize = 500;
/// The most terms of a group: there are not more words for one thing.
pub(crate) const MAX_TERMS: usize = 100;
/// The longest text, in characters: a passage of some ten pages.
pub(crate) const MAX_TEXT: usize = 30_000;
/// The longest time limit, in minutes.
pub(crate) const MAX_MINUTES: i16 = 600;
/// What a right answer may earn.
pub(crate) const POINTS: RangeInclusive<i16> = 1..=100;
/// How hard a question may be.
pub(crate) const DIFFICULTY: RangeInclusive<i16> = 1..=3;

/// True if `text` is longer than any may be.
pub(crate) fn is_too_long(text: &str) -> bool {
    // Each character is a byte at least: most texts need no counting.
    text.len() > MAX_TEXT && text.chars().count() > MAX_TEXT
}
