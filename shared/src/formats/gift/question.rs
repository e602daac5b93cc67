//! One question of GIFT: `::title::[markup]text {answers} more text`.

use super::answers;
use super::read::Block;
use super::syntax::{Markup, find, find_last, markup, plain};
use crate::formats::draft::{Draft, Gathering};
use crate::formats::notes::Notes;

/// What stands where the answer is missing in a sentence.
const GAP: &str = "_____";

/// The parts of a question, as they are written.
pub(super) struct Parts<'a> {
    pub(super) title: &'a str,
    pub(super) markup: Markup,
    pub(super) prompt: String,
    pub(super) answers: &'a str,
    pub(super) general_feedback: String,
}

/// Reads the question of `block`, or says why it is left out.
pub(super) fn read(block: &Block, topic: &str, gathering: &mut Gathering) {
    let (title, text) = title(&block.text);
    let name =
        if block.id.is_empty() { plain(title, Markup::Plain, "", &mut Notes::default()) } else { block.id.clone() };
    let Some((before, answers, after)) = braces(text) else {
        return without_answers(block, &name, text, gathering);
    };
    gathering.begin(Some(block.line), &name);
    if find(answers, "{").is_some() || find(answers, "}").is_some() {
        let hint = "Write one question for each gap; a brace that is meant as such is written \\{ or \\}.";
        return gathering.leave_out("/answers", "It has more than one answer block.", hint);
    }
    let (markup, _) = markup(before, Markup::Auto);
    let gap = if after.trim().is_empty() { String::new() } else { format!(" {GAP} {}", after.trim()) };
    let prompt = plain(&format!("{}{gap}", before.trim()), markup, "/prompt", &mut gathering.notes);
    let (answers, feedback) = find(answers, "####").map_or((answers, ""), |at| (&answers[..at], &answers[at + 4..]));
    let general_feedback = plain(feedback, markup, "/explanation", &mut gathering.notes);
    let parts = Parts { title: &name, markup, prompt, answers: answers.trim(), general_feedback };
    if let Some(mut draft) = answers::read(&parts, gathering) {
        block.id.clone_into(&mut draft.id);
        topic.clone_into(&mut draft.topic);
        tags(&block.tags, &mut draft, &mut gathering.notes);
        gathering.take(draft);
    }
}

fn title(text: &str) -> (&str, &str) {
    let titled = text.strip_prefix("::").and_then(|rest| Some((rest, find(rest, "::")?)));
    titled.map_or(("", text), |(rest, end)| (rest[..end].trim(), &rest[end + 2..]))
}

/// What stands before, between and behind the braces.
fn braces(text: &str) -> Option<(&str, &str, &str)> {
    let (open, close) = (find(text, "{")?, find_last(text, '}')?);
    (open < close).then(|| (&text[..open], &text[open + 1..close], &text[close + 1..]))
}

/// Text without answers describes what follows: the passage that the questions are about.
fn without_answers(block: &Block, name: &str, text: &str, gathering: &mut Gathering) {
    if find(text, "{").is_some() || find(text, "}").is_some() {
        gathering.begin(Some(block.line), name);
        let hint = "There may be no blank line within a question; a brace that is meant as such is written \\{ or \\}.";
        return gathering.leave_out("/answers", "A brace has no partner.", hint);
    }
    gathering.notes.at(Some(block.line), name);
    let text = plain(text, Markup::Auto, "/passage", &mut gathering.notes);
    gathering.describe(&text);
}

/// Our own tags say what GIFT has no place for; students see no tags, so others are lost.
pub(crate) fn tags(tags: &[String], draft: &mut Draft, notes: &mut Notes) {
    for tag in tags.iter().filter(|tag| !tag.is_empty()) {
        match tag.split_once(':').map(|(name, value)| (name, value.trim())) {
            Some(("difficulty", value)) if value.parse::<i16>().is_ok() => draft.difficulty = value.parse().ok(),
            Some(("points", value)) if value.parse::<f64>().is_ok() => draft.points = value.parse().ok(),
            Some(("topic", value)) if !value.is_empty() => value.clone_into(&mut draft.topic),
            _ => notes.lost("/tags", format!("The tag “{tag}” is not kept."), "Topics come from categories."),
        }
    }
}
