//! The tables of all servers, for people and as JSON.

use comfy_table::presets::ASCII_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use super::aims;
use super::connections::Held;
use super::loads::{Load, Source};
use super::servers::{OURS, Running, Servers};
use super::wrk::Figures;
use crate::figures::{median, precise, whole};
use crate::screen::say;

/// The figures so far, in the order of loads and servers.
#[derive(Debug, Default)]
pub(crate) struct Measured(Vec<(&'static Load, &'static str, Vec<Figures>)>);

/// What was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    rows: Vec<Row>,
    connections: Vec<Held>,
    #[serde(skip)]
    notes: Vec<String>,
}

/// Medians of the rounds; what failed is of all rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) load: &'static str,
    #[serde(skip)]
    pub(crate) source: Source,
    pub(crate) server: &'static str,
    pub(crate) requests_per_s: f64,
    /// Our requests a second to this server's.
    pub(crate) ours_is: f64,
    p50_ms: f64,
    pub(crate) p95_ms: f64,
    p99_ms: f64,
    pub(crate) failed: u64,
}

const HEADER: [&str; 8] = ["load", "server", "requests/s", "ours is", "p50 (ms)", "p95", "p99", "failed"];
const HELD_HEADER: [&str; 9] =
    ["server", "opened", "kept", "the mix/s", "p95 (ms)", "failed", "MB before", "MB with", "kB each"];
const ABOUT: &str = "Closed loop: wrk asks again as soon as it is answered, on the same cores as the servers and their stores\n  \
                     whenever none of them wants one (SCHED_IDLE), so a slower server is asked less. \"Ours is\" is our rate\n  \
                     to theirs.";
const MEGABYTE: f64 = 1e6;
const KILOBYTE: f64 = 1e3;

impl Measured {
    /// Adds what a round found.
    pub(crate) fn add(&mut self, load: &'static Load, server: &Running, figures: Figures) {
        let server = server.name();
        match self.0.iter_mut().find(|known| (known.0.name, known.1) == (load.name, server)) {
            Some(known) => known.2.push(figures),
            None => self.0.push((load, server, vec![figures])),
        }
    }
}

impl Report {
    /// Sums up.
    pub(crate) fn of(servers: &Servers, measured: Measured, connections: Vec<Held>) -> Self {
        let notes = servers.running.iter().map(note).collect();
        let mut rows: Vec<_> =
            measured.0.into_iter().map(|(load, server, rounds)| Row::of(load, server, &rounds)).collect();
        let ours: Vec<_> =
            rows.iter().filter(|row| row.server == OURS).map(|row| (row.load, row.requests_per_s)).collect();
        for row in &mut rows {
            let ours = ours.iter().find(|(load, _)| *load == row.load).map_or(0.0, |(_, rate)| *rate);
            row.ours_is = ours / row.requests_per_s;
        }
        Self { rows, connections, notes }
    }

    /// Prints the tables, and below them what is behind each server.
    pub(crate) fn show(&self) {
        let mut before = "";
        let rates = self.rows.iter().map(|row| {
            let load = if row.load == before { "" } else { row.load };
            before = row.load;
            row.cells(load)
        });
        say(&format!("\n{}\n", table(HEADER, 2, rates.collect())));
        if !self.connections.is_empty() {
            say(&format!("{}\n", table(HELD_HEADER, 1, self.connections.iter().map(held_cells).collect())));
        }
        for line in aims::judge(&self.rows, &self.connections) {
            say(&line);
        }
        say(&format!("\n  {ABOUT}"));
        for note in &self.notes {
            say(note);
        }
    }
}

impl Row {
    fn of(load: &Load, server: &'static str, rounds: &[Figures]) -> Self {
        let of = |value: fn(&Figures) -> f64| median(rounds.iter().map(value).collect()).unwrap_or_default();
        Self {
            load: load.name,
            source: load.source,
            server,
            requests_per_s: of(|figures| figures.requests_per_s),
            ours_is: 0.0,
            p50_ms: of(|figures| figures.p50_ms),
            p95_ms: of(|figures| figures.p95_ms),
            p99_ms: of(|figures| figures.p99_ms),
            failed: rounds.iter().map(|figures| figures.refused + figures.lost).sum(),
        }
    }

    fn cells(&self, load: &str) -> Vec<String> {
        let mut cells = vec![load.to_owned(), self.server.to_owned(), whole(Some(self.requests_per_s))];
        cells.push(format!("{:.2}x", self.ours_is));
        cells.extend([self.p50_ms, self.p95_ms, self.p99_ms].map(|ms| precise(Some(ms))));
        cells.push(self.failed.to_string());
        cells
    }
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn held_cells(held: &Held) -> Vec<String> {
    let (before, with) = (held.memory_before as f64, held.memory_with as f64);
    let mut cells = vec![held.server.to_owned(), held.opened.to_string(), held.kept.to_string()];
    cells.extend([whole(Some(held.requests_per_s)), precise(Some(held.p95_ms)), held.failed.to_string()]);
    cells.extend([before / MEGABYTE, with / MEGABYTE].map(|megabytes| format!("{megabytes:.0}")));
    cells.push(format!("{:.1}", (with - before) / held.opened.max(1) as f64 / KILOBYTE));
    cells
}

/// Its first columns are words, the others numbers.
fn table<const N: usize>(header: [&str; N], words: usize, rows: Vec<Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_FULL_CONDENSED).set_header(header);
    for column in table.column_iter_mut().skip(words) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.add_rows(rows);
    table
}

fn note(server: &Running) -> String {
    format!("  {:<16} {}; {}", server.name(), server.version, server.note())
}
