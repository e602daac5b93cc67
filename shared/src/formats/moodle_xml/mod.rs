//! Moodle XML: questions as Moodle exports them.

mod question;
mod read;
mod settings;
mod text;
mod tree;
mod write;

use super::Format;

/// The row of the table.
pub(super) const FORMAT: Format = Format {
    name: "moodle_xml",
    label: "Moodle XML",
    extensions: &["xml"],
    media_types: &["application/xml", "text/xml"],
    sniff: |text| text.trim_start().starts_with('<'),
    read: read::read,
    write: write::write,
};
