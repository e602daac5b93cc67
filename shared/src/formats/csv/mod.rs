//! CSV: one question per row, as spreadsheets have them.

mod answers;
mod columns;
mod quotes;
mod read;
mod report;
mod write;

use super::Format;

pub use self::report::report;

/// The row of the table.
pub(super) const FORMAT: Format = Format {
    name: "csv",
    label: "CSV",
    extensions: &["csv", "tsv"],
    media_types: &["text/csv", "text/tab-separated-values"],
    sniff: read::sniff,
    read: read::read,
    write: write::write,
};
