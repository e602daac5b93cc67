//! The beginning of a foreign text, fit for one line of an error.

const CHARACTERS: usize = 200;

/// At most 200 characters of `text` on one line.
pub(super) fn excerpt(text: &str) -> String {
    shortened(text, CHARACTERS)
}

/// At most `characters` of `text` on one line, without control characters.
pub(crate) fn shortened(text: &str, characters: usize) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(characters) {
        None => line,
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_put_on_one_line() {
        assert_eq!(shortened("a\u{7}b\n\n c ", 10), "a b c");
        assert_eq!(shortened("äöüß", 3), "äöü…");
        assert_eq!(shortened("äöü", 3), "äöü");
    }
}
