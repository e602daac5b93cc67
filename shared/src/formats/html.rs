//! From HTML, as editors of learning platforms make it, to the plain text that students read here.

use super::notes::{Notes, quoted};

/// What begins a new line.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "blockquote",
    "br",
    "dd",
    "div",
    "dl",
    "dt",
    "figure",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "tr",
    "ul",
];
/// What says nothing that text would not say.
const SILENT: &[&str] = &["a", "body", "font", "html", "label", "small", "span", "tbody", "thead"];
/// What only looks.
const LOOKS: &[&str] = &[
    "abbr", "b", "big", "cite", "code", "del", "em", "i", "ins", "kbd", "mark", "q", "s", "strong", "td", "th", "tt",
    "u", "var",
];
/// What carries meaning by its place: `x<sup>2</sup>` is not x2.
const PLACES: &[(&str, &str)] = &[("sup", "^"), ("sub", "_")];
/// What cannot be shown as text.
const MEDIA: &[&str] = &["audio", "canvas", "embed", "iframe", "img", "math", "object", "source", "svg", "video"];
/// What is not for people, with all that it holds.
const HIDDEN: &[&str] = &["script", "style"];
/// Named characters that editors write; others are left as they are.
const NAMED: &[(&str, &str)] = &[
    ("amp", "&"),
    ("apos", "'"),
    ("bull", "•"),
    ("cent", "¢"),
    ("copy", "©"),
    ("deg", "°"),
    ("divide", "÷"),
    ("euro", "€"),
    ("ge", "≥"),
    ("gt", ">"),
    ("hellip", "…"),
    ("infin", "∞"),
    ("larr", "←"),
    ("laquo", "«"),
    ("ldquo", "“"),
    ("le", "≤"),
    ("lsquo", "‘"),
    ("lt", "<"),
    ("mdash", "—"),
    ("micro", "µ"),
    ("middot", "·"),
    ("minus", "−"),
    ("nbsp", " "),
    ("ndash", "–"),
    ("ne", "≠"),
    ("pi", "π"),
    ("plusmn", "±"),
    ("quot", "\""),
    ("raquo", "»"),
    ("rarr", "→"),
    ("rdquo", "”"),
    ("rsquo", "’"),
    ("sup2", "²"),
    ("sup3", "³"),
    ("times", "×"),
    ("auml", "ä"),
    ("ouml", "ö"),
    ("uuml", "ü"),
    ("Auml", "Ä"),
    ("Ouml", "Ö"),
    ("Uuml", "Ü"),
    ("szlig", "ß"),
    ("eacute", "é"),
    ("egrave", "è"),
    ("agrave", "à"),
    ("ccedil", "ç"),
];
/// No named character is longer.
const LONGEST_NAME: usize = 10;

/// True if a text holds a tag or a named character, and is not just a formula with `<`.
pub(super) fn looks_like_html(text: &str) -> bool {
    let known = |name: &str| {
        [BLOCKS, SILENT, LOOKS, MEDIA, HIDDEN].iter().any(|names| names.contains(&name))
            || PLACES.iter().any(|(place, _)| *place == name)
    };
    let mut tags = text.match_indices('<').filter_map(|(at, _)| beginning(&text[at..]));
    let mut entities = text.match_indices('&').filter_map(|(at, _)| entity(&text[at..]));
    tags.any(|(name, _)| known(&name)) || entities.next().is_some()
}

/// The text of `html`. What cannot be shown as text is noted at `pointer`.
pub(super) fn text_of(html: &str, pointer: &str, notes: &mut Notes) -> String {
    let mut page = Page::default();
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        page.words(&rest[..at]);
        rest = page.markup(&rest[at..]);
    }
    page.words(rest);
    page.tell(pointer, notes);
    tidy(&page.text)
}

/// What has been read of a page.
#[derive(Default)]
struct Page {
    text: String,
    looks: Vec<String>,
    media: Vec<String>,
    /// What begins and does not end, so that no reader sees what is behind it.
    unclosed: Option<String>,
    /// No tag ends any more; else each that does not would be sought to the end of the page.
    no_tags_left: bool,
}

impl Page {
    /// White space in HTML is one space.
    fn words(&mut self, words: &str) {
        for character in words.chars() {
            if !character.is_whitespace() || character == '\u{a0}' {
                self.text.push(if character == '\u{a0}' { ' ' } else { character });
            } else if !self.text.ends_with([' ', '\n']) {
                self.text.push(' ');
            }
        }
    }

    /// Reads one tag, comment or character at the beginning of `rest`, and returns what comes behind it.
    fn markup<'a>(&mut self, rest: &'a str) -> &'a str {
        if let Some(comment) = rest.strip_prefix("<!--") {
            return comment.find("-->").map_or_else(|| self.never_ends(rest), |end| &comment[end + 3..]);
        }
        if let Some((character, length)) = entity(rest) {
            self.text.push_str(&character);
            return &rest[length..];
        }
        if let Some((name, part)) = beginning(rest).filter(|_| !self.no_tags_left) {
            match rest.find('>') {
                Some(end) => {
                    return self.tag(&Tag { name, part, source: attribute(&rest[..=end], "src") }, &rest[end + 1..]);
                }
                None => self.no_tags_left = true,
            }
        }
        self.text.push_str(&rest[..1]);
        &rest[1..]
    }

    fn tag<'a>(&mut self, tag: &Tag<'_>, rest: &'a str) -> &'a str {
        let name = tag.name.as_str();
        if HIDDEN.contains(&name) && tag.part == Part::Start {
            let end = format!("</{name}");
            return find_ignoring_case(rest, &end).map_or_else(|| self.never_ends(rest), |at| &rest[at..]);
        }
        if BLOCKS.contains(&name) {
            self.text.push_str(if name == "li" && tag.part == Part::Start { "\n- " } else { "\n" });
        } else if let Some((_, mark)) = PLACES.iter().find(|(place, _)| *place == name) {
            self.text.push_str(if tag.part == Part::Start { mark } else { "" });
            remember(&mut self.looks, name);
        } else if MEDIA.contains(&name) && tag.part == Part::Start {
            self.media.push(format!("<{name}> {}", quoted(tag.source)));
        } else if LOOKS.contains(&name) {
            self.text.push_str(if matches!(name, "td" | "th") && tag.part == Part::Start { " " } else { "" });
            remember(&mut self.looks, name);
        }
        rest
    }

    /// Nothing of `rest` is shown.
    fn never_ends<'a>(&mut self, rest: &'a str) -> &'a str {
        self.unclosed = Some(quoted(rest)).filter(|_| !rest.trim().is_empty());
        ""
    }

    fn tell(&mut self, pointer: &str, notes: &mut Notes) {
        if let Some(text) = &self.unclosed {
            let what = format!("A comment, script or style is not closed, so that {text} is not shown.");
            notes.lost(pointer, what, "Close it, or take it out.");
        }
        for medium in &self.media {
            notes.lost(pointer, format!("A text cannot show {medium}."), "Describe it in words.");
        }
        if !self.looks.is_empty() {
            let looks = self.looks.join(", ");
            notes.changed(
                pointer,
                format!("The text is shown without its formatting: {looks}."),
                "Look whether it still reads well.",
            );
        }
    }
}

fn remember(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Start,
    End,
}

struct Tag<'a> {
    name: String,
    part: Part,
    /// The value of `src`, if there is one.
    source: &'a str,
}

/// The name of the tag that begins `text`.
fn beginning(text: &str) -> Option<(String, Part)> {
    let inside = text.strip_prefix('<')?;
    let (inside, part) = inside.strip_prefix('/').map_or((inside, Part::Start), |inside| (inside, Part::End));
    let name: String = inside.chars().take_while(char::is_ascii_alphanumeric).take(LONGEST_NAME).collect();
    let behind = inside.get(name.len()..)?.chars().next()?;
    let is_name = name.starts_with(|character: char| character.is_ascii_alphabetic());
    let ends = behind.is_whitespace() || matches!(behind, '>' | '/');
    (is_name && ends).then(|| (name.to_ascii_lowercase(), part))
}

fn attribute<'a>(tag: &'a str, name: &str) -> &'a str {
    let Some(at) = find_ignoring_case(tag, &format!("{name}=")) else { return "" };
    let value = &tag[at + name.len() + 1..];
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..].split(quote).next().unwrap_or_default(),
        _ => value.split([' ', '>']).next().unwrap_or_default(),
    }
}

/// The character at the beginning of `text`, and how many bytes name it.
fn entity(text: &str) -> Option<(String, usize)> {
    let body = text.strip_prefix('&')?;
    let end = body.bytes().take(LONGEST_NAME).position(|byte| byte == b';')?;
    let name = body.get(..end)?;
    let character = match name.strip_prefix('#') {
        Some(number) => numbered(number)?.to_string(),
        None => NAMED.iter().find(|(known, _)| *known == name)?.1.to_owned(),
    };
    Some((character, end + 2))
}

fn numbered(number: &str) -> Option<char> {
    let code = match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => number.parse(),
    };
    char::from_u32(code.ok()?).filter(|character| !super::decode::is_noise(*character))
}

fn find_ignoring_case(text: &str, sought: &str) -> Option<usize> {
    let sought = sought.as_bytes();
    text.as_bytes().windows(sought.len()).position(|window| window.eq_ignore_ascii_case(sought))
}

/// Lines without white space at their ends, and no more than one blank line between two.
fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if !tidy.is_empty() {
            tidy.push('\n');
        }
        tidy.push_str(line);
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_text_and_what_is_lost_is_told() {
        let mut notes = Notes::default();
        let html = "<p>What is <b>2<sup>3</sup></b>?&nbsp;&lt;ok&gt; &#8722;1 &unknown;</p><!-- no --><ul><li>one</li>\n<li>two</li></ul>\
                    <script>alert('<p>')</script><img src=\"@@PLUGINFILE@@/cell.png\" alt=\"\">x < 3 && y > 2";
        let text = text_of(html, "/prompt", &mut notes);
        assert_eq!(text, "What is 2^3? <ok> −1 &unknown;\n- one\n- two\nx < 3 && y > 2");
        let problems = notes.finish();
        assert!(problems[0].detail.contains("cell.png"), "{problems:?}");
        assert!(problems[1].detail.contains("b, sup"), "{problems:?}");
        assert_eq!(problems.len(), 2);
    }

    #[test]
    fn what_an_open_comment_or_script_hides_is_told() {
        for (html, shown, hidden) in [
            ("<p>Why?</p><!-- note: because", "Why?", Some("“<!-- note: because”")),
            ("Why?<STYLE type=\"x\">p {} </p> Because", "Why?", Some("Because”")),
            ("Why?<script>x()", "Why?", Some("“x()”")),
            ("Why?<!-- a --><script>x()</script>", "Why?", None),
        ] {
            let mut notes = Notes::default();
            assert_eq!(text_of(html, "/prompt", &mut notes), shown);
            let problems = notes.finish();
            assert_eq!(problems.len(), usize::from(hidden.is_some()), "{problems:?}");
            assert!(problems.iter().all(|problem| problem.detail.contains(hidden.unwrap())), "{problems:?}");
        }
    }

    #[test]
    fn a_formula_is_not_html() {
        for (text, expected) in [
            ("x < 3 and y > 2", false),
            ("a<b", false),
            ("<b>x</b>", true),
            ("x<br/>y", true),
            ("&lt;", true),
            ("R&D; x", false),
        ] {
            assert_eq!(looks_like_html(text), expected, "{text}");
        }
    }
}
