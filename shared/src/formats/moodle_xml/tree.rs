//! XML from strangers, one question at a time: no document types, so no entities of the file's own, and bounds on depth,
//! size and number. Nothing outside the file is ever read.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

/// The deepest that elements are nested; Moodle needs seven.
const MAX_DEPTH: usize = 32;
/// The most elements in one question.
const MAX_ELEMENTS: usize = 20_000;
/// Attributes read of an element; Moodle needs three.
const MAX_ATTRIBUTES: usize = 16;

/// An element with all that it holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Element {
    /// Its name.
    pub(super) name: String,
    /// The line on which it begins, from 1.
    pub(super) line: usize,
    /// The text directly in it. In `<text>` also what stands in tags, with the tags.
    pub(super) text: String,
    /// The elements in it.
    pub(super) children: Vec<Element>,
    attributes: Vec<(String, String)>,
}

impl Element {
    /// The value of an attribute; empty if there is none.
    pub(super) fn attribute(&self, name: &str) -> &str {
        self.attributes.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The first element in it of that name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All elements in it of that name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// Its text, or that of the `<text>` in it; trimmed.
    pub(super) fn value(&self) -> &str {
        self.child("text").map_or(&self.text, |text| &text.text).trim()
    }

    /// The value of the first element in it of that name; empty if there is none.
    pub(super) fn value_of(&self, name: &str) -> &str {
        self.child(name).map_or("", Self::value)
    }
}

/// What stands in the root.
#[derive(Debug)]
pub(super) enum Piece {
    /// An element with all that it holds.
    Element(Element),
    /// Text outside of all elements, and the line on which it ends.
    Text(usize, String),
}

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("It is not well-formed XML on line {line}: {cause}.")]
    Broken { line: usize, cause: String },
    #[error("It declares a document type on line {0}; such files are not read, since entities can make them huge.")]
    DocumentType(usize),
    #[error("It uses the entity &{name}; on line {line}, which XML does not know.")]
    Entity { line: usize, name: String },
    #[error("Its elements stand deeper than {MAX_DEPTH} in each other on line {0}.")]
    TooDeep(usize),
    #[error("The question on line {0} has more than {MAX_ELEMENTS} elements.")]
    TooMany(usize),
    #[error("Its first element is <{0}>, not <quiz>.")]
    OtherRoot(String),
    #[error("It ends before all of its elements do.")]
    Unfinished,
}

/// Reads a file and calls `each` with each piece of its root, in their order.
pub(super) fn walk(text: &str, mut each: impl FnMut(Piece)) -> Result<(), Refusal> {
    let mut walk = Walk::new(text);
    loop {
        let event = walk.reader.read_event();
        let line = walk.line(text);
        let event = event.map_err(|error| Refusal::Broken { line, cause: error.to_string() })?;
        if matches!(event, Event::Start(_) | Event::End(_) | Event::Eof) {
            walk.stray.take().map(|(line, text)| Piece::Text(line, text)).into_iter().for_each(&mut each);
        }
        match event {
            Event::Start(start) => walk.open(&start, line)?,
            Event::End(end) => walk.close(&end).map(Piece::Element).into_iter().for_each(&mut each),
            Event::Text(text) => walk.push(&text.xml10_content(), line),
            Event::CData(text) => walk.push(&text.xml10_content(), line),
            Event::GeneralRef(entity) => {
                let character = entity.resolve_char_ref().ok().flatten().map(String::from);
                let known = character.or_else(|| resolve_predefined_entity(&entity).map(str::to_owned));
                let name = || entity.chars().take(40).collect();
                walk.push(&known.ok_or_else(|| Refusal::Entity { line, name: name() })?, line);
            }
            Event::DocType(_) => return Err(Refusal::DocumentType(line)),
            Event::Eof if walk.open.is_empty() && walk.has_root => return Ok(()),
            Event::Eof => return Err(Refusal::Unfinished),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

struct Walk<'a> {
    reader: Reader<&'a [u8]>,
    /// From the root to the innermost element.
    open: Vec<Element>,
    /// Text outside of all elements but the root, and the line on which it ends.
    stray: Option<(usize, String)>,
    /// How many tags are open within a `<text>`.
    tags: usize,
    elements: usize,
    has_root: bool,
    counted: usize,
    lines: usize,
}

impl<'a> Walk<'a> {
    fn new(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        Self { reader, open: Vec::new(), stray: None, tags: 0, elements: 0, has_root: false, counted: 0, lines: 1 }
    }

    /// The line up to which has been read.
    fn line(&mut self, text: &str) -> usize {
        let position = usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX).min(text.len());
        let read = text.as_bytes().get(self.counted..position).unwrap_or_default();
        self.lines += read.iter().filter(|byte| **byte == b'\n').count();
        self.counted = position.max(self.counted);
        self.lines
    }

    fn open(&mut self, start: &BytesStart<'_>, line: usize) -> Result<(), Refusal> {
        if self.open.len() + self.tags >= MAX_DEPTH {
            return Err(Refusal::TooDeep(line));
        }
        if let Some(text) = self.open.last_mut().filter(|element| element.name == "text") {
            text.text.extend(["<", start, ">"]);
            self.tags += 1;
            return Ok(());
        }
        let element = element(start, line);
        if self.open.is_empty() && (element.name != "quiz" || self.has_root) {
            return Err(Refusal::OtherRoot(element.name));
        }
        self.has_root = true;
        self.elements = if self.open.len() == 1 { 1 } else { self.elements + 1 };
        if self.elements > MAX_ELEMENTS {
            return Err(Refusal::TooMany(self.open[1].line));
        }
        self.open.push(element);
        Ok(())
    }

    /// The element of the root that ends here, if one does.
    fn close(&mut self, name: &str) -> Option<Element> {
        if self.tags > 0 {
            self.tags -= 1;
            self.open.last_mut()?.text.extend(["</", name, ">"]);
            return None;
        }
        let element = self.open.pop()?;
        match self.open.len() {
            0 => None,
            1 => Some(element),
            _ => {
                self.open.last_mut()?.children.push(element);
                None
            }
        }
    }

    fn push(&mut self, text: &str, line: usize) {
        match &mut self.open[..] {
            [_, .., element] => element.text.push_str(text),
            _ if self.stray.is_none() && text.trim().is_empty() => {}
            _ => {
                let below = text.len() - text.trim_end().len();
                let below = text[text.len() - below..].matches('\n').count();
                let (ends, stray) = self.stray.get_or_insert_default();
                stray.push_str(text);
                *ends = line - below;
            }
        }
    }
}

fn element(start: &BytesStart<'_>, line: usize) -> Element {
    let mut attributes = start.attributes();
    let attributes = attributes.with_checks(false).take(MAX_ATTRIBUTES).flatten().map(|attribute| {
        let value = quick_xml::escape::unescape(&attribute.value).unwrap_or_default();
        (attribute.key.0.to_owned(), value.into_owned())
    });
    Element { name: start.name().0.to_owned(), line, attributes: attributes.collect(), ..Element::default() }
}
