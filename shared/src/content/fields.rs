//! Reads JSON objects field by field and notes all that is wrong, instead of ending at the first.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::bounds::is_too_long;
use super::{Finding, Flaw};
use crate::schemas::{MAX_NUMBER, as_whole};
use crate::slugs::{MAX_SLUG, is_slug};

/// An object whose fields are being read. What cannot be read becomes a finding and a stand-in value.
pub(super) struct Fields<'json, 'read> {
    object: &'json Map<String, Value>,
    pointer: String,
    known: Vec<&'static str>,
    findings: &'read mut Vec<Finding>,
}

impl<'json, 'read> Fields<'json, 'read> {
    /// Opens the object at `pointer`; a finding if it is none.
    pub(super) fn open(value: &'json Value, pointer: &str, findings: &'read mut Vec<Finding>) -> Option<Self> {
        let Value::Object(object) = value else {
            note(findings, pointer, "It must be an object.");
            return None;
        };
        Some(Self { object, pointer: pointer.to_owned(), known: Vec::new(), findings })
    }

    /// The pointer to the field `name`.
    pub(super) fn at(&self, name: &str) -> String {
        format!("{}/{}", self.pointer, name.replace('~', "~0").replace('/', "~1"))
    }

    /// Notes what is wrong with the field `name`.
    pub(super) fn note(&mut self, name: &str, detail: impl Into<String>) {
        let pointer = self.at(name);
        note(self.findings, &pointer, detail);
    }

    /// Where findings go, to read what lies deeper.
    pub(super) fn findings(&mut self) -> &mut Vec<Finding> {
        self.findings
    }

    /// The value of an optional field; null counts as absent.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<&'json Value> {
        self.known.push(name);
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// The value of a field that must be there.
    pub(super) fn required(&mut self, name: &'static str) -> Option<&'json Value> {
        let value = self.optional(name);
        if value.is_none() {
            self.note(name, "It is missing.");
        }
        value
    }

    /// Text that is not blank.
    pub(super) fn text(&mut self, name: &'static str) -> String {
        let pointer = self.at(name);
        self.required(name).map(|value| text(value, &pointer, self.findings)).unwrap_or_default()
    }

    /// Text that is not blank, if the field is there.
    pub(super) fn optional_text(&mut self, name: &'static str) -> Option<String> {
        let pointer = self.at(name);
        self.optional(name).map(|value| text(value, &pointer, self.findings))
    }

    /// Small letters, digits and single hyphens.
    pub(super) fn slug(&mut self, name: &'static str) -> String {
        let slug = self.text(name);
        if !slug.is_empty() && !is_slug(&slug) {
            self.note(
                name,
                format!("It must be small letters, digits and single hyphens, at most {MAX_SLUG} of them."),
            );
        }
        slug
    }

    /// A whole number within `range`.
    pub(super) fn whole(&mut self, name: &'static str, range: RangeInclusive<i16>) -> i16 {
        let Some(value) = self.required(name) else { return *range.start() };
        let number = value.as_number().and_then(as_whole).and_then(|number| i16::try_from(number).ok());
        number.filter(|number| range.contains(number)).unwrap_or_else(|| {
            self.note(name, format!("It must be a whole number from {} to {}.", range.start(), range.end()));
            *range.start()
        })
    }

    /// A number that is not beyond all measure.
    pub(super) fn number(&mut self, name: &'static str) -> f64 {
        let Some(value) = self.required(name) else { return 0.0 };
        value.as_f64().filter(|number| number.abs() <= MAX_NUMBER).unwrap_or_else(|| {
            self.note(name, format!("It must be a number, at most {MAX_NUMBER:e}."));
            0.0
        })
    }

    /// A list with `count` items.
    pub(super) fn list(&mut self, name: &'static str, count: RangeInclusive<usize>) -> &'json [Value] {
        let Some(value) = self.required(name) else { return &[] };
        let (least, most) = (*count.start(), *count.end());
        match value {
            Value::Array(items) if items.len() > most => {
                self.note(name, format!("It must hold at most {most}; it holds {}.", items.len()));
                &[]
            }
            Value::Array(items) if items.len() >= least => items,
            Value::Array(items) => {
                self.note(name, format!("It must hold at least {least}; it holds {}.", items.len()));
                items
            }
            _ => {
                self.note(name, "It must be a list.");
                &[]
            }
        }
    }

    /// A list of `count` texts, none twice.
    pub(super) fn texts(&mut self, name: &'static str, count: RangeInclusive<usize>) -> Vec<String> {
        let pointer = self.at(name);
        let items = texts(self.list(name, count), &pointer, self.findings);
        no_duplicates(
            items.iter().map(String::as_str),
            |index| format!("{pointer}/{index}"),
            Flaw::Form,
            self.findings,
        );
        items
    }

    /// Ends the reading: a finding for each field that was never asked for.
    pub(super) fn close(self) {
        for name in self.object.keys().filter(|name| !self.known.contains(&name.as_str())) {
            let detail = format!("There is no such field here; known are {}.", self.known.join(", "));
            note(self.findings, &self.at(name), detail);
        }
    }
}

/// Notes a finding.
pub(super) fn note(findings: &mut Vec<Finding>, pointer: &str, detail: impl Into<String>) {
    findings.push(Finding { flaw: Flaw::Form, pointer: pointer.to_owned(), detail: detail.into() });
}

/// Notes that something can be used, but not beside another part.
pub(super) fn note_misfit(findings: &mut Vec<Finding>, pointer: &str, detail: impl Into<String>) {
    findings.push(Finding { flaw: Flaw::Fit, pointer: pointer.to_owned(), detail: detail.into() });
}

/// Each of `items` as text.
pub(super) fn texts(items: &[Value], pointer: &str, findings: &mut Vec<Finding>) -> Vec<String> {
    items.iter().enumerate().map(|(index, item)| text(item, &format!("{pointer}/{index}"), findings)).collect()
}

/// Notes each of `items` that was there before; what could not be read is empty and counts as nothing.
pub(super) fn no_duplicates<'a>(
    items: impl Iterator<Item = &'a str>,
    pointer: impl Fn(usize) -> String,
    flaw: Flaw,
    findings: &mut Vec<Finding>,
) {
    let mut seen = HashSet::new();
    for (index, item) in items.enumerate() {
        if !item.is_empty() && !seen.insert(item) {
            findings.push(Finding { flaw, pointer: pointer(index), detail: format!("\"{item}\" is there twice.") });
        }
    }
}

fn text(value: &Value, pointer: &str, findings: &mut Vec<Finding>) -> String {
    let detail = match value.as_str() {
        None => "It must be a text.",
        Some(text) if text.trim().is_empty() => "It must not be blank.",
        Some(text) if text.contains('\0') => "It must not hold the character NUL.",
        Some(text) if is_too_long(text) => "It is too long.",
        Some(text) => return text.to_owned(),
    };
    note(findings, pointer, detail);
    String::new()
}
