//! Measured figures, as a table and as JSON.

use std::io::Write;
use std::time::Duration;

use comfy_table::Table;
use serde::Serialize;

/// What was measured, one row a figure.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Figures {
    /// The rows in their order.
    pub(crate) rows: Vec<Figure>,
}

/// One figure.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    /// What it says.
    pub(crate) name: String,
    /// How much.
    pub(crate) value: f64,
    /// Of what.
    pub(crate) unit: &'static str,
}

impl Figures {
    /// Adds a figure.
    pub(crate) fn add(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.rows.push(Figure { name: name.into(), value, unit });
    }

    /// Adds the median and the 99th percentile of `samples`.
    pub(crate) fn add_latencies(&mut self, name: &str, samples: &mut [Duration]) {
        samples.sort();
        for (percentile, rank) in [("p50", 0.50), ("p99", 0.99)] {
            self.add(format!("{name}, {percentile}"), at(samples, rank).as_secs_f64() * 1000.0, "ms");
        }
    }

    /// Prints the table.
    pub(crate) fn show(&self, out: &mut impl Write) -> std::io::Result<()> {
        let mut table = Table::new();
        table.set_header(["figure", "value", "unit"]);
        for row in &self.rows {
            table.add_row([row.name.clone(), format!("{:.2}", row.value), row.unit.to_owned()]);
        }
        writeln!(out, "{table}")
    }
}

/// The sample of that rank (0 to 1) among sorted ones.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "small counts"
)]
pub(crate) fn at(sorted: &[Duration], rank: f64) -> Duration {
    let index = (sorted.len() as f64 * rank).ceil() as usize;
    sorted.get(index.saturating_sub(1)).copied().unwrap_or_default()
}
