//! What the API is to reach on two cores, the generator included, and whether it did.

use super::connections::Held;
use super::loads::{MIX, Source};
use super::report::Row;
use super::servers::{BARE, OURS};

/// The share of the bare handler's rate that a read out of a cache reaches.
const CACHED_SHARE: f64 = 0.7;
/// Requests of the mix a second.
const MIX_RATE: f64 = 20_000.0;
/// 95 of 100 of them are answered within so many milliseconds.
const MIX_P95_MS: f64 = 50.0;

/// A line for each aim that was measured.
pub(crate) fn judge(rows: &[Row], connections: &[Held]) -> Vec<String> {
    [cached(rows), mix(rows), held(connections)].into_iter().flatten().collect()
}

/// The worst of the cached reads tells.
fn cached(rows: &[Row]) -> Option<String> {
    let beside_bare = rows.iter().filter(|row| row.server == BARE && row.source == Source::Cache && row.ours_is > 0.0);
    let worst = beside_bare.min_by(|one, other| one.ours_is.total_cmp(&other.ours_is))?;
    let (share, aim) = (100.0 * worst.ours_is, 100.0 * CACHED_SHARE);
    let said =
        format!("a cached read at {aim:.0} % of a bare handler's rate or more: {share:.0} % at least ({})", worst.load);
    Some(format!("  {} {said}", mark(worst.ours_is >= CACHED_SHARE)))
}

fn mix(rows: &[Row]) -> Option<String> {
    let row = rows.iter().find(|row| row.server == OURS && row.load == MIX.name)?;
    let reached = row.requests_per_s >= MIX_RATE && row.p95_ms < MIX_P95_MS && row.failed == 0;
    let (rate, p95, failed) = (row.requests_per_s, row.p95_ms, row.failed);
    let said = format!(
        "{} at {MIX_RATE:.0}/s or more with p95 below {MIX_P95_MS:.0} ms: {rate:.0}/s, {p95:.1} ms, {failed} failed",
        MIX.name
    );
    Some(format!("  {} {said}", mark(reached)))
}

fn held(connections: &[Held]) -> Option<String> {
    let held = connections.iter().find(|held| held.server == OURS)?;
    let reached = held.kept == held.wanted && held.failed == 0;
    let said = format!("{} connections kept open beside the mix: {}, {} failed", held.wanted, held.kept, held.failed);
    Some(format!("  {} {said}", mark(reached)))
}

fn mark(reached: bool) -> char {
    if reached { '✓' } else { '✗' }
}
