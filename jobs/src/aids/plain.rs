//! What may stand in a result: plain text within bounds.

use crate::wording::visible;

/// Elements that do something wherever a page takes them in.
const TAGS: &[&str] = &[
    "a", "abbr", "b", "base", "body", "br", "button", "code", "details", "div", "em", "embed", "font", "form", "frame",
    "h1", "h2", "h3", "h4", "h5", "h6", "head", "hr", "html", "i", "iframe", "img", "input", "li", "link", "math",
    "meta", "object", "ol", "p", "pre", "script", "small", "span", "strong", "style", "sub", "sup", "svg", "table",
    "tbody", "td", "template", "textarea", "th", "title", "tr", "u", "ul", "video",
];

/// `text` without what no reader sees, if it is plain and has at most `longest` characters. `place` names it in the
/// complaint, which goes on from "the answer".
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn plain(place: &str, text: &str, longest: usize) -> Result<String, String> {
    let text = visible(text).trim().to_owned();
    if text.is_empty() {
        return Err(format!("has nothing in \"{place}\"."));
    }
    let characters = text.chars().count();
    if characters > longest {
        return Err(format!("has {characters} characters in \"{place}\", of at most {longest}."));
    }
    if has_markup(&text) {
        return Err(format!("has HTML in \"{place}\", which must be plain text."));
    }
    Ok(text)
}

/// True if a tag or a comment of HTML stands in `text`. `a < b` and `x<-4` are none.
fn has_markup(text: &str) -> bool {
    text.match_indices('<').any(|(place, _)| is_tag(&text[place + 1..]))
}

fn is_tag(rest: &str) -> bool {
    if rest.starts_with("!--") || rest.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("!doctype")) {
        return true;
    }
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    if !TAGS.contains(&name.to_ascii_lowercase().as_str()) {
        return false;
    }
    let Some(inside) = after.split('>').next().filter(|inside| inside.len() < after.len()) else { return false };
    let inside = inside.trim();
    inside.is_empty() || inside == "/" || inside.contains('=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_plain_and_mathematics_is_no_markup() {
        for text in ["x<-4 and a < b > c", "if i<b then", "p<q, so a<b and c>d", "1 < 2", "<3", "a <b"] {
            assert_eq!(plain("t", text, 100).as_deref(), Ok(text));
        }
        for text in [
            "<b>bold</b>",
            "a<br/>b",
            "<script>alert(1)</script>",
            "<IMG src=x onerror=y>",
            "<!-- x -->",
            "</p>",
            "<a href='x'>",
            "<svg/onload=x>",
            "<ｓ><u >",
        ] {
            assert!(plain("t", text, 100).unwrap_err().contains("HTML"), "{text}");
        }
    }

    #[test]
    fn what_no_reader_sees_is_left_out_and_the_rest_is_bounded() {
        assert_eq!(plain("t", "\u{0} a\u{200b}b\u{1b}\n", 2).unwrap(), "ab");
        assert!(plain("t", "äöü", 2).unwrap_err().contains("3 characters in \"t\", of at most 2"));
        assert!(plain("t", " \u{feff}\n", 2).unwrap_err().contains("nothing"));
    }
}
