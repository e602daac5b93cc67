//! What a person can read of a JSON document that is still being written: the strings of some of its fields, as they
//! grow, without quotes, braces and escapes.

/// Deeper documents are none of ours; nothing more is read of them.
const DEEPEST: usize = 16;
/// The members' names that count are shorter.
const LONGEST_NAME: usize = 64;

/// Reads a growing document.
#[derive(Debug)]
pub(crate) struct Prose {
    fields: &'static [&'static str],
    open: Vec<Container>,
    state: State,
    /// A high surrogate whose low one is still to come.
    surrogate: Option<u32>,
    has_begun: bool,
}

#[derive(Debug)]
enum Container {
    /// With the name of the member that is being read, or is expected.
    Object {
        name: String,
        expects: Expects,
    },
    Array,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expects {
    Name,
    Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Between,
    Text(Meaning),
    Escape(Meaning),
    /// With the digits read so far and their number.
    Unicode(Meaning, u32, u8),
    /// Not a document that we can follow.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Name,
    Prose,
    Other,
}

impl Prose {
    /// Of the strings, and strings in arrays, in members of these names.
    pub(crate) fn of(fields: &'static [&'static str]) -> Self {
        Self { fields, open: Vec::new(), state: State::Between, surrogate: None, has_begun: false }
    }

    /// What `piece` adds. Separate strings stand on lines of their own.
    pub(crate) fn read(&mut self, piece: &str) -> String {
        let mut prose = String::new();
        for c in piece.chars() {
            self.state = self.step(c, &mut prose);
        }
        prose
    }

    fn step(&mut self, c: char, prose: &mut String) -> State {
        match (self.state, c) {
            (State::Between, _) => self.structure(c, prose),
            (State::Text(meaning), '"') => self.end_text(meaning),
            (State::Text(meaning), '\\') => State::Escape(meaning),
            (State::Text(meaning), _) => self.take(meaning, c, prose),
            (State::Escape(meaning), 'u') => State::Unicode(meaning, 0, 0),
            (State::Escape(meaning), _) => self.take(meaning, unescaped(c), prose),
            (State::Unicode(meaning, code, digits), _) => match c.to_digit(16) {
                Some(digit) if digits == 3 => self.take_unit(meaning, code * 16 + digit, prose),
                Some(digit) => State::Unicode(meaning, code * 16 + digit, digits + 1),
                None => State::Lost,
            },
            (State::Lost, _) => State::Lost,
        }
    }

    fn structure(&mut self, c: char, prose: &mut String) -> State {
        match c {
            '{' => self.open.push(Container::Object { name: String::new(), expects: Expects::Name }),
            '[' => self.open.push(Container::Array),
            '}' | ']' => drop(self.open.pop()),
            ':' => self.expect(Expects::Value),
            ',' => self.expect(Expects::Name),
            '"' if !self.open.is_empty() => return State::Text(self.begin_text(prose)),
            _ => {}
        }
        if self.open.len() > DEEPEST { State::Lost } else { State::Between }
    }

    fn expect(&mut self, what: Expects) {
        if let Some(Container::Object { expects, .. }) = self.open.last_mut() {
            *expects = what;
        }
    }

    fn begin_text(&mut self, prose: &mut String) -> Meaning {
        if let Some(Container::Object { name, expects: Expects::Name }) = self.open.last_mut() {
            name.clear();
            return Meaning::Name;
        }
        let names = self.open.iter().rev().find_map(|container| match container {
            Container::Object { name, .. } => Some(name.as_str()),
            Container::Array => None,
        });
        if !names.is_some_and(|name| self.fields.contains(&name)) {
            return Meaning::Other;
        }
        if std::mem::replace(&mut self.has_begun, true) {
            prose.push('\n');
        }
        Meaning::Prose
    }

    fn end_text(&mut self, meaning: Meaning) -> State {
        self.surrogate = None;
        if meaning == Meaning::Name {
            self.expect(Expects::Value);
        }
        State::Between
    }

    fn take(&mut self, meaning: Meaning, c: char, prose: &mut String) -> State {
        match meaning {
            Meaning::Prose if c == '\n' || !c.is_control() => prose.push(c),
            Meaning::Name => {
                if let Some(Container::Object { name, .. }) = self.open.last_mut()
                    && name.len() < LONGEST_NAME
                {
                    name.push(c);
                }
            }
            _ => {}
        }
        State::Text(meaning)
    }

    /// Takes a UTF-16 code unit; half a pair alone is nothing.
    fn take_unit(&mut self, meaning: Meaning, unit: u32, prose: &mut String) -> State {
        let high = self.surrogate.take();
        let code = match (high, unit) {
            (_, 0xD800..0xDC00) => {
                self.surrogate = Some(unit);
                return State::Text(meaning);
            }
            (Some(high), 0xDC00..0xE000) => 0x10000 + ((high - 0xD800) << 10) + (unit - 0xDC00),
            _ => unit,
        };
        match char::from_u32(code) {
            Some(c) => self.take(meaning, c, prose),
            None => State::Text(meaning),
        }
    }
}

fn unescaped(c: char) -> char {
    match c {
        'n' => '\n',
        't' => ' ',
        'b' | 'f' | 'r' => '\u{7f}',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[&str] = &["text", "notes", "front", "back"];

    fn read(document: &str, cut: usize) -> String {
        let characters: Vec<char> = document.chars().collect();
        let mut prose = Prose::of(FIELDS);
        characters.chunks(cut).map(|piece| prose.read(&piece.iter().collect::<String>())).collect()
    }

    #[test]
    fn the_text_of_chosen_fields_grows_without_syntax_wherever_it_is_cut() {
        for (document, expected) in [
            (r#"{"text":"One \"two\"\nthree","id":"hidden","notes":["a","b"]}"#, "One \"two\"\nthree\na\nb"),
            (r#"```json {"x":{"text":"in"},"text" : "out\u00e9 \ud83d\ude00!"}```"#, "in\noute\u{301}"),
            (r#"{"cards":[{"front":"f1","back":"b1"},{"front":"f2","back":"b2"}],"day":1}"#, "f1\nb1\nf2\nb2"),
            (r#"{"text":"a\ud83d b\u0000\u001bc"}"#, "a bc"),
            (r#"{"\"text\"":"no","text":"a half sen"#, "a half sen"),
            ("\"text\" is not a document", ""),
            ("", ""),
        ] {
            let expected = expected.replace("oute\u{301}", "outé 😀!");
            for cut in [1, 2, 3, 7, 1000] {
                assert_eq!(read(document, cut), expected, "{document} in pieces of {cut}");
            }
        }
    }

    #[test]
    fn a_document_that_is_too_deep_is_not_followed() {
        assert_eq!(read(&format!("{}{{\"text\":\"x\"}}", "[".repeat(40)), 5), "");
    }
}
