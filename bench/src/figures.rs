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

/// The one in the middle, unless there is none.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// What stands for a value that is missing.
pub(crate) fn missing() -> String {
    "–".to_owned()
}

/// With two decimals.
pub(crate) fn precise(value: Option<f64>) -> String {
    value.map_or_else(missing, |value| format!("{value:.2}"))
}

/// With its thousands apart.
pub(crate) fn whole(value: Option<f64>) -> String {
    let Some(value) = value else { return missing() };
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_as_people_read_them() {
        assert_eq!(whole(Some(1_234_567.4)), "1,234,567");
        assert_eq!(whole(Some(999.0)), "999");
        assert_eq!(whole(None), "–");
        assert_eq!(precise(Some(0.126)), "0.13");
    }

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![]), None);
    }
}
