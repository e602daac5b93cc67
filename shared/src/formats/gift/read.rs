//! Cuts a file into questions, with their categories and the comments that say something.

use super::question;
use crate::formats::draft::Gathering;
use crate::formats::notes::{Notes, quoted};
use crate::formats::reading::Reading;

/// What stands between two blank lines.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// Its first line, from 1.
    pub(super) line: usize,
    /// Without comments.
    pub(super) text: String,
    /// `[id:…]` of its comments.
    pub(super) id: String,
    /// `[tag:…]` of its comments.
    pub(super) tags: Vec<String>,
}

/// Reads a file.
pub(super) fn read(text: &str, notes: Notes) -> Reading {
    let mut gathering = Gathering::new(notes);
    let mut topic = String::new();
    let mut block = Block::default();
    for (number, line) in (1..).zip(text.lines().chain([""])) {
        let line = line.trim();
        if line.is_empty() {
            end(&mut block, &topic, &mut gathering);
        } else if let Some(comment) = line.strip_prefix("//") {
            said(comment, &mut block);
        } else if let Some(category) = line.strip_prefix("$CATEGORY:") {
            end(&mut block, &topic, &mut gathering);
            topic = category_topic(category, number, &mut gathering.notes);
        } else {
            if block.text.is_empty() {
                block.line = number;
            } else {
                block.text.push('\n');
            }
            block.text.push_str(line);
        }
    }
    gathering.finish()
}

/// Comments before a question belong to it, also over a blank line.
fn end(block: &mut Block, topic: &str, gathering: &mut Gathering) {
    if !block.text.is_empty() {
        question::read(&std::mem::take(block), topic, gathering);
        gathering.notes.of_the_file();
    }
}

fn said(comment: &str, block: &mut Block) {
    for item in comment.split('[').skip(1).filter_map(|item| item.split(']').next()) {
        match item.split_once(':') {
            Some(("id", id)) => id.trim().clone_into(&mut block.id),
            Some(("tag", tag)) => block.tags.push(tag.trim().to_owned()),
            _ => {}
        }
    }
}

/// The last part of a category's path. `$course$/top/Default for Biology` and the like say nothing.
pub(crate) fn category_topic(path: &str, line: usize, notes: &mut Notes) -> String {
    let silent = |part: &str| part.is_empty() || part == "top" || (part.starts_with('$') && part.ends_with('$'));
    let parts: Vec<_> = path.split('/').map(str::trim).filter(|part| !silent(part)).collect();
    let topic = parts.last().copied().unwrap_or_default();
    if parts.len() > 1 {
        notes.at(Some(line), "");
        let what = format!("Of the category {} only the last part is kept, as the topic.", quoted(&parts.join("/")));
        notes.changed("/topic", what, "");
        notes.of_the_file();
    }
    topic.to_owned()
}
