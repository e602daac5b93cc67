//! Text made comparable, and the search for words in it: what a keyboard, an editor or a habit changes does not count.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;

/// A text in lower case, with plain quotes and minus signs, single spaces, and none around operators: `x < −4`, `x<-4`
/// and `X  <  – 4` are the same. So are letters however Unicode writes them: `é` in one character or two, `Ａ` and `A`,
/// `ﬁ` and `fi`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording(String);

/// Around these a space means nothing.
const OPERATORS: &[char] = &['-', '<', '>', '=', '≤', '≥', '+', '*', '·', '/', '^'];

impl Wording {
    /// The wording of `text`.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut wording = String::with_capacity(text.len());
        let visible: String = text.chars().filter(|c| !is_invisible(*c)).map(plain).collect();
        for word in normalized(&visible).split_whitespace() {
            let plain: String = word.chars().map(plain).flat_map(char::to_lowercase).collect();
            if !wording.is_empty() && !wording.ends_with(OPERATORS) && !plain.starts_with(OPERATORS) {
                wording.push(' ');
            }
            wording.push_str(&plain);
        }
        Self(wording)
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The words and numbers, without punctuation.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
    }

    /// True if `phrase` stands here in a place that does not overlap with those `taken`: the first such is taken.
    #[must_use]
    pub fn take(&self, phrase: &Self, taken: &mut Vec<Range<usize>>) -> bool {
        let free = self.places(phrase).find(|place| !taken.iter().any(|other| overlap(place, other)));
        let found = free.is_some();
        taken.extend(free);
        found
    }

    /// True if `phrase` stands here and begins and ends where words do: `mill` is not in `million`, nor `5` in `2.5`.
    #[must_use]
    pub fn holds(&self, phrase: &Self) -> bool {
        self.places(phrase).next().is_some()
    }

    fn places<'a>(&'a self, phrase: &'a Self) -> impl Iterator<Item = Range<usize>> + 'a {
        let whole = |(start, matched): &(usize, &str)| {
            let (before, after) = (&self.0[..*start], &self.0[start + matched.len()..]);
            !goes_on(matched.chars().rev(), before.chars().rev()) && !goes_on(matched.chars(), after.chars())
        };
        let matches = (!phrase.0.is_empty()).then(|| self.overlapping_matches(&phrase.0));
        matches.into_iter().flatten().filter(whole).map(|(start, matched)| start..start + matched.len())
    }

    fn overlapping_matches<'a>(&'a self, phrase: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let start = from + self.0.get(from..)?.find(phrase)?;
            from = start + self.0[start..].chars().next().map_or(1, char::len_utf8);
            Some((start, &self.0[start..start + phrase.len()]))
        })
    }
}

fn overlap(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start < other.end && other.start < one.end
}

/// True if a word or number that ends `inside` goes on `outside`; both are read in the same direction, `outside` away
/// from the match.
fn goes_on(inside: impl Iterator<Item = char>, mut outside: impl Iterator<Item = char>) -> bool {
    let (Some(edge), Some(next)) = (inside.last(), outside.next()) else { return false };
    if !edge.is_alphanumeric() {
        return false;
    }
    let decimal = edge.is_numeric() && matches!(next, '.' | ',') && outside.next().is_some_and(char::is_numeric);
    next.is_alphanumeric() || decimal
}

/// `text` in the normal form NFKC, but for what means something else in its place: 10² is not 102, nor 3½ 31/2.
fn normalized(text: &str) -> String {
    let mut normalized = String::with_capacity(text.len());
    for piece in text.split_inclusive(is_raised_or_fraction) {
        let (letters, last) = piece.split_at(piece.trim_end_matches(is_raised_or_fraction).len());
        normalized.extend(letters.nfkc());
        normalized.push_str(last);
    }
    normalized
}

fn is_raised_or_fraction(c: char) -> bool {
    matches!(c, '²' | '³' | '¹' | '¼'..='¾' | '\u{2070}'..='\u{209f}' | '\u{2150}'..='\u{215f}' | '\u{2189}')
}

fn plain(c: char) -> char {
    match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe63}' | '\u{ff0d}' => '-',
        '\u{00b4}' | '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{02bc}' | '\u{2032}' => '\'',
        '\u{201c}'..='\u{201f}' | '\u{00ab}' | '\u{00bb}' | '\u{2033}' => '"',
        '\u{00d7}' | '\u{22c5}' => '·',
        other => other,
    }
}

/// `text` without what no reader sees.
#[must_use]
pub fn visible(text: &str) -> String {
    text.chars().filter(|c| !is_invisible(*c) && (!c.is_control() || matches!(c, '\n' | '\t'))).collect()
}

/// Soft hyphens, zero-width characters, fillers, the marks of text direction, variation selectors and tags.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_keyboard_changes_does_not_count() {
        for (text, wording) in [
            ("  The MILL\n\t failed\u{a0}early ", "the mill failed early"),
            ("x < −4", "x<-4"),
            ("X  <  – 4", "x<-4"),
            ("doesn’t “hold”", "doesn't \"hold\""),
            ("2 × 3 · 4", "2·3·4"),
            ("den\u{ad}atured\u{200b}", "denatured"),
            ("a \u{200b} b", "a b"),
            ("cafe\u{301} CAFE\u{301} caf\u{e9}", "café café café"),
            ("ＡＢＣ　１２－３", "abc 12-3"),
            ("ﬁbres of 5 \u{b5}m…", "fibres of 5 \u{3bc}m..."),
            ("don´t ″stop″", "don't \"stop\""),
            ("10² + 3½ = CO₂", "10²+3½=co₂"),
            ("", ""),
        ] {
            assert_eq!(Wording::of(text).as_str(), wording, "{text:?}");
        }
    }

    #[test]
    fn each_place_is_taken_once() {
        let (text, phrase, mut taken) = (Wording::of("a kelp, a kelp"), Wording::of("a kelp"), Vec::new());
        assert!(text.take(&phrase, &mut taken) && text.take(&phrase, &mut taken));
        assert!(!text.take(&phrase, &mut taken) && !text.take(&Wording::of("kelp, a"), &mut taken));
    }

    #[test]
    fn what_no_reader_sees_is_left_out() {
        assert_eq!(visible("a\u{200b}b\u{e0041}\u{2066}c\u{0}\n\u{1b}d\u{fe0f}"), "abc\nd");
    }

    #[test]
    fn a_phrase_begins_and_ends_where_words_do() {
        for (text, phrase, held) in [
            ("The mill failed.", "mill", true),
            ("A million", "mill", false),
            ("windmill", "mill", false),
            ("a windmill is a mill", "mill", true),
            ("so x < −4 holds", "x<-4", true),
            ("so x < −4.5 holds", "x < −4", false),
            ("so max < −4", "x < −4", false),
            ("b² − 4ac = −56.", "56", true),
            ("it is 56.5", "56", false),
            ("it is 3.56", "56", false),
            ("1,156 in all", "156", false),
            ("5, 6 or 7", "5", true),
            ("in month 64", "month 6", false),
            ("the x-axis", "x-axis", true),
            ("it does\n not  fit", "does not", true),
            ("anything", "", false),
            ("ananas", "ana", false),
            ("x<0", "<0", true),
            ("x<0.5", "<0", false),
        ] {
            assert_eq!(Wording::of(text).holds(&Wording::of(phrase)), held, "{phrase:?} in {text:?}");
        }
    }
}
