//! THE TABLE of file formats: what teachers have, how it becomes a test, and how a test becomes it.
//!
//! All of it is pure: bytes in, questions and problems out. What a file holds that a test cannot is a [`Problem`], never
//! dropped in silence; `README.md` here says what becomes of what. A new format is one module and one line below.

mod bounds;
mod csv;
mod decode;
mod draft;
mod gift;
mod html;
mod json;
mod moodle_xml;
mod names;
mod notes;
mod outgoing;
mod reading;
mod rubric;
mod weighed;

use crate::content::TestFile;

pub use self::csv::report as report_as_csv;
use self::notes::Notes;
pub use self::notes::{Problem, Severity};
pub use self::reading::{Naming, Reading, Unusable};

/// The largest file that is read, in bytes. Five hundred questions with long texts are one tenth of it.
pub const MAX_FILE: usize = 8 * 1024 * 1024;

/// A format of files.
pub struct Format {
    /// Its name in queries and on the command line; a contract.
    pub name: &'static str,
    /// What teachers call it.
    pub label: &'static str,
    /// How names of such files end; the first is for files we write.
    pub extensions: &'static [&'static str],
    /// As what such a file is announced over HTTP; the first is for files we write.
    pub media_types: &'static [&'static str],
    sniff: fn(&str) -> bool,
    read: fn(&str, Notes) -> Reading,
    write: fn(&TestFile, &mut Notes) -> String,
}

/// All formats, in the order in which a file without a name is held against them.
pub static ALL: &[Format] = &[json::FORMAT, moodle_xml::FORMAT, csv::FORMAT, gift::FORMAT];

/// What is known of a file beside its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Label<'a> {
    /// The format, if somebody has named it.
    pub format: Option<&'static Format>,
    /// The file's name.
    pub filename: Option<&'a str>,
    /// As what it was announced, without parameters.
    pub media_type: Option<&'a str>,
}

/// A test as a file, and what the file does not hold.
#[derive(Clone, Debug)]
pub struct Written {
    /// The file.
    pub text: String,
    /// What of the test is not in it, or reads otherwise.
    pub problems: Vec<Problem>,
}

impl Written {
    /// How many problems are of that severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.problems.iter().filter(|problem| problem.severity == severity).count()
    }
}

/// The format of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Format> {
    ALL.iter().find(|format| format.name == name)
}

/// Reads a file. It is never refused as a whole without a problem that says why.
#[must_use]
pub fn read(bytes: &[u8], label: Label<'_>) -> Reading {
    let mut notes = Notes::default();
    let Some(text) = decode::text(bytes, &mut notes) else { return Reading::nothing("", notes) };
    let by_look = || ALL.iter().find(|format| (format.sniff)(&text));
    let Some(format) = expected(label).or_else(by_look) else {
        notes.lost("", "It is not known what kind of file this is.", format!("Name its format: {}.", names()));
        return Reading::nothing("", notes);
    };
    let mut reading = (format.read)(&text, notes);
    reading.format = format.name;
    reading
}

/// Writes `test` as a file of `format`.
#[must_use]
pub fn write(test: &TestFile, format: &Format) -> Written {
    let mut notes = Notes::default();
    let text = (format.write)(test, &mut notes);
    Written { text, problems: notes.finish() }
}

/// The names of all formats, for a sentence.
#[must_use]
pub fn names() -> String {
    ALL.iter().map(|format| format.name).collect::<Vec<_>>().join(", ")
}

/// The format, as far as it is known without looking into the file. A name wins over an ending, and that over the
/// announcement; `text/plain` announces nothing.
#[must_use]
pub fn expected(label: Label<'_>) -> Option<&'static Format> {
    let ending = label.filename.and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending.to_ascii_lowercase());
    let by_ending = || {
        let ending = ending.as_deref()?;
        ALL.iter().find(|format| format.extensions.contains(&ending))
    };
    let by_media_type = || {
        let announced = label.media_type.filter(|announced| *announced != "text/plain")?;
        ALL.iter().find(|format| format.media_types.contains(&announced))
    };
    label.format.or_else(by_ending).or_else(by_media_type)
}

impl std::fmt::Debug for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Format").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
