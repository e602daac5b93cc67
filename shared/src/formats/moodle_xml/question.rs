//! One question of Moodle XML, by its type.

use super::settings;
use super::text::plain;
use super::tree::Element;
use crate::formats::draft::{Asked, Draft, Gathering, Verdict};
use crate::formats::gift::tags;
use crate::formats::notes::{Notes, quoted};
use crate::formats::rubric;
use crate::formats::weighed::{self, Found, Picking, Weighed};
use crate::practice_tests::NumberKey;

/// Types that have no counterpart here, and what to write instead.
const OTHER_TYPES: &[(&str, &str)] = &[
    ("calculated", "Write numeric questions with the numbers filled in."),
    ("calculatedmulti", "Write questions with choices, with the numbers filled in."),
    ("calculatedsimple", "Write numeric questions with the numbers filled in."),
    ("cloze", "Write one question for each gap."),
    ("ddimageortext", "Write one question with choices for each place in the picture."),
    ("ddmarker", "Write one question with choices for each place in the picture."),
    ("ddwtos", "Write one question with choices for each gap."),
    ("gapselect", "Write one question with choices for each gap."),
    ("match", weighed::MATCHING_HINT),
    ("matching", weighed::MATCHING_HINT),
    ("multianswer", "Write one question for each gap."),
    ("multichoiceset", "Write a question of the type multichoice with several right answers."),
    ("ordering", "Ask with choices which order is right."),
    ("random", "Export the questions themselves."),
    ("randomsamatch", weighed::MATCHING_HINT),
];

/// Reads a question, or says why it is left out.
pub(super) fn read(element: &Element, kind: &str, topic: &str, gathering: &mut Gathering) {
    let (id, name) = (element.value_of("idnumber"), element.value_of("name"));
    gathering.begin(Some(element.line), if id.is_empty() { name } else { id });
    if matches!(element.value_of("hidden"), "1" | "true") {
        return gathering.leave_out("/hidden", "It is hidden in Moodle.", "Show it there and export it again.");
    }
    let Some((asked, on_right)) = asked(element, kind, gathering) else { return };
    let notes = &mut gathering.notes;
    if !element.text.trim().is_empty() {
        let what =
            format!("The text {} stands between the parts of the question; it is not kept.", quoted(&element.text));
        notes.lost("", what, "Put it into the <questiontext>.");
    }
    settings::note(element, notes);
    let general = plain(element.child("generalfeedback"), "/explanation", notes);
    let mut draft = Draft {
        name: name.to_owned(),
        id: id.to_owned(),
        topic: topic.to_owned(),
        difficulty: None,
        points: points(element.value_of("defaultgrade"), notes),
        prompt: plain(element.child("questiontext"), "/prompt", notes),
        asked,
        explanation: weighed::explanation(&general, on_right, notes),
    };
    let own: Vec<_> = element.all("tags").flat_map(|tags| tags.all("tag")).map(|tag| tag.value().to_owned()).collect();
    tags(&own, &mut draft, notes);
    gathering.take(draft);
}

fn asked(element: &Element, kind: &str, gathering: &mut Gathering) -> Found {
    match kind {
        "multichoice" => {
            let one = matches!(element.value_of("single"), "" | "1" | "true");
            let options = options(element, gathering);
            weighed::choices(options, if one { Picking::One } else { Picking::Several }, gathering)
        }
        "truefalse" => truth(element, gathering),
        "shortanswer" => {
            if element.value_of("usecase") == "1" {
                gathering.notes.changed("/usecase", "Capital and small letters are the same here.", "");
            }
            weighed::short_answer(options(element, gathering), gathering)
        }
        "numerical" => numeric(element, gathering),
        "essay" => essay(element, gathering),
        _ => {
            let hint = OTHER_TYPES.iter().find(|(other, _)| *other == kind).map_or("", |(_, hint)| hint);
            gathering.leave_out("/type", &format!("There are no questions of the type “{kind}” here."), hint);
            None
        }
    }
}

/// Each answer with what it earns and its feedback.
fn options(element: &Element, gathering: &mut Gathering) -> Vec<Weighed> {
    let notes = &mut gathering.notes;
    let option = |(index, answer): (usize, &Element)| Weighed {
        weight: weight(answer.attribute("fraction"), &format!("/answers/{index}"), notes),
        text: plain(Some(answer), &format!("/answers/{index}"), notes),
        feedback: plain(answer.child("feedback"), &format!("/answers/{index}/feedback"), notes),
    };
    element.all("answer").enumerate().map(option).collect()
}

fn points(text: &str, notes: &mut Notes) -> Option<f64> {
    let points = number(text);
    if points.is_none() && !text.is_empty() {
        let what = format!("The points {} are no number; it earns 1.", quoted(text));
        notes.changed("/points", what, "Write a number such as 2.5, with a point.");
    }
    points
}

/// What an answer earns, in hundredths; none is nothing, as in Moodle.
fn weight(text: &str, pointer: &str, notes: &mut Notes) -> f64 {
    number(text).unwrap_or_else(|| {
        if !text.trim().is_empty() {
            let what = format!("The fraction {} is no number; the answer earns nothing.", quoted(text));
            notes.changed(pointer, what, "Write a number such as 33.3, with a point.");
        }
        0.0
    })
}

fn truth(element: &Element, gathering: &mut Gathering) -> Found {
    let mut found = None;
    for (index, option) in options(element, gathering).into_iter().enumerate() {
        let verdict = match option.text.to_ascii_lowercase().as_str() {
            "true" => Verdict::Right,
            "false" => Verdict::Wrong,
            _ => {
                let what = format!("The answer {} is neither true nor false; it is not kept.", quoted(&option.text));
                gathering.notes.lost(&format!("/answers/{index}"), what, "");
                continue;
            }
        };
        if option.weight > 0.0 {
            found = Some((weighed::truth(verdict), option.feedback));
        } else {
            weighed::wrong_feedback(&format!("/answers/{index}/feedback"), &option.feedback, &mut gathering.notes);
        }
    }
    if found.is_none() {
        gathering.leave_out("/answers", "It does not say whether it is true.", "Mark true or false as right.");
    }
    found
}

fn numeric(element: &Element, gathering: &mut Gathering) -> Found {
    let mut answers = Vec::new();
    for (index, (answer, option)) in element.all("answer").zip(options(element, gathering)).enumerate() {
        if option.weight <= 0.0 {
            weighed::wrong_feedback(&format!("/answers/{index}/feedback"), &option.feedback, &mut gathering.notes);
            continue;
        }
        let tolerance = Some(answer.value_of("tolerance")).filter(|text| !text.is_empty()).map_or(Some(0.0), number);
        let (Some(number), Some(tolerance)) = (number(&option.text), tolerance) else {
            gathering.leave_out(
                &format!("/answers/{index}"),
                "Its answer is not a number.",
                "Write a number such as 3.5.",
            );
            return None;
        };
        answers.push((option.weight, NumberKey { number, tolerance }, option.feedback));
    }
    weighed::numbers(answers, gathering)
}

fn essay(element: &Element, gathering: &mut Gathering) -> Found {
    let info = plain(element.child("graderinfo"), "/graderinfo", &mut gathering.notes);
    let key = rubric::read_key(&info);
    if key.is_none() {
        gathering.leave_out("/graderinfo", weighed::ESSAY, weighed::ESSAY_HINT);
    }
    key.map(|key| (Asked::Text(key), String::new()))
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}
