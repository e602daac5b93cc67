//! From the bytes of a file to its text: encodings, byte order marks, ends of lines, and characters that no text has.

use std::borrow::Cow;

use super::notes::Notes;

/// What Windows-1252 has from 0x80 on; the five places it leaves open are what Latin 1 has there.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// The text of a file with `\n` at the ends of lines; none if it is no text.
pub(super) fn text(bytes: &[u8], notes: &mut Notes) -> Option<String> {
    if bytes.len() > super::MAX_FILE {
        notes.lost("", format!("The file is larger than {} MiB.", super::MAX_FILE >> 20), "Split it.");
        return None;
    }
    if bytes.starts_with(b"PK\x03\x04") {
        notes.lost(
            "",
            "This is a ZIP archive or an Excel or Word file.",
            "Save it as CSV, or unpack it, and import that.",
        );
        return None;
    }
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes, notes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes, notes),
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest, notes),
        _ => utf8(bytes, notes),
    };
    Some(clean(&text, notes))
}

fn utf8<'a>(bytes: &'a [u8], notes: &mut Notes) -> Cow<'a, str> {
    std::str::from_utf8(bytes).map_or_else(|_| Cow::Owned(windows_1252(bytes, notes)), Cow::Borrowed)
}

fn windows_1252(bytes: &[u8], notes: &mut Notes) -> String {
    let hint = "Look at accents and quotation marks; save the file as UTF-8 if they are wrong.";
    notes.changed("", "The file is not UTF-8; it was read as Windows-1252.", hint);
    let character = |byte: &u8| match byte {
        0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
        _ => char::from(*byte),
    };
    bytes.iter().map(character).collect()
}

fn utf16<'a>(bytes: &[u8], unit: fn([u8; 2]) -> u16, notes: &mut Notes) -> Cow<'a, str> {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let text: Result<String, _> = char::decode_utf16(units.clone()).collect();
    Cow::Owned(text.unwrap_or_else(|_| {
        notes.changed("", "The file is broken UTF-16; what could not be read is marked by �.", "Save it as UTF-8.");
        char::decode_utf16(units).map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    }))
}

/// NUL cannot be stored, and no other control character but tab and newline means anything.
fn clean(text: &str, notes: &mut Notes) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let removed = text.chars().filter(|character| is_noise(*character)).count();
    if removed == 0 {
        return text;
    }
    notes.changed("", format!("{removed} control characters were removed."), "");
    text.chars().filter(|character| !is_noise(*character)).collect()
}

/// True for control characters that no text needs.
pub(super) fn is_noise(character: char) -> bool {
    (character.is_control() && !matches!(character, '\n' | '\t'))
        || matches!(character, '\u{fffe}' | '\u{ffff}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> (String, usize) {
        let mut notes = Notes::default();
        let text = text(bytes, &mut notes).unwrap();
        (text, notes.finish().len())
    }

    #[test]
    fn what_office_programs_save_is_read() {
        assert_eq!(decoded("\u{feff}Größe\r\nx".as_bytes()), ("Größe\nx".to_owned(), 0));
        assert_eq!(decoded(b"Gr\xf6\xdfe \x80"), ("Größe €".to_owned(), 1));
        let utf16: Vec<u8> = "\u{feff}a\t😀".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decoded(&utf16), ("a\t😀".to_owned(), 0));
        assert_eq!(decoded(b"a\0b\x1bc"), ("abc".to_owned(), 1));
        let mut notes = Notes::default();
        assert_eq!(text(b"PK\x03\x04...", &mut notes), None);
        assert!(notes.finish()[0].hint.contains("CSV"));
    }
}
