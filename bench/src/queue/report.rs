//! The table of all peers, for people and as JSON.

use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use super::contestant::Contestant;
use super::peers::OURS;
use super::recovery::PATIENCE;
use crate::figures::{median, missing, precise, whole};
use crate::screen::say;

/// What was measured, one row a peer.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    rows: Vec<Row>,
    #[serde(skip)]
    notes: Vec<String>,
    #[serde(skip)]
    recovery: Recovery,
}

/// Whether the run timed recoveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// A value that is missing took too long.
    Timed,
    /// All values are missing.
    Skipped,
}

/// Medians of the rounds; none where nothing was measured.
#[derive(Debug, Serialize)]
struct Row {
    peer: &'static str,
    config: String,
    process_per_s: Option<f64>,
    bulk_push_per_s: Option<f64>,
    push_per_s: Option<f64>,
    pickup_p50_ms: Option<f64>,
    pickup_p99_ms: Option<f64>,
    bytes_per_waiting_job: Option<f64>,
    bytes_left_per_job: Option<f64>,
    recovery_s: Option<f64>,
    #[serde(skip)]
    has_workers: bool,
}

const HEADER: [&str; 10] = [
    "peer",
    "processed/s",
    "ours is",
    "bulk push/s",
    "push/s",
    "pick-up p50",
    "p99 (ms)",
    "bytes a job",
    "left",
    "recovery (s)",
];

impl Report {
    /// Sums up.
    pub(crate) fn of(contestants: Vec<Contestant>, recovery: Recovery) -> Self {
        let notes = contestants.iter().map(note).collect();
        Self { rows: contestants.into_iter().map(Row::of).collect(), notes, recovery }
    }

    /// Prints the table, and below it what is behind each row.
    pub(crate) fn show(&self) {
        let mut table = Table::new();
        table.set_header(HEADER);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for row in &self.rows {
            table.add_row(self.cells(row));
        }
        say(&format!("\n{table}\n"));
        for note in &self.notes {
            say(note);
        }
    }

    fn cells(&self, row: &Row) -> [String; 10] {
        let ours = self.rows.iter().find(|row| row.peer == OURS).and_then(|row| row.process_per_s);
        let ratio = ours.zip(row.process_per_s).map(|(ours, theirs)| ours / theirs);
        let late = self.recovery == Recovery::Timed && row.has_workers && row.recovery_s.is_none();
        [
            row.peer.to_owned(),
            whole(row.process_per_s),
            ratio.map_or_else(missing, |ratio| format!("{ratio:.1}x")),
            whole(row.bulk_push_per_s),
            whole(row.push_per_s),
            precise(row.pickup_p50_ms),
            precise(row.pickup_p99_ms),
            whole(row.bytes_per_waiting_job),
            precise(row.bytes_left_per_job),
            if late { format!("> {}", PATIENCE.as_secs()) } else { precise(row.recovery_s) },
        ]
    }
}

impl Row {
    fn of(contestant: Contestant) -> Self {
        let rounds = contestant.rounds;
        Self {
            peer: contestant.peer.name,
            config: contestant.config,
            process_per_s: median(rounds.process),
            bulk_push_per_s: median(rounds.bulk),
            push_per_s: median(rounds.single),
            pickup_p50_ms: median(rounds.p50),
            pickup_p99_ms: median(rounds.p99),
            bytes_per_waiting_job: median(rounds.waiting),
            bytes_left_per_job: median(rounds.left),
            recovery_s: contestant.recovery,
            has_workers: contestant.peer.holds > 0,
        }
    }
}

fn note(contestant: &Contestant) -> String {
    let separator = if contestant.peer.note.is_empty() { "" } else { "; " };
    format!("  {:<16} {}{separator}{}", contestant.peer.name, contestant.config, contestant.peer.note)
}
