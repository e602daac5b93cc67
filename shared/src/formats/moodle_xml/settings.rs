//! Settings of Moodle's questions: which say nothing here, and which are lost.

use super::text::kilobytes;
use super::tree::Element;
use crate::formats::notes::{Notes, quoted};

/// What is read elsewhere, or only says how a question looks.
const SILENT: &[&str] = &[
    "answer",
    "answernumbering",
    "defaultgrade",
    "generalfeedback",
    "graderinfo",
    "hidden",
    "idnumber",
    "name",
    "questiontext",
    "responsefieldlines",
    "responseformat",
    "responserequired",
    "showunits",
    "shownumcorrect",
    "showstandardinstruction",
    "shuffleanswers",
    "single",
    "tags",
    "unitgradingtype",
    "unitpenalty",
    "units",
    "unitsleft",
    "usecase",
    "version",
    "filetypeslist",
    "maxbytes",
];
/// What Moodle puts into every question, so that nobody has said it.
const USUAL: &[(&str, &[&str])] = &[
    ("attachments", &["0"]),
    ("attachmentsrequired", &["0"]),
    ("correctfeedback", &["Your answer is correct."]),
    ("incorrectfeedback", &["Your answer is incorrect."]),
    ("minwordlimit", &["0"]),
    ("maxwordlimit", &["0"]),
    ("partiallycorrectfeedback", &["Your answer is partially correct."]),
    ("penalty", &["0", "0.0000000", "0.1", "0.1000000", "0.3333333", "0.33333333", "1", "1.0000000"]),
];

/// The picture of a question, as old versions of Moodle write it: its name, and what it shows.
const PICTURE: &[&str] = &["image", "image_base64"];

/// Tells which settings of `question` are not kept.
pub(super) fn note(question: &Element, notes: &mut Notes) {
    picture(question, notes);
    let told = |child: &&Element| [SILENT, PICTURE].iter().any(|names| names.contains(&child.name.as_str()));
    for setting in question.children.iter().filter(|child| !told(child)) {
        let (name, value) = (setting.name.as_str(), setting.value());
        let value = crate::formats::html::text_of(value, "", &mut Notes::default());
        let usual = USUAL.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, usual)| usual);
        if !value.is_empty() && !usual.contains(&value.as_str()) {
            let hint = if name == "hint" { "Hints can be part of the prompt or the explanation." } else { "" };
            notes.lost(&format!("/{name}"), format!("The <{name}> {} is not kept.", quoted(&value)), hint);
        }
    }
    for unit in question.child("units").into_iter().flat_map(|units| units.all("unit")) {
        let what =
            format!("The unit {} is not kept: students give the number alone.", quoted(unit.value_of("unit_name")));
        notes.lost("/units", what, "Name the unit in the prompt.");
    }
}

fn picture(question: &Element, notes: &mut Notes) {
    let [name, content] = [PICTURE[0], PICTURE[1]].map(|part| question.value_of(part));
    if name.is_empty() && content.is_empty() {
        return;
    }
    let what = format!("The picture {} ({} kB) is not kept.", quoted(name), kilobytes(content));
    notes.lost("/image", what, "Describe it in words.");
}
