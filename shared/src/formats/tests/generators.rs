//! Tests of all kinds of questions, whose texts are full of what formats are built of.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::content::{QuestionEntry, TestFile};
use crate::formats::html;
use crate::formats::names::choice_id;
use crate::points::Points;
use crate::practice_tests::{AnswerKey, Choice, ChoicesKey, KeyPoint, NumberKey, QuestionKind, TextKey};

/// What formats are built of, and what breaks them.
const PIECES: &[&str] = &[
    "=",
    "~",
    "#",
    "####",
    "{",
    "}",
    ":",
    "::",
    "\\",
    "\\n",
    "->",
    "..",
    "%50%",
    "[html]",
    "[plain]",
    "[",
    "]",
    "|",
    "<b>",
    "</text>",
    "<",
    ">",
    "&amp;",
    "&",
    "]]>",
    "<![CDATA[",
    "<!DOCTYPE a>",
    "\"",
    "'",
    ",",
    ";",
    "\t",
    "\n",
    "//",
    "$CATEGORY: ",
    "- ",
    "@",
    "+",
    "1",
    "0.5",
    "T",
    "TRUE",
    "*",
    "Model answer:",
    "Key points:",
    "a",
    "b",
    "a;b",
    "2",
    "word",
    "Größe",
    "😀",
    " ",
    "（",
    "＝",
    "<question type=\"essay\">",
    "<quiz>",
    "</quiz>",
    "</question>",
    "<answer fraction=\"100\">",
];

pub(super) fn soup() -> impl Strategy<Value = String> {
    vec(select(PIECES), 1..12).prop_map(|pieces| pieces.concat())
}

/// A text that is there and has no white space at its ends.
fn text() -> impl Strategy<Value = String> {
    soup().prop_map(|text| text.trim().to_owned()).prop_filter("it is blank", |text| !text.is_empty())
}

fn choices() -> impl Strategy<Value = (QuestionKind, Vec<Choice>, AnswerKey)> {
    (vec(text(), 2..7), vec(any::<bool>(), 7), any::<prop::sample::Index>(), 0..4).prop_filter_map(
        "two choices are the same",
        |(texts, taken, one, shape)| {
            let texts = if shape == 0 { vec!["True".to_owned(), "False".to_owned()] } else { texts };
            let distinct: std::collections::HashSet<_> = texts.iter().collect();
            if distinct.len() < texts.len() {
                return None;
            }
            let one = one.index(texts.len());
            let several = shape == 3;
            let right = |index: &usize| *index == one || (several && taken[*index]);
            let choice_ids = (0..texts.len()).filter(right).map(choice_id).collect();
            let kind = if several { QuestionKind::MultipleChoice } else { QuestionKind::SingleChoice };
            let choices = texts.into_iter().enumerate().map(|(index, text)| Choice { id: choice_id(index), text });
            Some((kind, choices.collect(), AnswerKey::Choices(ChoicesKey { choice_ids })))
        },
    )
}

fn number() -> impl Strategy<Value = (QuestionKind, Vec<Choice>, AnswerKey)> {
    (any::<i32>(), 0..10_000).prop_map(|(number, tolerance)| {
        let key = NumberKey { number: f64::from(number) / 1000.0, tolerance: f64::from(tolerance) / 100.0 };
        (QuestionKind::Numeric, Vec::new(), AnswerKey::Number(key))
    })
}

/// Key points as any format of ours holds them.
fn key_points() -> impl Strategy<Value = (QuestionKind, Vec<Choice>, AnswerKey)> {
    let terms = || vec(vec(text(), 1..4), 1..4);
    (text(), vec((text(), terms()), 1..4)).prop_map(|(model_answer, points)| {
        let point = |(index, (text, terms))| KeyPoint { id: format!("k{}", index + 1), text, terms };
        let key_points = points.into_iter().enumerate().map(point).collect();
        (QuestionKind::FreeText, Vec::new(), AnswerKey::Text(TextKey { model_answer, key_points }))
    })
}

/// Words of which any is right, which GIFT holds too.
fn short_answer() -> impl Strategy<Value = (QuestionKind, Vec<Choice>, AnswerKey)> {
    let term = text().prop_filter("a short answer cannot say this", |text| {
        !text.contains(['*', '\n']) && !text.contains("->") && !html::looks_like_html(text)
    });
    vec(term, 1..4).prop_map(|terms| {
        let (model_answer, text) = (terms[0].clone(), terms[0].clone());
        let key_points = vec![KeyPoint { id: "k1".to_owned(), text, terms: vec![terms] }];
        (QuestionKind::FreeText, Vec::new(), AnswerKey::Text(TextKey { model_answer, key_points }))
    })
}

pub(super) fn any_kind() -> BoxedStrategy<(QuestionKind, Vec<Choice>, AnswerKey)> {
    prop_oneof![choices(), number(), key_points(), short_answer()].boxed()
}

pub(super) fn kinds_of_gift() -> BoxedStrategy<(QuestionKind, Vec<Choice>, AnswerKey)> {
    prop_oneof![choices(), number(), short_answer()].boxed()
}

pub(super) fn test_of(kind: BoxedStrategy<(QuestionKind, Vec<Choice>, AnswerKey)>) -> impl Strategy<Value = TestFile> {
    let explanation = prop_oneof![Just(String::new()), text()];
    let question = (kind, text(), explanation, 1..=3_i16, 1..=100, select(&["cells", "linear-equations"][..]));
    (vec(question, 1..6), prop::option::of(text())).prop_map(|(questions, passage)| {
        let entry = |(index, ((kind, choices, answer), prompt, explanation, difficulty, points, topic))| {
            let (slug, topic): (String, &str) = (format!("q-{index}"), topic);
            let (topic, points) = (topic.to_owned(), Points(points * 100));
            QuestionEntry { slug, kind, topic, difficulty, prompt, points, choices, answer, explanation }
        };
        TestFile {
            slug: "sample".to_owned(),
            title: "Sample".to_owned(),
            subject: "biology".to_owned(),
            description: "All kinds.".to_owned(),
            passage,
            time_limit: None,
            questions: questions.into_iter().enumerate().map(entry).collect(),
        }
    })
}
