//! The proof: random transitions on a real queue beside a plain model of it, random turns, and random arguments of every
//! script. What must hold after each step is in `invariants.rs`.
//!
//! Nothing sleeps: due times lie far in the past or far ahead, and the transition "time passes" rewrites them.

mod calls;
mod claims;
mod endings;
mod invariants;
mod lanes;
mod machine;
mod model;
mod script_arguments;
mod snapshot;
mod steering;
mod transition;
pub(crate) mod trial;
mod turns;

use proptest::test_runner::{Config, TestCaseError};

/// What a check says.
type Checked = Result<(), TestCaseError>;

/// `usual` cases, or as many as `PROPTEST_CASES` says.
fn cases(usual: u32) -> Config {
    let config = Config { failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_some() { config } else { Config { cases: usual, ..config } }
}
