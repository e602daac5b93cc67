//! Quotation marks that a program which writes CSV never leaves as they are. The crate `csv` reads on over each, so what
//! they swallow would be gone without a word.

/// What is odd about the quotation marks of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Oddity {
    /// A mark that opened this many lines below the beginning of the row is closed nowhere, or in the midst of a text further
    /// down. Nobody knows where the row was meant to end.
    Unclosed { below: usize },
    /// There is text behind a closing mark of the cell with this number, from 0.
    TextBehind { cell: usize },
}

enum Place {
    CellBegins,
    InPlain,
    InQuoted,
    BehindMark,
    BehindSpace,
}

/// What is odd about `row`, which is as the file has it; at most one thing for each cell.
pub(super) fn oddities(row: &str, delimiter: u8) -> Vec<Oddity> {
    let (mut place, mut odd) = (Place::CellBegins, Vec::new());
    let (mut cell, mut line, mut opened) = (0, 0, 0);
    for byte in row.trim_start_matches('\n').bytes() {
        place = match (place, byte) {
            (Place::InQuoted, b'"') => Place::BehindMark,
            (Place::InQuoted, _) => Place::InQuoted,
            (Place::BehindMark, b'"') => Place::InQuoted,
            (_, b'\n') => Place::CellBegins,
            (_, byte) if byte == delimiter => {
                cell += 1;
                Place::CellBegins
            }
            (Place::CellBegins, b'"') => {
                opened = line;
                Place::InQuoted
            }
            (Place::BehindMark | Place::BehindSpace, b' ' | b'\t') => Place::BehindSpace,
            (Place::BehindMark | Place::BehindSpace, _) => {
                odd.push(if line > opened { Oddity::Unclosed { below: opened } } else { Oddity::TextBehind { cell } });
                Place::InPlain
            }
            (Place::CellBegins | Place::InPlain, _) => Place::InPlain,
        };
        line += usize::from(byte == b'\n');
    }
    if matches!(place, Place::InQuoted) {
        odd.push(Oddity::Unclosed { below: opened });
    }
    odd
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_followed_over_cells_and_lines() {
        let unclosed = |below| vec![Oddity::Unclosed { below }];
        for (row, expected) in [
            ("a,\"b, \"\"c\"\"\nd\",e\n", vec![]),
            ("a \"b\" c,d \" e\n", vec![]),
            ("\"a\" ,\"\",\"\"\"\"\n", vec![]),
            ("\n\na,\"b\n,c\n", unclosed(0)),
            ("\"a\nb\",\"c\nd", unclosed(1)),
            ("a,\"b\nc,\"d e\",f\n", unclosed(0)),
            ("\"a\" \"b\"\n", vec![Oddity::TextBehind { cell: 0 }]),
            ("a,\"b\" c,\"d\"e\n", vec![Oddity::TextBehind { cell: 1 }, Oddity::TextBehind { cell: 2 }]),
        ] {
            assert_eq!(oddities(row, b','), expected, "{row:?}");
        }
    }
}
