//! Slugs and choice ids: names that last, made from what people write.

use sha2::{Digest, Sha256};

/// The longest slug, in characters; `content` reads none longer.
const MAX_SLUG: usize = 64;

/// Bytes of a hash that tell the texts of a test apart.
const FINGERPRINT: usize = 6;

/// Small letters, digits and single hyphens from `text`; none if nothing of it is left.
pub(super) fn slug_of(text: &str) -> Option<String> {
    let mut slug = String::new();
    for character in text.chars().flat_map(char::to_lowercase) {
        let piece = plain_letters(character);
        if piece.is_empty() {
            if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
            continue;
        }
        if slug.len() + piece.len() > MAX_SLUG {
            break;
        }
        slug.push_str(piece);
    }
    let slug = slug.trim_end_matches('-');
    (!slug.is_empty()).then(|| slug.to_owned())
}

/// What a letter becomes in a slug; what becomes nothing separates words.
fn plain_letters(character: char) -> &'static str {
    const ASCII: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
    match character {
        '0'..='9' | 'a'..='z' => ASCII.find(character).map_or("", |at| &ASCII[at..=at]),
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' | 'ą' => "a",
        'ä' | 'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' => "e",
        'ì' | 'í' | 'î' | 'ï' | 'ī' => "i",
        'ł' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ø' | 'ō' => "o",
        'ö' | 'œ' => "oe",
        'ř' => "r",
        'ś' | 'š' => "s",
        'ß' => "ss",
        'ù' | 'ú' | 'û' | 'ū' | 'ů' => "u",
        'ü' => "ue",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => "",
    }
}

/// What names a text of which no slug can be made, as for texts that are not in Latin letters.
pub(super) fn fingerprint(text: &str) -> String {
    Sha256::digest(text).iter().take(FINGERPRINT).map(|byte| format!("{byte:02x}")).collect()
}

/// `slug` with a number behind it, so that it is another.
pub(super) fn numbered(slug: &str, number: usize) -> String {
    let suffix = format!("-{number}");
    let room = MAX_SLUG - suffix.len();
    let head = slug.get(..room.min(slug.len())).unwrap_or(slug).trim_end_matches('-');
    format!("{head}{suffix}")
}

/// The id of the choice at `index`, from 0: a, b, …, z, aa, ab, …
pub(super) fn choice_id(index: usize) -> String {
    let letter = |index: usize| char::from(b"abcdefghijklmnopqrstuvwxyz"[index % 26]);
    match index / 26 {
        0 => letter(index).to_string(),
        rounds => format!("{}{}", choice_id(rounds - 1), letter(index)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_slugs() {
        let slug = |text| slug_of(text).unwrap_or_default();
        assert_eq!(slug("Größe & Länge (Teil 2)"), "groesse-laenge-teil-2");
        assert_eq!(slug("--a--b--"), "a-b");
        assert_eq!(slug("Вопрос"), "");
        assert_eq!(slug(&"x".repeat(100)).len(), 64);
        assert_eq!(numbered(&"x".repeat(64), 12).len(), 64);
        assert_eq!([0, 25, 26, 51, 52].map(choice_id), ["a", "z", "aa", "az", "ba"]);
    }
}
