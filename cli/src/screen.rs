//! What the operator sees: the one place that owns standard output and standard error.

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};

use bellwork_shared::config::Variables;
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, LineStyle, Table, TableStyle};
use serde::Serialize;

/// One light line below the header, and nothing else.
const LIGHT: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// How wide lines are where there is no terminal.
const DEFAULT_WIDTH: usize = 120;

/// What a piece of text means, told by colour where there is colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing special.
    Plain,
    /// What to read first.
    Strong,
    /// What can be skipped.
    Faint,
    /// It went well.
    Good,
    /// It went wrong.
    Bad,
    /// It needs attention.
    Caution,
}

/// For whom the answers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Words and tables on standard output.
    People,
    /// JSON on standard output, words on standard error.
    Programs,
}

/// Where words may be written, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surface {
    /// A terminal with colours and lines that can be written anew.
    Terminal,
    /// A terminal without colours, as `NO_COLOR` wishes.
    Monochrome,
    /// A file or a pipe.
    Stream,
}

/// Standard output and standard error.
pub(crate) struct Screen {
    reader: Reader,
    surface: Surface,
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    living: bool,
}

impl Screen {
    /// The screen of this process.
    pub(crate) fn of_process(json: bool, variables: &Variables) -> Self {
        let (reader, terminal) = if json {
            (Reader::Programs, io::stderr().is_terminal())
        } else {
            (Reader::People, io::stdout().is_terminal())
        };
        let surface = match terminal && variables.optional("TERM") != Some("dumb") {
            false => Surface::Stream,
            true if variables.optional("NO_COLOR").is_some() => Surface::Monochrome,
            true => Surface::Terminal,
        };
        Self::on(Box::new(io::stdout()), Box::new(io::stderr()), reader, surface)
    }

    /// A screen on these two writers.
    pub(crate) fn on(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>, reader: Reader, surface: Surface) -> Self {
        Self { reader, surface, out, err, living: false }
    }

    /// How many characters fit on a line.
    pub(crate) fn width(&self) -> usize {
        let terminal = Table::new().width().filter(|_| self.surface != Surface::Stream);
        terminal.map_or(DEFAULT_WIDTH, usize::from)
    }

    /// Says a line of the answer to people.
    pub(crate) fn say(&mut self, line: impl Display) -> io::Result<()> {
        self.end_living_line()?;
        writeln!(self.words(), "{line}")
    }

    /// Says a line beside the answer: progress, or what to do next.
    pub(crate) fn hint(&mut self, line: impl Display) -> io::Result<()> {
        self.end_living_line()?;
        writeln!(self.err, "{line}")
    }

    /// Shows a line that the next one replaces; on a terminal only.
    pub(crate) fn living_line(&mut self, line: impl Display) -> io::Result<()> {
        if self.surface == Surface::Stream {
            return Ok(());
        }
        self.living = true;
        write!(self.words(), "\r{line}\x1b[K")?;
        self.words().flush()
    }

    /// Answers a program; people see nothing.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        if self.reader == Reader::People {
            return Ok(());
        }
        serde_json::to_writer(&mut self.out, value)?;
        writeln!(self.out)
    }

    /// Answers people with a table; a program sees nothing.
    pub(crate) fn table(&mut self, mut table: Table) -> io::Result<()> {
        if self.reader == Reader::Programs {
            return Ok(());
        }
        // The terminal of a container or of a recorder may say that it has no columns: it does not know.
        if table.width() == Some(0) {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
        match self.surface {
            Surface::Terminal => table.enforce_styling(),
            Surface::Monochrome => table.force_no_tty(),
            Surface::Stream => table.force_no_tty().set_content_arrangement(ContentArrangement::Disabled),
        };
        self.say(table.trim_fmt())
    }

    /// `text` in the colour of its tone, if this screen has colours.
    pub(crate) fn toned(&self, tone: Tone, text: impl Display) -> String {
        let code = match tone {
            _ if self.surface != Surface::Terminal => "",
            Tone::Plain => "",
            Tone::Strong => "\x1b[1m",
            Tone::Faint => "\x1b[2m",
            Tone::Good => "\x1b[32m",
            Tone::Bad => "\x1b[31m",
            Tone::Caution => "\x1b[33m",
        };
        if code.is_empty() { text.to_string() } else { format!("{code}{text}\x1b[0m") }
    }

    fn words(&mut self) -> &mut (dyn Write + Send) {
        match self.reader {
            Reader::People => &mut *self.out,
            Reader::Programs => &mut *self.err,
        }
    }

    fn end_living_line(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.living) {
            return Ok(());
        }
        write!(self.words(), "\r\x1b[K")
    }
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Screen").field("reader", &self.reader).field("surface", &self.surface).finish_non_exhaustive()
    }
}

/// An empty table with this header.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(LIGHT).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.iter().map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
    table
}

/// A cell of a table.
pub(crate) fn cell(text: impl Display, tone: Tone) -> Cell {
    let cell = Cell::new(text);
    match tone {
        Tone::Plain => cell,
        Tone::Strong => cell.add_attribute(Attribute::Bold),
        Tone::Faint => cell.add_attribute(Attribute::Dim),
        Tone::Good => cell.fg(Color::DarkGreen),
        Tone::Bad => cell.fg(Color::DarkRed),
        Tone::Caution => cell.fg(Color::DarkYellow),
    }
}

/// A cell with a number.
pub(crate) fn number(number: impl Display, tone: Tone) -> Cell {
    cell(number, tone).set_alignment(CellAlignment::Right)
}

/// The beginning of a text on one line, with an ellipsis if there is more.
pub(crate) fn shortened(text: &str, room: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= room {
        return line;
    }
    let head: String = line.chars().take(room.saturating_sub(1)).collect();
    format!("{}…", head.trim_end())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What stands on standard output and standard error after an answer of each form.
    fn written(reader: Reader, surface: Surface) -> (String, String) {
        let (out, err) = (Paper::default(), Paper::default());
        let mut screen = Screen::on(Box::new(out.clone()), Box::new(err.clone()), reader, surface);
        let mut rows = table(&["NAME", "JOBS"]);
        rows.add_row([cell("ai", Tone::Good), number(12, Tone::Plain)]);
        screen.living_line("working").unwrap();
        screen.json(&["ai"]).unwrap();
        screen.table(rows).unwrap();
        screen.say(screen.toned(Tone::Bad, "done")).unwrap();
        screen.hint("more").unwrap();
        let text = |paper: Paper| String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        (text(out), text(err))
    }

    #[test]
    fn people_read_words_and_tables_on_standard_output() {
        let (out, err) = written(Reader::People, Surface::Stream);
        assert_eq!(out, " NAME   JOBS\n─────────────\n ai       12\ndone\n");
        assert_eq!(err, "more\n");
    }

    #[test]
    fn programs_read_json_on_standard_output_and_nothing_else() {
        let (out, err) = written(Reader::Programs, Surface::Stream);
        assert_eq!((out.as_str(), err.as_str()), ("[\"ai\"]\n", "done\nmore\n"));
    }

    #[test]
    fn colours_and_living_lines_are_for_terminals() {
        let (out, _) = written(Reader::People, Surface::Terminal);
        assert!(out.contains("\rworking\x1b[K") && out.contains("\x1b[31mdone\x1b[0m"), "{out:?}");
        let (out, _) = written(Reader::People, Surface::Monochrome);
        assert!(out.contains("\rworking\x1b[K") && out.ends_with("12\ndone\n"), "{out:?}");
    }

    #[test]
    fn a_terminal_that_says_it_has_no_columns_is_as_wide_as_the_table() {
        let (out, err) = (Paper::default(), Paper::default());
        let mut screen = Screen::on(Box::new(out.clone()), Box::new(err), Reader::People, Surface::Monochrome);
        let mut table = table(&["A heading of some words"]);
        table.add_row(["and what stands below it"]).set_width(0);
        screen.table(table).unwrap();
        let said = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        assert!(said.contains("and what stands below it"), "{said}");
    }

    #[test]
    fn a_text_is_cut_at_characters_and_says_so() {
        assert_eq!(shortened("three\n short  words", 20), "three short words");
        assert_eq!(shortened("Größe über alles", 8), "Größe ü…");
    }
}
