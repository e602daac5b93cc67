//! What [`super::check`] takes, as a schema. What it cannot say is how parts must fit: that names differ, and that a key
//! names choices which are there.

use std::ops::RangeInclusive;

use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

use super::bounds::{DIFFICULTY, MAX_CHOICES, MAX_MINUTES, MAX_TERMS, MAX_TEXT, POINTS};
use crate::schemas::{self, MAX_NUMBER, closed, list, nullable, one_of, set, slug, whole, written};
use crate::slugs::MAX_SLUG;

/// The schema of a test file.
#[must_use]
pub fn schema() -> RefOr<Schema> {
    let fields = [
        ("slug", slug(MAX_SLUG)),
        ("title", written(MAX_TEXT)),
        ("subject", slug(MAX_SLUG)),
        ("description", written(MAX_TEXT)),
        ("passage", nullable(written(MAX_TEXT))),
        ("time_limit", nullable(time_limit())),
        ("questions", many(question(), 1)),
    ];
    closed(&["slug", "title", "subject", "description", "questions"], fields).into()
}

/// There is a bound above, too. That is not said of lists of objects and of lists: who tries more meets the limit on bodies first.
fn many(items: RefOr<Schema>, least: usize) -> RefOr<Schema> {
    ArrayBuilder::new().items(items).min_items(Some(least)).into()
}

fn time_limit() -> RefOr<Schema> {
    let late = nullable(one_word(&["refuse", "mark"]));
    closed(&["minutes"], [("minutes", whole(1..=MAX_MINUTES.into())), ("late", late)]).into()
}

fn question() -> RefOr<Schema> {
    let choices = || many(choice(), 2);
    let none = || nullable(list(choice(), 0..=0).into());
    one_of([
        asked("single_choice", choices(), choices_key(1)),
        asked("multiple_choice", choices(), choices_key(MAX_CHOICES)),
        asked("numeric", none(), number_key()),
        asked("free_text", none(), text_key()),
    ])
}

fn asked(kind: &str, choices: RefOr<Schema>, answer: RefOr<Schema>) -> RefOr<Schema> {
    let fields = [
        ("slug", slug(MAX_SLUG)),
        ("kind", one_word(&[kind])),
        ("topic", slug(MAX_SLUG)),
        ("difficulty", whole(wide(&DIFFICULTY))),
        ("prompt", written(MAX_TEXT)),
        ("points", whole(wide(&POINTS))),
        ("choices", choices),
        ("answer", answer),
        ("explanation", written(MAX_TEXT)),
    ];
    let mut required = vec!["slug", "kind", "topic", "difficulty", "prompt", "points", "answer", "explanation"];
    if kind.ends_with("_choice") {
        required.push("choices");
    }
    closed(&required, fields).into()
}

fn wide(range: &RangeInclusive<i16>) -> RangeInclusive<i32> {
    i32::from(*range.start())..=i32::from(*range.end())
}

fn choice() -> RefOr<Schema> {
    closed(&["id", "text"], [("id", slug(MAX_SLUG)), ("text", written(MAX_TEXT))]).into()
}

fn choices_key(most: usize) -> RefOr<Schema> {
    closed(&["choice_ids"], [("choice_ids", set(slug(MAX_SLUG), 1..=most).into())]).into()
}

fn number_key() -> RefOr<Schema> {
    let number = schemas::number(-MAX_NUMBER..=MAX_NUMBER);
    closed(&["number", "tolerance"], [("number", number), ("tolerance", schemas::number(0.0..=MAX_NUMBER))]).into()
}

fn text_key() -> RefOr<Schema> {
    let points = many(key_point(), 1);
    closed(&["model_answer", "key_points"], [("model_answer", written(MAX_TEXT)), ("key_points", points)]).into()
}

fn key_point() -> RefOr<Schema> {
    let group = list(written(MAX_TEXT), 1..=MAX_TERMS).into();
    let fields = [("id", slug(MAX_SLUG)), ("text", written(MAX_TEXT)), ("terms", many(group, 1))];
    closed(&["id", "text", "terms"], fields).into()
}

fn one_word(words: &[&str]) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.iter().copied())).into()
}
