//! Texts of Moodle with their format, and the files in them.

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
    for file in element.all("file").filter(|file| !text.contains(file.attribute("name"))) {
        let kilobytes = (file.text.len() * 3 / 4).div_ceil(1024);
        let what = format!("The file “{}” ({kilobytes} kB) is not kept.", file.attribute("name"));
        notes.lost(pointer, what, "Describe it in words.");
    }
}
