//! GIFT's special characters: found where they are meant, and passed over where `\` takes their meaning away.

use crate::formats::html;
use crate::formats::notes::Notes;

/// What `\` takes the meaning of.
const SPECIAL: &[u8] = b"~=#{}:\\n";

/// Where `sought`, which is ASCII, first stands with its meaning.
pub(super) fn find(text: &str, sought: &str) -> Option<usize> {
    places(text).find(|at| text[*at..].starts_with(sought))
}

/// Where one of `sought` last stands with its meaning.
pub(super) fn find_last(text: &str, sought: char) -> Option<usize> {
    places(text).filter(|at| text[*at..].starts_with(sought)).last()
}

/// `text` cut before each of `marks` that stands with its meaning.
pub(super) fn cut<'a>(text: &'a str, marks: &[char]) -> Vec<&'a str> {
    let mut cuts: Vec<_> = places(text).filter(|at| text[*at..].starts_with(marks)).collect();
    cuts.push(text.len());
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    starts
        .zip(cuts.iter().copied())
        .map(|(start, end)| &text[start..end])
        .filter(|piece| !piece.trim().is_empty())
        .collect()
}

/// The places of all characters whose meaning is not taken away.
fn places(text: &str) -> impl Iterator<Item = usize> + '_ {
    let bytes = text.as_bytes();
    let mut next = 0;
    std::iter::from_fn(move || {
        while is_escape(bytes, next) {
            next += 2;
        }
        let at = next;
        next += text.get(at..)?.chars().next()?.len_utf8();
        Some(at)
    })
}

fn is_escape(bytes: &[u8], at: usize) -> bool {
    bytes.get(at) == Some(&b'\\') && bytes.get(at + 1).is_some_and(|next| SPECIAL.contains(next))
}

/// `text` without the `\` before special characters.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let special = |next: &char| u8::try_from(*next).is_ok_and(|next| SPECIAL.contains(&next));
        match characters.peek().copied().filter(special) {
            Some(next) if character == '\\' => {
                characters.next();
                plain.push(if next == 'n' { '\n' } else { next });
            }
            _ => plain.push(character),
        }
    }
    plain
}

/// `text` with `\` before special characters; it has no `\r`.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => escaped.push_str("\\n"),
            '~' | '=' | '#' | '{' | '}' | ':' | '\\' => escaped.extend(['\\', character]),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// How a piece of text is marked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Markup {
    /// Not said: text in which Moodle understands HTML.
    Auto,
    Html,
    Markdown,
    Plain,
}

/// The markup that `text` names in brackets at its beginning, or else `inherited`; and the rest.
pub(super) fn markup(text: &str, inherited: Markup) -> (Markup, &str) {
    let text = text.trim_start();
    let named = [
        ("[html]", Markup::Html),
        ("[markdown]", Markup::Markdown),
        ("[plain]", Markup::Plain),
        ("[moodle]", Markup::Auto),
    ];
    let found = named.iter().find_map(|(name, markup)| Some((*markup, text.strip_prefix(name)?)));
    found.unwrap_or((inherited, text))
}

/// What people read of `raw`. What its markup says beyond that is noted at `pointer`.
pub(super) fn plain(raw: &str, inherited: Markup, pointer: &str, notes: &mut Notes) -> String {
    let (markup, raw) = markup(raw, inherited);
    let text = unescaped(raw.trim());
    let text = match markup {
        Markup::Html => html::text_of(&text, pointer, notes),
        Markup::Auto if html::looks_like_html(&text) => html::text_of(&text.replace('\n', "<br>"), pointer, notes),
        Markup::Markdown if text.contains(['*', '_', '`', '#', '[', '!', '>']) => {
            notes.changed(
                pointer,
                "The text is Markdown; its marks are shown as they are written.",
                "Look whether it still reads well.",
            );
            text
        }
        Markup::Auto | Markup::Markdown | Markup::Plain => text,
    };
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_take_the_meaning_away() {
        assert_eq!(find(r"a\{b\\{c", "{"), Some(6));
        assert_eq!(cut(r"=a\=b ~c", &['=', '~']), [r"=a\=b ", "~c"]);
        assert_eq!(unescaped(r"\(x\) \= \\n \n."), "\\(x\\) = \\n \n.");
        let text = "~=#{}:\\ \\n [plain]\n\\";
        assert_eq!(unescaped(&escaped(text)), text);
        assert_eq!(find(&escaped(text), "#"), None);
        let ends = ["\\", "a\\", "\\\\", "é\\"];
        assert_eq!(ends.map(|text| find(text, "{")), [None; 4]);
    }
}
