//! Reads a file of CSV. The header says which column holds what; commas, semicolons and tabs are told apart.

use std::collections::HashSet;

use ::csv::{ReaderBuilder, StringRecord};

use super::answers::asked;
use super::columns::{self, Column};
use super::quotes::{self, Oddity};
use crate::content::bounds::MAX_CHOICES;
use crate::formats::draft::{Draft, Gathering};
use crate::formats::notes::{Notes, quoted};
use crate::formats::reading::Reading;

/// The most columns of a file: those of all choices, and many others.
const MAX_COLUMNS: usize = MAX_CHOICES + 100;
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];
/// What Excel understands as "the delimiter is" in the first line.
const SEPARATOR_LINE: &str = "sep=";

/// True if the first line names a column of questions.
pub(super) fn sniff(text: &str) -> bool {
    let (delimiter, text) = delimiter(text);
    let header = text.lines().next().unwrap_or_default();
    let mut names = header.split(char::from(delimiter)).map(|name| columns::find(name.trim_matches('"')));
    names.any(|column| column == Some(Column::Prompt))
}

/// Reads a file.
pub(super) fn read(text: &str, notes: Notes) -> Reading {
    let mut gathering = Gathering::new(notes);
    let (delimiter, body) = delimiter(text);
    let skipped = if body.len() == text.len() { 0 } else { 1 };
    let mut reader =
        ReaderBuilder::new().delimiter(delimiter).flexible(true).has_headers(false).from_reader(body.as_bytes());
    let (mut record, mut begin) = (StringRecord::new(), 0);
    let mut line = 1 + skipped;
    let mut header: Option<Header> = None;
    while let Ok(true) = reader.read_record(&mut record) {
        let end = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX).min(body.len());
        let raw = body.get(begin..end).unwrap_or_default();
        let odd = quotes::oddities(raw, delimiter);
        line += raw.len() - raw.trim_start_matches('\n').len();
        match &header {
            None => header = Some(header_of(&record, line, &odd, &mut gathering)),
            Some(header) if !header.asks() => break,
            Some(header) => row(&Row { header, cells: &record, line, delimiter, odd }, &mut gathering),
        }
        line += raw.trim_start_matches('\n').matches('\n').count();
        begin = end;
    }
    if !header.is_some_and(|header| header.asks()) {
        let hint = "Name the columns in the first row: id, kind, topic, difficulty, points, prompt, choice_a, choice_b, answer, …";
        gathering.notes.of_the_file();
        gathering.notes.lost("", "There is no column “prompt”, so nothing of the file is read.", hint);
    }
    gathering.finish()
}

/// The delimiter, and the text without the line that says it. The header has most of the one that is meant.
fn delimiter(text: &str) -> (u8, &str) {
    if let Some(rest) = text.strip_prefix(SEPARATOR_LINE)
        && let Some((said, rest)) = rest.split_once('\n')
        && let [delimiter] = said.trim_matches('"').as_bytes()
    {
        return (*delimiter, rest);
    }
    let header = text.lines().next().unwrap_or_default();
    let count = |delimiter: &u8| header.bytes().filter(|byte| byte == delimiter).count();
    let best = DELIMITERS.into_iter().rev().max_by_key(count).unwrap_or(b',');
    (best, text)
}

/// What the first row says.
#[derive(Default)]
struct Header {
    /// What each column holds, if it is known.
    columns: Vec<Option<Column>>,
    /// The columns without a name.
    nameless: HashSet<usize>,
}

impl Header {
    /// True if the table has what students are asked.
    fn asks(&self) -> bool {
        self.columns.contains(&Some(Column::Prompt))
    }
}

fn header_of(record: &StringRecord, line: usize, odd: &[Oddity], gathering: &mut Gathering) -> Header {
    gathering.notes.at(Some(line), "");
    if let Some(why) = odd.iter().find_map(|odd| unclosed(*odd, line)) {
        gathering.notes.lost("", format!("Nothing of the file is read. {why}"), UNCLOSED_HINT);
        return Header::default();
    }
    if record.len() > MAX_COLUMNS {
        gathering.notes.lost("", format!("The first row has more than {MAX_COLUMNS} columns."), "");
        return Header::default();
    }
    let mut header = Header::default();
    for (index, name) in record.iter().enumerate() {
        let found = columns::find(name).filter(|column| !header.columns.contains(&Some(*column)));
        if name.trim().is_empty() {
            header.nameless.insert(index);
        } else if found.is_none() {
            let hint = "Known are id, kind, topic, difficulty, points, prompt, choice_a and so on, answer, tolerance, key_points, explanation.";
            gathering.notes.lost(
                "",
                format!("The column {} is not known, or is there twice; it is not kept.", quoted(name)),
                hint,
            );
        }
        header.columns.push(found);
    }
    header
}

const UNCLOSED_HINT: &str = "Close the quotation mark; write one that is part of a text twice.";

/// Says that the row on `line` has no certain end, if that is what is odd.
fn unclosed(odd: Oddity, line: usize) -> Option<String> {
    let Oddity::Unclosed { below } = odd else { return None };
    Some(format!("A quotation mark opens on line {} that nothing closes where a cell ends.", line + below))
}

/// One row with the header it is read by.
pub(super) struct Row<'a> {
    header: &'a Header,
    cells: &'a StringRecord,
    line: usize,
    delimiter: u8,
    odd: Vec<Oddity>,
}

impl Row<'_> {
    /// What the row has in `column`; empty if that is nothing.
    pub(super) fn cell(&self, column: Column) -> &str {
        let at = self.header.columns.iter().position(|known| *known == Some(column));
        unprotected(at.and_then(|at| self.cells.get(at)).unwrap_or_default().trim())
    }

    /// The choices that are there, with the number of their column.
    pub(super) fn choices(&self) -> Vec<(usize, &str)> {
        let choice = |(column, cell): (&Option<Column>, _)| match column {
            Some(Column::Choice(number)) => Some((*number, cell)),
            _ => None,
        };
        let cells = self.header.columns.iter().zip(self.cells.iter().map(|cell| unprotected(cell.trim())));
        cells.filter_map(choice).filter(|(_, text)| !text.is_empty()).collect()
    }

    /// The number in a cell. Where cells are not divided by commas, a comma may be a point.
    pub(super) fn number(&self, column: Column, notes: &mut Notes) -> Result<Option<f64>, ()> {
        let text = self.cell(column).replace('−', "-");
        if text.is_empty() {
            return Ok(None);
        }
        let read = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
        let with_comma = || {
            let number = read(&text.replacen(',', ".", 1)).filter(|_| self.delimiter != b',')?;
            notes.changed("/answer", format!("{} is read as {number}.", quoted(&text)), "");
            Some(number)
        };
        read(&text).or_else(with_comma).map(Some).ok_or(())
    }
}

fn row(row: &Row<'_>, gathering: &mut Gathering) {
    let unclosed = row.odd.iter().find_map(|odd| unclosed(*odd, row.line));
    if unclosed.is_none() && row.cells.iter().all(|cell| cell.trim().is_empty()) {
        return;
    }
    gathering.begin(Some(row.line), row.cell(Column::Id));
    if let Some(why) = unclosed {
        return gathering.leave_out("", &why, UNCLOSED_HINT);
    }
    if row.cells.len() > row.header.columns.len() {
        let hint = "Put texts that hold the delimiter or a line break into quotation marks.";
        return gathering.leave_out("", "The row has more cells than the header.", hint);
    }
    note_cells(row, &mut gathering.notes);
    let Some(asked) = asked(row, gathering) else { return };
    let draft = Draft {
        name: String::new(),
        id: row.cell(Column::Id).to_owned(),
        topic: row.cell(Column::Topic).to_owned(),
        difficulty: whole(row, gathering),
        points: points(row, gathering),
        prompt: row.cell(Column::Prompt).to_owned(),
        asked,
        explanation: row.cell(Column::Explanation).to_owned(),
    };
    gathering.take(draft);
}

/// Tells of cells that stand in no column, and of those that are read otherwise than they look.
fn note_cells(row: &Row<'_>, notes: &mut Notes) {
    let nameless = row.cells.iter().enumerate().filter(|(index, _)| row.header.nameless.contains(index));
    for (index, cell) in nameless.filter(|(_, cell)| !cell.trim().is_empty()) {
        let what =
            format!("The cell {} stands in column {}, which has no name; it is not kept.", quoted(cell), index + 1);
        notes.lost("", what, "Name the column in the first row.");
    }
    for odd in &row.odd {
        let Oddity::TextBehind { cell } = *odd else { continue };
        let text = quoted(row.cells.get(cell).unwrap_or_default());
        let what = format!("There is text behind a closing quotation mark; the cell is read as {text}.");
        notes.changed("", what, "Write a quotation mark that is part of a text twice.");
    }
}

fn whole(row: &Row<'_>, gathering: &mut Gathering) -> Option<i16> {
    let text = row.cell(Column::Difficulty);
    let number = text.parse().ok();
    if number.is_none() && !text.is_empty() {
        gathering.notes.changed(
            "/difficulty",
            format!("The difficulty {} is no number from 1 to 3.", quoted(text)),
            "",
        );
    }
    number
}

fn points(row: &Row<'_>, gathering: &mut Gathering) -> Option<f64> {
    row.number(Column::Points, &mut gathering.notes).unwrap_or_else(|()| {
        let what = format!("The points {} are no number; it earns 1.", quoted(row.cell(Column::Points)));
        gathering.notes.changed("/points", what, "");
        None
    })
}

/// What [`super::write`] puts before cells that a spreadsheet would take for a formula.
fn unprotected(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if super::write::is_formula(rest) => rest,
        _ => cell,
    }
}
