//! From what a parser found to a question that can be stored: names, bounds, and what is left out for a reason.

use std::collections::HashSet;

use super::bounds::fault;
use super::names::{choice_id, fingerprint};
use super::notes::{Notes, quoted};
use super::reading::{Head, Reading};
use crate::content::QuestionEntry;
use crate::content::bounds::{DIFFICULTY, MAX_QUESTIONS, MAX_TEXT, POINTS};
use crate::points::Points;
use crate::practice_tests::{AnswerKey, Choice, ChoicesKey, NumberKey, QuestionKind, TextKey};
use crate::slugs::{numbered, slug_of};

/// How hard a question is if the file does not say: neither easy nor hard.
const DEFAULT_DIFFICULTY: i16 = 2;
/// Characters of the prompt that name a question without a name.
const NAMING_CHARACTERS: usize = 48;

/// A question as a parser found it.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// What the file calls it; may be empty.
    pub(super) name: String,
    /// A name that is meant to last; wins over `name`.
    pub(super) id: String,
    /// What it is about; empty: the file does not say.
    pub(super) topic: String,
    /// From 1 (easy) to 3, if the file says.
    pub(super) difficulty: Option<i16>,
    /// What a right answer earns, if the file says.
    pub(super) points: Option<f64>,
    /// What the student reads.
    pub(super) prompt: String,
    /// How it is answered.
    pub(super) asked: Asked,
    /// Why the answer is right; may be empty.
    pub(super) explanation: String,
}

/// How a question is answered, and what is right.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// One of these texts.
    One(Vec<Offered>),
    /// Some of these texts.
    Some(Vec<Offered>),
    /// A number.
    Number(NumberKey),
    /// Words.
    Text(TextKey),
}

/// A choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offered {
    /// What the student reads.
    pub(super) text: String,
    /// Whether to take it.
    pub(super) verdict: Verdict,
}

/// Whether a choice is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// To be taken.
    Right,
    /// To be left.
    Wrong,
}

impl Offered {
    pub(super) fn right(text: impl Into<String>) -> Self {
        Self { text: text.into(), verdict: Verdict::Right }
    }

    pub(super) fn wrong(text: impl Into<String>) -> Self {
        Self { text: text.into(), verdict: Verdict::Wrong }
    }
}

/// The questions of a file as they come.
#[derive(Debug)]
pub(super) struct Gathering {
    pub(super) notes: Notes,
    pub(super) head: Head,
    questions: Vec<QuestionEntry>,
    slugs: HashSet<String>,
    found: usize,
    /// In characters.
    passage_length: usize,
}

impl Gathering {
    /// Nothing yet.
    pub(super) fn new(notes: Notes) -> Self {
        let (head, questions, slugs) = (Head::default(), Vec::new(), HashSet::new());
        Self { notes, head, questions, slugs, found: 0, passage_length: 0 }
    }

    /// True once a question was there.
    pub(super) fn has_begun(&self) -> bool {
        self.found > 0
    }

    /// A question begins; problems are of it from here on.
    pub(super) fn begin(&mut self, line: Option<usize>, name: &str) {
        self.found += 1;
        self.notes.at(line, name);
    }

    /// Takes a question whose beginning was told, or says why it is left out.
    pub(super) fn take(&mut self, draft: Draft) {
        if self.questions.len() >= MAX_QUESTIONS {
            return self.leave_out("", &too_many(), "Split the file.");
        }
        let slug = self.slug(&draft);
        let topic = topic(&draft, &mut self.notes);
        let points = points(draft.points, &mut self.notes);
        let difficulty = difficulty(draft.difficulty, &mut self.notes);
        let (kind, choices, answer) = key(draft.asked);
        let (prompt, explanation) = (draft.prompt.trim().to_owned(), draft.explanation.trim().to_owned());
        self.take_entry(QuestionEntry { slug, kind, topic, difficulty, prompt, points, choices, answer, explanation });
    }

    /// Takes a question that has all its names, or says why it is left out.
    pub(super) fn take_entry(&mut self, entry: QuestionEntry) {
        let fault = match fault(&entry) {
            None if self.questions.len() >= MAX_QUESTIONS => Some(too_many()),
            None if self.slugs.contains(&entry.slug) => Some(format!("There is another question {}.", entry.slug)),
            fault => fault,
        };
        match fault {
            Some(fault) => self.leave_out("", &fault, ""),
            None => {
                self.slugs.insert(entry.slug.clone());
                self.questions.push(entry);
            }
        }
    }

    /// Takes text that students read before the questions.
    pub(super) fn describe(&mut self, text: &str) {
        if self.found > 0 {
            let what = format!("The text {} stands before all questions now.", quoted(text));
            self.notes.changed("/passage", what, "A test has one passage.");
        }
        let passage = self.head.passage.get_or_insert_default();
        let between = if passage.is_empty() { "" } else { "\n\n" };
        let length = self.passage_length + between.len() + text.chars().count();
        if length > MAX_TEXT {
            let what = format!("The passage is longer than {MAX_TEXT} characters; {} is left out.", quoted(text));
            self.notes.lost("/passage", what, "Shorten it.");
            return;
        }
        self.passage_length = length;
        passage.extend([between, text]);
    }

    /// The question whose beginning was told is not taken.
    pub(super) fn leave_out(&mut self, pointer: &str, why: &str, hint: &str) {
        self.notes.lost(pointer, format!("The question is left out: {}", lower_first(why)), hint);
    }

    /// The end.
    pub(super) fn finish(mut self) -> Reading {
        self.head.passage = self.head.passage.filter(|passage| !passage.is_empty());
        let (head, questions, found) = (self.head, self.questions, self.found);
        Reading { format: "", head, questions, found, problems: self.notes.finish() }
    }

    /// A slug that no other question has.
    fn slug(&mut self, draft: &Draft) -> String {
        let beginning: String = draft.prompt.chars().take(NAMING_CHARACTERS).collect();
        let named = slug_of(&draft.id).or_else(|| slug_of(&draft.name));
        let slug = named
            .clone()
            .or_else(|| slug_of(&beginning))
            .unwrap_or_else(|| format!("q-{}", fingerprint(&draft.prompt)));
        if !self.slugs.contains(&slug) {
            return slug;
        }
        let free = (2..).map(|number| numbered(&slug, number)).find(|slug| !self.slugs.contains(slug));
        let free = free.expect("there are more numbers than questions");
        if named.is_some() {
            self.notes.changed("/name", format!("Another question is called so; this one is now {free}."), "");
        }
        free
    }
}

fn topic(draft: &Draft, notes: &mut Notes) -> String {
    const NO_TOPIC: &str = "general";
    if draft.topic.trim().is_empty() {
        return NO_TOPIC.to_owned();
    }
    slug_of(&draft.topic).unwrap_or_else(|| {
        let what =
            format!("The topic {} cannot be written in small letters; it is now {NO_TOPIC}.", quoted(&draft.topic));
        notes.changed("/topic", what, "");
        NO_TOPIC.to_owned()
    })
}

#[expect(clippy::cast_possible_truncation, reason = "it is between 1 and 100")]
fn points(points: Option<f64>, notes: &mut Notes) -> Points {
    let (asked, least, most) = (points.unwrap_or(1.0), f64::from(*POINTS.start()), f64::from(*POINTS.end()));
    let whole = if asked.is_finite() { asked.round().clamp(least, most) } else { 1.0 };
    #[expect(clippy::float_cmp, reason = "a whole number is exactly itself")]
    if whole != asked {
        notes.changed(
            "/points",
            format!("It earned {asked}; it earns {whole} now, a whole number from {least} to {most}."),
            "",
        );
    }
    Points(whole as i32 * 100)
}

fn difficulty(difficulty: Option<i16>, notes: &mut Notes) -> i16 {
    let asked = difficulty.unwrap_or(DEFAULT_DIFFICULTY);
    let possible = asked.clamp(*DIFFICULTY.start(), *DIFFICULTY.end());
    if possible != asked {
        notes.changed("/difficulty", format!("The difficulty was {asked}; it is {possible} now, from 1 to 3."), "");
    }
    possible
}

fn key(asked: Asked) -> (QuestionKind, Vec<Choice>, AnswerKey) {
    let (kind, offered) = match asked {
        Asked::Number(key) => return (QuestionKind::Numeric, Vec::new(), AnswerKey::Number(key)),
        Asked::Text(key) => return (QuestionKind::FreeText, Vec::new(), AnswerKey::Text(key)),
        Asked::One(offered) => (QuestionKind::SingleChoice, offered),
        Asked::Some(offered) => (QuestionKind::MultipleChoice, offered),
    };
    let right = |(index, choice): (usize, &Offered)| (choice.verdict == Verdict::Right).then(|| choice_id(index));
    let choice_ids = offered.iter().enumerate().filter_map(right).collect();
    let choice =
        |(index, choice): (usize, Offered)| Choice { id: choice_id(index), text: choice.text.trim().to_owned() };
    let choices = offered.into_iter().enumerate().map(choice).collect();
    (kind, choices, AnswerKey::Choices(ChoicesKey { choice_ids }))
}

fn too_many() -> String {
    format!("A test has no more than {MAX_QUESTIONS} questions.")
}

fn lower_first(sentence: &str) -> String {
    let mut characters = sentence.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}
