//! Reads a file of Moodle XML: categories, passages and questions, in their order.

use super::question;
use super::settings;
use super::text::plain;
use super::tree::{self, Element, Piece};
use crate::content::bounds::{MAX_TEXT, is_too_long};
use crate::formats::draft::Gathering;
use crate::formats::gift::category_topic;
use crate::formats::notes::{Notes, quoted};
use crate::formats::reading::Reading;

/// Reads a file. One that is no XML is refused whole: what is behind the break is unknown.
pub(super) fn read(text: &str, notes: Notes) -> Reading {
    let mut gathering = Gathering::new(notes);
    let mut topic = String::new();
    let walked = tree::walk(text, |piece| match piece {
        Piece::Element(element) => take(&element, &mut topic, &mut gathering),
        Piece::Text(line, text) => stray(line, &text, &mut gathering.notes),
    });
    if let Err(refusal) = walked {
        let mut notes = Notes::default();
        notes.lost("", format!("Nothing of the file is read. {refusal}"), "Export it again as Moodle XML.");
        return Reading::nothing("", notes);
    }
    gathering.finish()
}

fn take(element: &Element, topic: &mut String, gathering: &mut Gathering) {
    match (element.name.as_str(), element.attribute("type")) {
        ("question", "category") => category(element, topic, gathering),
        ("question", "description") => description(element, gathering),
        ("question", kind) => question::read(element, kind, topic, gathering),
        (other, _) => gathering.notes.lost("", format!("The element <{other}> is not kept."), ""),
    }
    gathering.notes.of_the_file();
}

fn description(element: &Element, gathering: &mut Gathering) {
    gathering.notes.at(Some(element.line), element.value_of("name"));
    let text = plain(element.child("questiontext"), "/passage", &mut gathering.notes);
    gathering.describe(&text);
    settings::note(element, &mut gathering.notes);
    let feedback = plain(element.child("generalfeedback"), "/passage", &mut gathering.notes);
    if !feedback.is_empty() {
        let what = format!("The feedback {} on a text is not kept.", quoted(&feedback));
        gathering.notes.lost("/passage", what, "Make it part of the text.");
    }
}

fn stray(line: usize, text: &str, notes: &mut Notes) {
    notes.at(Some(line), "");
    notes.lost("", format!("The text {} stands outside of all questions; it is not kept.", quoted(text)), "");
    notes.of_the_file();
}

fn category(element: &Element, topic: &mut String, gathering: &mut Gathering) {
    *topic = category_topic(element.value_of("category"), element.line, &mut gathering.notes);
    let info = plain(element.child("info"), "/description", &mut gathering.notes);
    if info.is_empty() {
        return;
    }
    if is_too_long(&info) {
        gathering.notes.at(Some(element.line), "");
        let what = format!("The description is longer than {MAX_TEXT} characters; it is not kept.");
        gathering.notes.lost("/description", what, "Shorten it.");
    } else if gathering.head.description.is_none() && !gathering.has_begun() {
        gathering.head.description = Some(info);
    } else {
        gathering.notes.at(Some(element.line), "");
        gathering.notes.lost("/description", "The description of a category is not kept.", "");
    }
}
