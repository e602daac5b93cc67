//! THE TABLE of buckets: how they fill and empty.

use std::time::Duration;

/// How a bucket fills and empties.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// Failures that cost no time.
    pub(super) free: u32,
    /// How long until one failure is forgiven.
    pub(super) forgiven_in: Duration,
    /// The longest delay.
    pub(super) longest: Duration,
}

/// Somebody who mistypes waits for some seconds; somebody who guesses, for a quarter of an hour each time.
pub(super) const OWN: Rule = Rule { free: 5, forgiven_in: Duration::from_secs(300), longest: Duration::from_secs(900) };
/// A school of some hundred students may stand behind one address: it gets many free attempts and short delays.
pub(super) const ADDRESS: Rule =
    Rule { free: 50, forgiven_in: Duration::from_secs(15), longest: Duration::from_secs(60) };
/// Many addresses that guess for one account share this. Short delays: a student on a new device may be among them.
pub(super) const ACCOUNT: Rule =
    Rule { free: 30, forgiven_in: Duration::from_secs(60), longest: Duration::from_secs(60) };
/// In the order of the buckets: the client's own, account from this address, address, account.
pub(super) const RULES: [Rule; 4] = [OWN, OWN, ADDRESS, ACCOUNT];
