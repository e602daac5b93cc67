//! Guesses at passwords, counted in a real Redis and without one.

mod clocks;
mod doors;
mod verdicts;

use std::net::Ipv4Addr;
use std::time::Instant;

use bellwork_queue::Server;
use bellwork_testkit::DEADLINE;
use bellwork_testkit::test_run::redis_url;
use uuid::Uuid;

use super::rules::{ACCOUNT, ADDRESS, OWN, Rule};
use super::*;

/// So much patience that a busy machine changes nothing.
const PATIENCE: Duration = DEADLINE;
/// Failures that close the doors of an account from an address for a quarter of an hour.
const MANY: u32 = 15;

fn throttle() -> Throttle {
    let server: Server = redis_url().parse().unwrap();
    let connection = server.with_timeouts(PATIENCE, PATIENCE).connection();
    Throttle::new(connection, &format!("test-{}", Uuid::new_v4().simple()), PATIENCE)
}

fn attempt(account: &str, host: u8, device: Option<Device>) -> Attempt {
    let known_by = device.map_or(KnownBy::Address, KnownBy::Device);
    Attempt {
        key: "key".to_owned(),
        account: account.to_owned(),
        address: Ipv4Addr::new(192, 0, 2, host).into(),
        known_by,
    }
}

fn throttle_without_redis() -> Throttle {
    let server: Server = "redis://127.0.0.1:1".parse().unwrap();
    Throttle::new(server.connection(), "test", PATIENCE)
}

/// Charges until it is to wait.
async fn fill(throttle: &Throttle, attempt: &Attempt) -> u32 {
    let mut let_through = 0;
    while throttle.charge(attempt).await.is_ok() {
        let_through += 1;
    }
    let_through
}

/// The most that a bucket lets through in this time: those that are free or forgiven, and one for each door that opens
/// again, after one second, two, four and so on.
fn most(rule: Rule, took: Duration) -> u32 {
    let forgiven = took.as_secs() / rule.forgiven_in.as_secs();
    let longest = took.as_secs() / rule.longest.as_secs();
    rule.free + u32::try_from(forgiven + longest).unwrap() + (took.as_secs() + 1).ilog2()
}

/// Whether `let_through` is what a bucket lets through that was filled since `began`, however slowly.
#[track_caller]
fn assert_filled(rule: Rule, let_through: u32, began: Instant) {
    let most = most(rule, began.elapsed());
    assert!((rule.free..=most).contains(&let_through), "{let_through}, and not {} to {most}", rule.free);
}

/// As many failures at once as close the doors of the attempt for long.
async fn slam(throttle: &Throttle, attempt: &Attempt, failures: u32) {
    let counting = if attempt.known_by == KnownBy::Address { Counting::Login } else { Counting::Own };
    throttle.ask(&throttle.keys(attempt), counting, failures).await.expect("the doors are open");
}
