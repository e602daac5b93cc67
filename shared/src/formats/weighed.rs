//! Answers that earn a share of the points, as learning platforms have them, and what of that can be kept.
//!
//! Here a choice is right or wrong. Of several choices each right one earns its share, and each wrong one takes one away.

use super::draft::{Asked, Gathering, Offered, Verdict};
use super::notes::{Notes, quoted};
use crate::practice_tests::{KeyPoint, NumberKey, TextKey};

/// Why an essay is left out, and what to do.
pub(super) const ESSAY: &str = "Nothing says what a right text says.";
pub(super) const ESSAY_HINT: &str =
    "Add key points: in Moodle XML as grader info, in CSV in the column key_points, or in our JSON.";
/// Why matching is left out, and what to do.
pub(super) const MATCHING: &str = "There are no matching questions here.";
pub(super) const MATCHING_HINT: &str = "Write one question with choices for each pair.";

/// So close two weights are the same: platforms write 33.33333 for a third.
const SAME_WEIGHT: f64 = 0.01;
/// What earns all points, in hundredths.
const FULL: f64 = 100.0;

/// An answer with what it earns.
#[derive(Clone, Debug)]
pub(super) struct Weighed {
    /// In hundredths of the points; negative: it takes some away.
    pub(super) weight: f64,
    /// The answer.
    pub(super) text: String,
    /// What the student who gives it reads.
    pub(super) feedback: String,
}

/// How many choices a student takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Picking {
    One,
    Several,
}

/// What is right, and the feedback on it.
pub(super) type Found = Option<(Asked, String)>;

/// Choices, or why the question is left out.
pub(super) fn choices(options: Vec<Weighed>, picking: Picking, gathering: &mut Gathering) -> Found {
    match picking {
        Picking::One => one(options, gathering),
        Picking::Several => several(options, gathering),
    }
}

fn one(options: Vec<Weighed>, gathering: &mut Gathering) -> Found {
    let full = |option: &Weighed| option.weight > FULL - SAME_WEIGHT;
    match options.iter().filter(|option| full(option)).count() {
        0 => return refuse(gathering, "No choice earns all points.", "Mark the right choice."),
        1 => {}
        _ => return refuse(gathering, "Any of several choices is right.", "Leave one right choice."),
    }
    for (index, option) in options.iter().enumerate().filter(|(_, option)| !full(option) && option.weight != 0.0) {
        let what = format!("{} earned {} %; it earns nothing now.", quoted(&option.text), option.weight);
        gathering.notes.changed(&format!("/answers/{index}"), what, "A choice is right or wrong here.");
    }
    let (offered, feedback) = offered(options, full, &mut gathering.notes);
    Some((Asked::One(offered), feedback))
}

fn several(options: Vec<Weighed>, gathering: &mut Gathering) -> Found {
    let right = |option: &Weighed| option.weight > 0.0;
    let count = options.iter().filter(|option| right(option)).count();
    if count == 0 {
        return refuse(gathering, "No choice earns points.", "Mark the right choices.");
    }
    let share = FULL / f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let differs = |option: &&Weighed| (option.weight.abs() - share).abs() > SAME_WEIGHT;
    let weights: Vec<_> = options.iter().filter(differs).map(|option| format!("{} %", option.weight)).collect();
    if !weights.is_empty() {
        let what = format!("The weights {} are not kept: each right choice earns the same share.", weights.join(", "));
        gathering.notes.changed("/answers", what, "Each wrong choice takes the credit of a right one away.");
    }
    let (offered, feedback) = offered(options, right, &mut gathering.notes);
    Some((Asked::Some(offered), feedback))
}

/// The choices, and the feedback on the right ones; other feedback is lost.
fn offered(options: Vec<Weighed>, right: impl Fn(&Weighed) -> bool, notes: &mut Notes) -> (Vec<Offered>, String) {
    let mut feedback = Vec::new();
    let mut offered = Vec::with_capacity(options.len());
    for (index, option) in options.into_iter().enumerate() {
        if right(&option) {
            feedback.push(option.feedback);
            offered.push(Offered { text: option.text, verdict: Verdict::Right });
        } else {
            wrong_feedback(&format!("/answers/{index}/feedback"), &option.feedback, notes);
            offered.push(Offered { text: option.text, verdict: Verdict::Wrong });
        }
    }
    feedback.retain(|text| !text.is_empty());
    (offered, feedback.join("\n"))
}

/// A statement that is right or wrong.
pub(super) fn truth(verdict: Verdict) -> Asked {
    let (right, wrong) = (Offered::right, Offered::wrong);
    Asked::One(match verdict {
        Verdict::Right => vec![right("True"), wrong("False")],
        Verdict::Wrong => vec![wrong("True"), right("False")],
    })
}

/// Words of which any is right.
pub(super) fn short_answer(options: Vec<Weighed>, gathering: &mut Gathering) -> Found {
    let mut terms = Vec::new();
    let mut feedback = Vec::new();
    for (index, option) in options.into_iter().enumerate() {
        let pointer = format!("/answers/{index}");
        if option.weight < FULL - SAME_WEIGHT {
            wrong_feedback(&format!("{pointer}/feedback"), &option.feedback, &mut gathering.notes);
            if option.weight != 0.0 {
                let what = format!("{} earned {} %; it earns nothing now.", quoted(&option.text), option.weight);
                gathering.notes.changed(
                    &pointer,
                    what,
                    "Split what is asked into key points to give a part of the points.",
                );
            }
        } else if option.text.replace("\\*", "").contains('*') {
            let what = format!("The answer {} holds a wildcard; it is not taken as right.", quoted(&option.text));
            gathering.notes.lost(&pointer, what, "Write out the answers that are right.");
        } else if !option.text.is_empty() {
            terms.push(option.text.replace("\\*", "*"));
            feedback.push(option.feedback);
        }
    }
    let Some(first) = terms.first().cloned() else {
        return refuse(
            gathering,
            "No answer that can be compared earns all points.",
            "Write out the answers that are right.",
        );
    };
    let what = "An answer is right if it holds one of these words; the file compares the whole answer.";
    gathering.notes.changed("/answers", what, "");
    feedback.retain(|text| !text.is_empty());
    let point = KeyPoint { id: "k1".to_owned(), text: first.clone(), terms: vec![terms] };
    Some((Asked::Text(TextKey { model_answer: first, key_points: vec![point] }), feedback.join("\n")))
}

/// Numbers with their weights and the feedback on them.
pub(super) fn numbers(answers: Vec<(f64, NumberKey, String)>, gathering: &mut Gathering) -> Found {
    let full = |answer: &(f64, NumberKey, String)| answer.0 > FULL - SAME_WEIGHT;
    let Some(chosen) = answers.iter().position(full) else {
        return refuse(gathering, "No number earns all points.", "Mark the right number.");
    };
    for (index, (weight, key, feedback)) in answers.iter().enumerate().filter(|(index, _)| *index != chosen) {
        let pointer = format!("/answers/{index}");
        let what = format!("{} ± {} earned {weight} %; it earns nothing now.", key.number, key.tolerance);
        gathering.notes.changed(&pointer, what, "One number with its tolerance is right here.");
        wrong_feedback(&format!("{pointer}/feedback"), feedback, &mut gathering.notes);
    }
    let (_, key, feedback) = answers.into_iter().nth(chosen)?;
    Some((Asked::Number(key), feedback))
}

/// All numbers from `low` to `high`, in either order.
pub(super) fn range(low: f64, high: f64) -> NumberKey {
    NumberKey { number: f64::midpoint(low, high), tolerance: (high - low).abs() / 2.0 }
}

/// The explanation from what everybody reads and what those read who were right.
pub(super) fn explanation(general: &str, on_right: String, notes: &mut Notes) -> String {
    if on_right.is_empty() {
        return general.to_owned();
    }
    notes.changed(
        "/explanation",
        "The feedback on the right answer is part of the explanation, which everybody reads.",
        "",
    );
    if general.is_empty() { on_right } else { format!("{general}\n{on_right}") }
}

/// Feedback on a wrong answer has no place.
pub(super) fn wrong_feedback(pointer: &str, feedback: &str, notes: &mut Notes) {
    if !feedback.is_empty() {
        let what = format!("The feedback {} on a wrong answer is not kept.", quoted(feedback));
        notes.lost(pointer, what, "Put what matters into the explanation (the general feedback).");
    }
}

fn refuse(gathering: &mut Gathering, why: &str, hint: &str) -> Found {
    gathering.leave_out("/answers", why, hint);
    None
}
