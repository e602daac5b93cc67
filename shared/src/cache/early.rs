//! When to load a value anew before it expires: XFetch (Vattani, Chierichetti, Lowenstein: "Optimal Probabilistic Cache
//! Stampede Prevention", VLDB 2015).
//!
//! Each reader draws by itself, so that no lock is shared between processes. The nearer the expiry and the dearer the
//! value, the likelier a reader goes ahead; of n readers about one does, a little before the value would expire for all.

use std::time::Duration;

/// How eagerly values are loaded early; 1 is the paper's optimum for any arrival of requests.
const BETA: f64 = 1.0;
/// The longest head start that 53 random bits can give, in multiples of the cost: -ln(2^-53) is 36.7.
const LONGEST: u32 = 37;

/// True if this reader should load anew a value that is fresh for `left` and took `cost` to load. `random` is uniform
/// over [0, 1).
pub(super) fn is_due(left: Duration, cost: Duration, random: impl FnOnce() -> f64) -> bool {
    if left > cost * LONGEST {
        return false;
    }
    let head_start = cost.as_secs_f64() * BETA * -(1.0 - random()).ln();
    head_start >= left.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    const COST: Duration = Duration::from_millis(100);

    #[test]
    fn the_draw_decides_by_what_is_left() {
        let ms = Duration::from_millis;
        for (left, random, due) in [
            (ms(0), 0.0, true),
            (ms(1), 0.0, false),
            (ms(100), 0.63, false),
            (ms(100), 0.64, true),
            (ms(1_000), 0.999_95, false),
            (ms(1_000), 0.999_96, true),
        ] {
            assert_eq!(is_due(left, COST, || random), due, "{left:?} {random}");
        }
        assert!(!is_due(COST * 38, COST, || unreachable!("far from the expiry nothing is drawn")));
        assert!(!is_due(ms(1), Duration::ZERO, || 0.999), "what costs nothing is never early");
    }

    /// P(due) = e^(-left/cost).
    #[test]
    fn the_share_of_early_readers_falls_exponentially() {
        let mut rng = StdRng::seed_from_u64(2015);
        for (left, expected) in [(50, 0.6065), (100, 0.3679), (300, 0.0498)] {
            let left = Duration::from_millis(left);
            let due = (0..100_000).filter(|_| is_due(left, COST, || rng.random())).count();
            let share = due as f64 / 100_000.0;
            assert!((share - expected).abs() < 0.006, "{left:?}: {share} instead of {expected}");
        }
    }

    /// A hot key that is read every millisecond: how many readers load it early, if the first one's value takes `COST`?
    #[test]
    fn few_readers_of_a_hot_value_go_ahead() {
        let mut rng = StdRng::seed_from_u64(7);
        let (mut early, mut late) = (0_u32, 0_u32);
        for _ in 0..200 {
            let mut arrives = None;
            for left in (0..4_000).rev() {
                if arrives == Some(left) {
                    break;
                }
                if is_due(Duration::from_millis(left), COST, || rng.random()) {
                    early += 1;
                    arrives = arrives.or(left.checked_sub(100));
                }
            }
            late += u32::from(arrives.is_none());
        }
        assert!(late < 10, "{late} of 200 expiries were met by nobody");
        assert!(early / 200 < 100, "{early} loads for 200 expiries that 4,000 readers each looked at");
    }
}
