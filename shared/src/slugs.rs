//! Slugs: names that last, in addresses and files. Small letters, digits, and single hyphens between them.

/// The longest slug, in characters, each of which is a byte.
pub const MAX_SLUG: usize = 64;

/// True if `text` is a slug.
#[must_use]
pub fn is_slug(text: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'));
    text.len() <= MAX_SLUG && text.split('-').all(is_word)
}

/// The slug that is nearest to `text`; none if nothing of it is left.
#[must_use]
pub fn slug_of(text: &str) -> Option<String> {
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

/// `slug` with a number behind it, so that it is another.
#[must_use]
pub fn numbered(slug: &str, number: usize) -> String {
    let suffix = format!("-{number}");
    let room = MAX_SLUG - suffix.len();
    let head = slug.get(..room.min(slug.len())).unwrap_or(slug).trim_end_matches('-');
    format!("{head}{suffix}")
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
    }

    #[test]
    fn what_is_made_is_a_slug_and_stays_as_it_is() {
        for text in ["Größe & Länge", "--a--b--", &"ä ".repeat(100), &"x".repeat(100), "7"] {
            let slug = slug_of(text).unwrap();
            assert!(is_slug(&slug) && is_slug(&numbered(&slug, 1_000)), "{slug}");
            assert_eq!(slug_of(&slug).as_ref(), Some(&slug));
        }
        for text in ["", "-", "a-", "-a", "a--b", "A", "ä", "a b", "a_b", &"x".repeat(65)] {
            assert!(!is_slug(text), "{text:?}");
        }
    }
}
