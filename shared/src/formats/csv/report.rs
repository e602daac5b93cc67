//! The report of an import as CSV, for who corrects the file in a spreadsheet.

use ::csv::{Terminator, WriterBuilder};

use super::write::{BYTE_ORDER_MARK, protected};
use crate::imports::ReportRow;

/// Writes the rows of a report.
#[must_use]
pub fn report(rows: &[ReportRow]) -> String {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    let mut put = |cells: [String; 7]| writer.write_record(cells).expect("memory takes rows of one length");
    put(["row", "line", "question", "severity", "pointer", "detail", "hint"].map(str::to_owned));
    for ReportRow { row, problem } in rows {
        let line = problem.line.map_or_else(String::new, |line| line.to_string());
        let severity = problem.severity.name().to_owned();
        let [question, pointer, detail, hint] =
            [&problem.question, &problem.pointer, &problem.detail, &problem.hint].map(|text| protected(text));
        put([row.to_string(), line, question, severity, pointer, detail, hint]);
    }
    let bytes = writer.into_inner().expect("memory takes all rows");
    BYTE_ORDER_MARK.to_owned() + &String::from_utf8(bytes).expect("rows of text are text")
}
