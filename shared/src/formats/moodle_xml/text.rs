//! Texts of Moodle with their format, and the files in them.

use std::borrow::Cow;
use std::collections::HashSet;

use super::tree::Element;
use crate::formats::html;
use crate::formats::notes::Notes;

/// What people read of `element`; what cannot be shown is noted at `pointer`. None has no text.
pub(super) fn plain(element: Option<&Element>, pointer: &str, notes: &mut Notes) -> String {
    let Some(element) = element else { return String::new() };
    let raw = element.value();
    files(element, raw, pointer, notes);
    let text = match element.attribute("format") {
        "plain_text" => raw.to_owned(),
        "markdown" if raw.contains(['*', '_', '`', '#', '[', '!', '>']) => {
            let what = "The text is Markdown; its marks are shown as they are written.";
            notes.changed(pointer, what, "Look whether it still reads well.");
            raw.to_owned()
        }
        "html" => html::text_of(raw, pointer, notes),
        _ if html::looks_like_html(raw) => html::text_of(raw, pointer, notes),
        _ => raw.to_owned(),
    };
    text.chars().filter(|character| !crate::formats::decode::is_noise(*character)).collect::<String>().trim().to_owned()
}

/// A file that the text shows is told where it stands in the text.
fn files(element: &Element, text: &str, pointer: &str, notes: &mut Notes) {
    if element.child("file").is_none() {
        return;
    }
    let shown = sources(text);
    for file in element.all("file").filter(|file| !shown.contains(file.attribute("name"))) {
        let what = format!("The file “{}” ({} kB) is not kept.", file.attribute("name"), kilobytes(&file.text));
        notes.lost(pointer, what, "Describe it in words.");
    }
}

/// The names of the files that `text` shows by `src="…/name"`, found in one pass.
fn sources(text: &str) -> HashSet<Cow<'_, str>> {
    let (mut names, mut is_source) = (HashSet::new(), false);
    let ends = |character: char| character.is_whitespace() || matches!(character, '"' | '\'' | '=' | '<' | '>');
    for word in text.split(ends).filter(|word| !word.is_empty()) {
        if is_source {
            names.insert(percent_decoded(word.rsplit('/').next().unwrap_or_default()));
        }
        is_source = word.eq_ignore_ascii_case("src");
    }
    names
}

/// `name` as it was before it became part of an address.
fn percent_decoded(name: &str) -> Cow<'_, str> {
    let Some((before, rest)) = name.split_once('%') else { return name.into() };
    let mut bytes = before.as_bytes().to_vec();
    for piece in rest.split('%') {
        match piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend(&piece.as_bytes()[2..]);
            }
            None => bytes.extend([b"%", piece.as_bytes()].concat()),
        }
    }
    String::from_utf8(bytes).map_or(name.into(), Cow::Owned)
}

/// How large a file is that is written in base 64.
pub(super) fn kilobytes(base64: &str) -> usize {
    (base64.len() * 3 / 4).div_ceil(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_shows_the_files_it_names_as_sources() {
        let text =
            "<img alt=\"\" src=\"@@PLUGINFILE@@/a/cell%20wall.png\"> <a href=\"@@PLUGINFILE@@/more.pdf\">more</a>
            <IMG SRC='x.svg'/><img src=50%25%zz.gif>";
        let mut names: Vec<_> = sources(text).into_iter().collect();
        names.sort();
        assert_eq!(names, ["50%%zz.gif", "cell wall.png", "x.svg"]);
    }
}
