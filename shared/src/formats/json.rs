//! Our own JSON: a whole test, as `content/*.json` has it. What a question lacks leaves out that question alone.

use serde_json::{Map, Value, json};

use super::decode::is_noise;
use super::draft::Gathering;
use super::notes::Notes;
use super::reading::Reading;
use super::{Format, MAX_FILE};
use crate::content::{self, Finding, TestFile};

/// The row of the table.
pub(super) const FORMAT: Format = Format {
    name: "json",
    label: "Bellwork's JSON",
    extensions: &["json"],
    media_types: &["application/json"],
    sniff: |text| text.strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with(['"', '}'])),
    read,
    write: |test, _| write(test),
};

/// Stands for a text that may be blank here, but not in a test that somebody writes by hand.
const ABSENT: &str = "-";

/// Indented, unless that would make the file too large to be read.
fn write(test: &TestFile) -> String {
    const WHY: &str = "a test holds only strings, finite numbers and lists";
    let indented = escaped(&serde_json::to_string_pretty(test).expect(WHY));
    if indented.len() < MAX_FILE { indented + "\n" } else { escaped(&serde_json::to_string(test).expect(WHY)) + "\n" }
}

/// `json` with names for the characters that are removed from every file that is read; such are only in its texts.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if is_noise(character) {
            escaped += &format!("\\u{:04x}", u32::from(character));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

fn read(text: &str, notes: Notes) -> Reading {
    let mut gathering = Gathering::new(notes);
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(test)) => read_test(test, &mut gathering),
        Ok(_) => gathering.notes.lost("", "The file is not an object with a test.", "See content/*.json for examples."),
        Err(error) => gathering.notes.lost("", format!("The file is not JSON: {error}."), "Correct that place."),
    }
    gathering.finish()
}

fn read_test(mut test: Map<String, Value>, gathering: &mut Gathering) {
    let questions = test.remove("questions").unwrap_or_default();
    read_head(test, gathering);
    let Value::Array(questions) = questions else {
        return gathering.notes.lost("/questions", "It must be a list.", "");
    };
    for (index, question) in questions.into_iter().enumerate() {
        let name = question["slug"].as_str().unwrap_or_default().to_owned();
        gathering.begin(None, &name);
        read_question(index, question, gathering);
    }
}

/// What is wrong with the test as a whole leaves out that part: the one who imports may give a better one.
fn read_head(mut head: Map<String, Value>, gathering: &mut Gathering) {
    let no_description = may_be_blank(&mut head, "description");
    let mut whole = sample();
    let fields: Vec<String> = head.keys().cloned().collect();
    let known = whole.as_object_mut().expect("the sample is an object");
    known.extend(head);
    let findings = content::read(&whole.to_string()).err().unwrap_or_default();
    for Finding { pointer, detail, .. } in &findings {
        gathering.notes.lost(pointer, format!("It is not kept: {detail}"), "");
    }
    let faulty = |name: &str| findings.iter().any(|finding| finding.pointer == format!("/{name}"));
    let text = |name: &str| {
        let given = fields.iter().any(|field| field == name) && !faulty(name);
        whole[name].as_str().filter(|_| given).map(str::to_owned)
    };
    gathering.head.slug = text("slug");
    gathering.head.title = text("title");
    gathering.head.subject = text("subject");
    gathering.head.description = text("description").filter(|_| !no_description);
    gathering.head.passage = text("passage");
    if !findings.iter().any(|finding| finding.pointer.starts_with("/time_limit")) {
        gathering.head.time_limit = serde_json::from_value(whole["time_limit"].clone()).ok();
    }
}

fn read_question(index: usize, mut question: Value, gathering: &mut Gathering) {
    let no_explanation = question.as_object_mut().is_some_and(|question| may_be_blank(question, "explanation"));
    let mut whole = sample();
    whole["questions"] = json!([question]);
    match content::read(&whole.to_string()) {
        Ok(mut test) => {
            let mut entry = test.questions.remove(0);
            if no_explanation {
                entry.explanation.clear();
            }
            gathering.take_entry(entry);
        }
        Err(findings) => {
            for Finding { pointer, detail, .. } in findings {
                let pointer = pointer.replacen("/questions/0", &format!("/questions/{index}"), 1);
                gathering.leave_out(&pointer, &detail, "");
            }
        }
    }
}

/// True if the text was blank or absent; it is then something else for the time of reading.
fn may_be_blank(object: &mut Map<String, Value>, name: &str) -> bool {
    let blank = object.get(name).is_none_or(|value| value.as_str().is_some_and(|text| text.trim().is_empty()));
    if blank {
        object.insert(name.to_owned(), ABSENT.into());
    }
    blank
}

/// A test without fault, in which one part at a time is what was read.
fn sample() -> Value {
    json!({
        "slug": "sample", "title": ABSENT, "subject": "sample", "description": ABSENT,
        "questions": [{
            "slug": "sample", "kind": "numeric", "topic": "sample", "difficulty": 1, "prompt": ABSENT, "points": 1,
            "answer": { "number": 0, "tolerance": 0 }, "explanation": ABSENT,
        }],
    })
}
