//! Moodle's GIFT: questions as lines of text.

mod answers;
mod question;
mod read;
mod syntax;
mod write;

use super::Format;

pub(super) use self::question::tags;
pub(super) use self::read::category_topic;

/// The row of the table.
pub(super) const FORMAT: Format = Format {
    name: "gift",
    label: "Moodle GIFT",
    extensions: &["gift", "txt"],
    media_types: &["text/plain", "text/x-gift"],
    sniff: |text| text.contains('{') && text.contains('}'),
    read: read::read,
    write: write::write,
};
