//! From the text of a file to a test that cannot be wrong.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::bounds::{
    DIFFICULTY, MAX_CHOICES, MAX_GROUPS, MAX_KEY_POINTS, MAX_MINUTES, MAX_QUESTIONS, MAX_TERMS, POINTS,
};
use super::fields::{Fields, no_duplicates, note, note_misfit, texts};
use super::{Finding, Flaw, QuestionEntry, TestFile};
use crate::points::Points;
use crate::practice_tests::{
    AnswerKey, Choice, ChoicesKey, KeyPoint, LateAnswers, NumberKey, QuestionKind, TextKey, TimeLimit,
};

/// Reads and validates a test file.
///
/// # Errors
/// All that is wrong, at least one. If it is not JSON at all, one finding with line and column.
pub fn read(json: &str) -> Result<TestFile, Vec<Finding>> {
    let value: Value = serde_json::from_str(json).map_err(|error| {
        vec![Finding { flaw: Flaw::Form, pointer: String::new(), detail: format!("It is not JSON: {error}.") }]
    })?;
    check(&value)
}

/// Validates what a test file holds.
///
/// # Errors
/// All that is wrong, at least one.
pub fn check(value: &Value) -> Result<TestFile, Vec<Finding>> {
    let mut findings = Vec::new();
    match test(value, &mut findings) {
        Some(test) if findings.is_empty() => Ok(test),
        _ => Err(findings),
    }
}

fn test(value: &Value, findings: &mut Vec<Finding>) -> Option<TestFile> {
    let mut fields = Fields::open(value, "", findings)?;
    let test = TestFile {
        slug: fields.slug("slug"),
        title: fields.text("title"),
        subject: fields.slug("subject"),
        description: fields.text("description"),
        passage: fields.optional_text("passage"),
        time_limit: time_limit(&mut fields),
        questions: questions(&mut fields),
    };
    fields.close();
    Some(test)
}

fn time_limit(fields: &mut Fields<'_, '_>) -> Option<TimeLimit> {
    let pointer = fields.at("time_limit");
    let value = fields.optional("time_limit")?;
    let mut fields = Fields::open(value, &pointer, fields.findings())?;
    let minutes = fields.whole("minutes", 1..=MAX_MINUTES);
    let late = fields
        .optional("late")
        .map_or(Some(LateAnswers::default()), |value| serde_json::from_value(value.clone()).ok());
    if late.is_none() {
        fields.note("late", "It must be refuse or mark.");
    }
    fields.close();
    Some(TimeLimit { minutes, late: late? })
}

fn questions(fields: &mut Fields<'_, '_>) -> Vec<QuestionEntry> {
    let read = each(fields, "questions", 1..=MAX_QUESTIONS, question);
    unique(&read, |question| &question.slug, fields, "questions", "slug");
    read.into_iter().flatten().collect()
}

/// Reads each item of a list of objects.
fn each<T>(
    fields: &mut Fields<'_, '_>,
    name: &'static str,
    count: RangeInclusive<usize>,
    read: impl Fn(&Value, &str, &mut Vec<Finding>) -> Option<T>,
) -> Vec<Option<T>> {
    let pointer = fields.at(name);
    let items = fields.list(name, count).iter().enumerate();
    items.map(|(index, item)| read(item, &format!("{pointer}/{index}"), fields.findings())).collect()
}

/// Notes each item of the list `name` whose `part` another had before.
fn unique<T>(items: &[Option<T>], value: impl Fn(&T) -> &str, fields: &mut Fields<'_, '_>, name: &str, part: &str) {
    let pointer = fields.at(name);
    let values = items.iter().map(|item| item.as_ref().map_or("", &value));
    no_duplicates(values, |index| format!("{pointer}/{index}/{part}"), Flaw::Fit, fields.findings());
}

fn question(value: &Value, pointer: &str, findings: &mut Vec<Finding>) -> Option<QuestionEntry> {
    let mut fields = Fields::open(value, pointer, findings)?;
    let kind = kind(&mut fields);
    let slug = fields.slug("slug");
    let topic = fields.slug("topic");
    let difficulty = fields.whole("difficulty", DIFFICULTY);
    let prompt = fields.text("prompt");
    let points = Points(i32::from(fields.whole("points", POINTS)) * 100);
    let explanation = fields.text("explanation");
    let (choices, answer) = match kind {
        Some(kind) => (choices(kind, &mut fields), answer(kind, &mut fields)),
        None => {
            fields.optional("choices");
            (Vec::new(), fields.required("answer").and(None))
        }
    };
    if let Some(AnswerKey::Choices(key)) = &answer {
        named_choices_exist(key, &choices, &mut fields);
    }
    fields.close();
    Some(QuestionEntry { slug, kind: kind?, topic, difficulty, prompt, points, choices, answer: answer?, explanation })
}

fn kind(fields: &mut Fields<'_, '_>) -> Option<QuestionKind> {
    let value = fields.required("kind")?;
    let kind = serde_json::from_value(value.clone()).ok();
    if kind.is_none() {
        fields.note("kind", "It must be single_choice, multiple_choice, numeric or free_text.");
    }
    kind
}

fn has_choices(kind: QuestionKind) -> bool {
    matches!(kind, QuestionKind::SingleChoice | QuestionKind::MultipleChoice)
}

fn choices(kind: QuestionKind, fields: &mut Fields<'_, '_>) -> Vec<Choice> {
    if !has_choices(kind) {
        let empty = fields.optional("choices").is_none_or(|value| value.as_array().is_some_and(Vec::is_empty));
        if !empty {
            fields.note("choices", "Only single_choice and multiple_choice have choices.");
        }
        return Vec::new();
    }
    let read = each(fields, "choices", 2..=MAX_CHOICES, choice);
    unique(&read, |choice| &choice.id, fields, "choices", "id");
    unique(&read, |choice| &choice.text, fields, "choices", "text");
    read.into_iter().flatten().collect()
}

fn choice(value: &Value, pointer: &str, findings: &mut Vec<Finding>) -> Option<Choice> {
    let mut fields = Fields::open(value, pointer, findings)?;
    let choice = Choice { id: fields.slug("id"), text: fields.text("text") };
    fields.close();
    Some(choice)
}

fn answer(kind: QuestionKind, fields: &mut Fields<'_, '_>) -> Option<AnswerKey> {
    let pointer = fields.at("answer");
    let value = fields.required("answer")?;
    let mut fields = Fields::open(value, &pointer, fields.findings())?;
    let answer = match kind {
        QuestionKind::SingleChoice | QuestionKind::MultipleChoice => AnswerKey::Choices(choices_key(kind, &mut fields)),
        QuestionKind::Numeric => AnswerKey::Number(number_key(&mut fields)),
        QuestionKind::FreeText => AnswerKey::Text(text_key(&mut fields)),
    };
    fields.close();
    Some(answer)
}

fn choices_key(kind: QuestionKind, fields: &mut Fields<'_, '_>) -> ChoicesKey {
    let choice_ids = fields.texts("choice_ids", 1..=MAX_CHOICES);
    if kind == QuestionKind::SingleChoice && choice_ids.len() > 1 {
        fields.note("choice_ids", "A single_choice has one right choice.");
    }
    ChoicesKey { choice_ids }
}

fn named_choices_exist(key: &ChoicesKey, choices: &[Choice], fields: &mut Fields<'_, '_>) {
    for (index, id) in key.choice_ids.iter().enumerate() {
        if !id.is_empty() && !choices.iter().any(|choice| choice.id == *id) {
            let pointer = format!("{}/choice_ids/{index}", fields.at("answer"));
            note_misfit(fields.findings(), &pointer, format!("There is no choice \"{id}\"."));
        }
    }
}

fn number_key(fields: &mut Fields<'_, '_>) -> NumberKey {
    let key = NumberKey { number: fields.number("number"), tolerance: fields.number("tolerance") };
    if key.tolerance < 0.0 {
        fields.note("tolerance", "It must not be negative.");
    }
    key
}

fn text_key(fields: &mut Fields<'_, '_>) -> TextKey {
    let model_answer = fields.text("model_answer");
    let read = each(fields, "key_points", 1..=MAX_KEY_POINTS, key_point);
    unique(&read, |point| &point.id, fields, "key_points", "id");
    TextKey { model_answer, key_points: read.into_iter().flatten().collect() }
}

fn key_point(value: &Value, pointer: &str, findings: &mut Vec<Finding>) -> Option<KeyPoint> {
    let mut fields = Fields::open(value, pointer, findings)?;
    let (id, text) = (fields.slug("id"), fields.text("text"));
    let pointer = fields.at("terms");
    let groups = fields.list("terms", 1..=MAX_GROUPS).iter().enumerate();
    let findings = fields.findings();
    let terms = groups.map(|(index, group)| term_group(group, &format!("{pointer}/{index}"), findings)).collect();
    fields.close();
    Some(KeyPoint { id, text, terms })
}

fn term_group(value: &Value, pointer: &str, findings: &mut Vec<Finding>) -> Vec<String> {
    match value.as_array() {
        Some(terms) if (1..=MAX_TERMS).contains(&terms.len()) => texts(terms, pointer, findings),
        _ => {
            note(findings, pointer, format!("It must be a list of 1 to {MAX_TERMS} terms."));
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests;
