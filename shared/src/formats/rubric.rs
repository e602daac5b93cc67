//! Key points as lines of text, for formats that have no place of their own for them:
//!
//! ```text
//! k1: The mill failed. [mill | factory] [fail | failed]
//! ```
//!
//! An answer meets the point if it holds one term of every group. `\` before `[`, `]`, `|` or itself takes their meaning
//! away, and `\n` is a new line.

use std::fmt::Write as _;

use crate::practice_tests::{KeyPoint, TextKey};
use crate::slugs::is_slug;

const MODEL_ANSWER: &str = "Model answer:";
const KEY_POINTS: &str = "Key points:";

/// The points, one per line.
pub(super) fn write(points: &[KeyPoint]) -> String {
    points.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The whole key as a note to who grades.
pub(super) fn write_key(key: &TextKey) -> String {
    format!("{MODEL_ANSWER} {}\n{KEY_POINTS}\n{}", escaped(&key.model_answer), write(&key.key_points))
}

fn line(point: &KeyPoint) -> String {
    let mut line = format!("{}: {}", point.id, escaped(&point.text));
    for group in &point.terms {
        let terms: Vec<_> = group.iter().map(|term| escaped(term)).collect();
        let _ = write!(line, " [{}]", terms.join(" | "));
    }
    line
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => escaped.push_str("\\n"),
            '[' | ']' | '|' | '\\' => escaped.extend(['\\', character]),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Reads what [`write`] writes. Blank lines say nothing; a line without an id gets one.
///
/// # Errors
/// A sentence about the first line that is no key point.
pub(super) fn read(text: &str) -> Result<Vec<KeyPoint>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.enumerate().map(|(index, line)| point(line, index + 1)).collect()
}

/// Reads what [`write_key`] writes; none if it is something else.
pub(super) fn read_key(text: &str) -> Option<TextKey> {
    let (model_answer, key_points) = text.trim().strip_prefix(MODEL_ANSWER)?.split_once('\n')?;
    let key_points = read(key_points.trim_start().strip_prefix(KEY_POINTS)?).ok()?;
    let (_, model_answer) = until(model_answer, &[])?;
    Some(TextKey { model_answer: model_answer.trim().to_owned(), key_points })
}

fn point(line: &str, number: usize) -> Result<KeyPoint, String> {
    let (id, rest) = match line.split_once(':') {
        Some((id, rest)) if is_slug(id) => (id.to_owned(), rest),
        _ => (format!("k{number}"), line),
    };
    let no_terms = || format!("The key point {number} has no terms; write them as [term | other term].");
    let (mut rest, text) = until(rest, &['[']).ok_or_else(no_terms)?;
    let mut terms = Vec::new();
    while let Some(open) = rest.trim_start().strip_prefix('[') {
        let (behind, group) = group(open).ok_or_else(|| format!("A bracket is not closed in key point {number}."))?;
        terms.push(group);
        rest = behind;
    }
    if terms.is_empty() {
        return Err(no_terms());
    }
    if !rest.trim().is_empty() {
        return Err(format!("There is text behind the terms of key point {number}."));
    }
    Ok(KeyPoint { id, text: text.trim().to_owned(), terms })
}

/// The terms up to the closing bracket, and what stands behind it.
fn group(mut rest: &str) -> Option<(&str, Vec<String>)> {
    let mut terms = Vec::new();
    loop {
        let (behind, term) = until(rest, &['|', ']'])?;
        terms.push(term.trim().to_owned());
        let end = behind.chars().next()?;
        rest = &behind[1..];
        if end == ']' {
            return Some((rest, terms));
        }
    }
}

/// The text before the first of `ends` that is not escaped, and the rest from it on; with no ends, all of it.
fn until<'a>(text: &'a str, ends: &[char]) -> Option<(&'a str, String)> {
    let mut found = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => match characters.next()?.1 {
                'n' => found.push('\n'),
                other => found.push(other),
            },
            _ if ends.contains(&character) => return Some((&text[at..], found)),
            _ => found.push(character),
        }
    }
    ends.is_empty().then_some(("", found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_points_are_written_and_read_again() {
        let terms = vec![vec!["mill".to_owned(), "a|b".to_owned()], vec!["[x]\\".to_owned()]];
        let point = KeyPoint { id: "k-1".to_owned(), text: "The mill: it\nfailed [1993].".to_owned(), terms };
        let key = TextKey { model_answer: "Because\\ of |x|.\nYes.".to_owned(), key_points: vec![point] };
        assert_eq!(read_key(&write_key(&key)).unwrap(), key);
        let short = read("The mill failed. [mill]\n\nWhy: it is so [so]").unwrap();
        assert_eq!((short[0].id.as_str(), short[1].id.as_str(), short[1].text.as_str()), ("k1", "k2", "Why: it is so"));
        for wrong in ["no terms", "open [a", "more [a] text", "\\"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
