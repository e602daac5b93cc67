//! What stands between the braces of GIFT, by kind.

use super::question::Parts;
use super::syntax::{Markup, cut, find, plain};
use crate::formats::draft::{Asked, Draft, Gathering, Verdict};
use crate::formats::notes::Notes;
use crate::formats::weighed::{self, Picking, Weighed};
use crate::practice_tests::NumberKey;

/// Reads the answers, or says why the question is left out.
pub(super) fn read(parts: &Parts<'_>, gathering: &mut Gathering) -> Option<Draft> {
    let answers = parts.answers;
    let asked = if answers.is_empty() {
        gathering.leave_out("/answers", weighed::ESSAY, weighed::ESSAY_HINT);
        None
    } else if let Some(numbers) = answers.strip_prefix('#') {
        numeric(numbers, parts, gathering)
    } else if find(answers, "~").is_some() {
        let picking = if find(answers, "=").is_some() { Picking::One } else { Picking::Several };
        weighed::choices(options(answers, parts, &mut gathering.notes), picking, gathering)
    } else if is_matching(answers) {
        gathering.leave_out("/answers", weighed::MATCHING, weighed::MATCHING_HINT);
        None
    } else if let Some(verdict) = true_or_false(answers) {
        Some(truth(verdict, parts, &mut gathering.notes))
    } else {
        weighed::short_answer(options(answers, parts, &mut gathering.notes), gathering)
    };
    let (asked, feedback) = asked?;
    let explanation = weighed::explanation(&parts.general_feedback, feedback, &mut gathering.notes);
    let (name, prompt) = (parts.title.to_owned(), parts.prompt.clone());
    let (id, topic) = (String::new(), String::new());
    Some(Draft { name, id, topic, difficulty: None, points: None, prompt, asked, explanation })
}

fn is_matching(answers: &str) -> bool {
    find(answers, "=").is_some() && cut(answers, &['=']).iter().all(|pair| find(pair, "->").is_some())
}

/// Each answer with its mark, its weight and its feedback.
fn options(answers: &str, parts: &Parts<'_>, notes: &mut Notes) -> Vec<Weighed> {
    let pieces = cut(answers, &['=', '~']).into_iter().enumerate();
    pieces.map(|(index, piece)| option(piece, index, parts.markup, notes)).collect()
}

fn option(piece: &str, index: usize, inherited: Markup, notes: &mut Notes) -> Weighed {
    let right = piece.starts_with('=');
    let (weight, rest) = weight(piece.trim_start_matches(['=', '~']).trim_start());
    let (text, feedback) = find(rest, "#").map_or((rest, ""), |at| (&rest[..at], &rest[at + 1..]));
    Weighed {
        weight: weight.unwrap_or(if right { 100.0 } else { 0.0 }),
        text: plain(text, inherited, &format!("/answers/{index}"), notes),
        feedback: plain(feedback, inherited, &format!("/answers/{index}/feedback"), notes),
    }
}

/// The weight of `%50%` at the beginning, and the rest.
fn weight(text: &str) -> (Option<f64>, &str) {
    let weighed = text.strip_prefix('%').and_then(|rest| rest.split_once('%'));
    match weighed
        .and_then(|(weight, rest)| Some((weight.parse::<f64>().ok().filter(|weight| weight.is_finite())?, rest)))
    {
        Some((weight, rest)) => (Some(weight), rest),
        None => (None, text),
    }
}

fn true_or_false(answers: &str) -> Option<Verdict> {
    let word = find(answers, "#").map_or(answers, |at| &answers[..at]).trim();
    match word.to_ascii_uppercase().as_str() {
        "T" | "TRUE" => Some(Verdict::Right),
        "F" | "FALSE" => Some(Verdict::Wrong),
        _ => None,
    }
}

/// The first feedback is for who was wrong, the second for who was right.
fn truth(verdict: Verdict, parts: &Parts<'_>, notes: &mut Notes) -> (Asked, String) {
    let mut feedback = cut(parts.answers, &['#']).into_iter().skip(1).map(|text| text.trim_start_matches('#'));
    let wrong = plain(feedback.next().unwrap_or_default(), parts.markup, "/answers/0/feedback", notes);
    let right = plain(feedback.next().unwrap_or_default(), parts.markup, "/answers/1/feedback", notes);
    weighed::wrong_feedback("/answers/0/feedback", &wrong, notes);
    (weighed::truth(verdict), right)
}

/// `3:2`, `1..5`, or several of them with marks and weights.
fn numeric(numbers: &str, parts: &Parts<'_>, gathering: &mut Gathering) -> Option<(Asked, String)> {
    let mut answers = Vec::new();
    for (index, piece) in cut(numbers, &['=', '~']).into_iter().enumerate() {
        let option = option(piece, index, parts.markup, &mut gathering.notes);
        let unmarked = !piece.starts_with(['=', '~']);
        let weight = if unmarked { 100.0 } else { option.weight };
        if weight <= 0.0 {
            weighed::wrong_feedback(&format!("/answers/{index}/feedback"), &option.feedback, &mut gathering.notes);
            continue;
        }
        let Some(key) = number(&option.text) else {
            gathering.leave_out(
                &format!("/answers/{index}"),
                "Its answer is not a number.",
                "Write 3.5, 3.5:0.1 or 3..4.",
            );
            return None;
        };
        answers.push((weight, key, option.feedback));
    }
    weighed::numbers(answers, gathering)
}

fn number(text: &str) -> Option<NumberKey> {
    let parse = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    if let Some((low, high)) = text.split_once("..") {
        let (low, high) = (parse(low)?, parse(high)?);
        return Some(weighed::range(low, high));
    }
    let (number, tolerance) = text.split_once(':').map_or((text, "0"), |(number, tolerance)| (number, tolerance));
    Some(NumberKey { number: parse(number)?, tolerance: parse(tolerance)? })
}
