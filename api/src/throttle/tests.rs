use std::net::Ipv4Addr;
use std::time::Instant;

use bellwork_queue::Server;
use bellwork_tests::{DEADLINE, within};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::*;
use crate::error::ApiError;
use crate::passwords::Passwords;
use crate::sign_in::check_to_the_end;

/// So much patience that a busy machine changes nothing.
const PATIENCE: Duration = DEADLINE;
/// Failures that close the doors of an account from an address for a quarter of an hour.
const MANY: u32 = 15;

fn throttle() -> Throttle {
    let url = std::env::var("TEST_REDIS_URL").expect("TEST_REDIS_URL is set: scripts/test does it");
    let server: Server = url.parse().unwrap();
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

#[test]
fn delays_double_and_failures_are_forgiven() {
    let (local, throttle) = (Local::default(), throttle_without_redis());
    let keys = throttle.keys(&attempt("ada@example.com", 1, None));
    let mut now = Instant::now();
    for _ in 0..OWN.free {
        assert_eq!(local.ask(now, &keys, Counting::Login, 1), Ok(4));
    }
    for seconds in [1, 2, 4, 8, 16] {
        assert_eq!(local.ask(now, &keys, Counting::Login, 1), Err(Wait(Duration::from_secs(seconds))));
        now += Duration::from_secs(seconds);
        assert_eq!(local.ask(now, &keys, Counting::Login, 0), Ok(4), "asking costs nothing");
        assert_eq!(local.ask(now, &keys, Counting::Login, 1), Ok(4));
    }
    now += OWN.forgiven_in * 20;
    for _ in 0..OWN.free {
        assert_eq!(local.ask(now, &keys, Counting::Login, 1), Ok(4));
    }
}

fn throttle_without_redis() -> Throttle {
    let server: Server = "redis://127.0.0.1:1".parse().unwrap();
    Throttle::new(server.connection(), "test", PATIENCE)
}

#[test]
fn the_longest_delay_is_not_passed() {
    let (local, throttle) = (Local::default(), throttle_without_redis());
    let keys = throttle.keys(&attempt("ada@example.com", 1, None));
    let mut now = Instant::now();
    for _ in 0..100 {
        if let Err(Wait(wait)) = local.ask(now, &keys, Counting::Login, 1) {
            assert!(wait <= OWN.longest, "{wait:?}");
            now += wait;
        }
    }
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

/// What Redis says to an attempt, and when by its clock.
async fn told(throttle: &Throttle, keys: &Keys, counting: Counting) -> (Result<usize, Wait>, u64) {
    let mut call = prepared(&CHARGE, keys);
    call.arg(counting.name()).arg(1);
    for rule in RULES {
        call.arg(rule.free).arg(milliseconds(rule.forgiven_in)).arg(milliseconds(rule.longest));
    }
    let (wait, last, now) = call.invoke_async::<(u64, usize, u64)>(&mut throttle.redis.clone()).await.unwrap();
    (if wait == 0 { Ok(last) } else { Err(Wait(Duration::from_millis(wait))) }, now)
}

#[tokio::test]
async fn redis_and_the_process_count_alike() {
    // The process counts by Redis's clock, so that both see the same instants.
    let epoch = Instant::now();
    for device in [None, Some(Device::random())] {
        let attempt = attempt("ada@example.com", 1, device);
        let (throttle, local) = (throttle(), Local::default());
        let keys = throttle.keys(&attempt);
        let counting = if device.is_some() { Counting::Own } else { Counting::Login };
        for step in 0..40 {
            let (there, at) = told(&throttle, &keys, counting).await;
            let now = epoch + Duration::from_millis(at);
            assert_eq!(local.ask(now, &keys, counting, 1), there, "step {step}");
            if step % 3 == 1
                && let Ok(last) = there
            {
                local.take_back(&keys, last, now);
                let charge = Charge { last, at: At::Redis(at) };
                throttle.take_back(Charged { keys: keys.clone(), charge }).await;
            }
            // The doors are closed by then, and the waits were compared.
            if step % 16 == 15 {
                let last = if device.is_some() { 1 } else { 4 };
                local.forgive(&keys, last);
                let charge = Charge { last, at: At::Redis(at) };
                throttle.forgive(Charged { keys: keys.clone(), charge }).await;
                // From now on the address is known in Redis, which the process alone does not know.
                let mut redis = throttle.redis.clone();
                redis::cmd("DEL").arg(&keys[4]).query_async::<()>(&mut redis).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn many_attempts_at_once_gain_nothing() {
    let (throttle, attempt, began) = (throttle(), attempt("ada@example.com", 1, None), Instant::now());
    let charged = futures_util::future::join_all((0..50).map(|_| throttle.charge(&attempt))).await;
    let let_through = charged.iter().filter(|charged| charged.is_ok()).count();
    assert_filled(OWN, u32::try_from(let_through).unwrap(), began);
}

/// As many failures at once as close the doors of the attempt for long.
async fn slam(throttle: &Throttle, attempt: &Attempt, failures: u32) {
    let counting = if attempt.known_by == KnownBy::Address { Counting::Login } else { Counting::Own };
    throttle.ask(&throttle.keys(attempt), counting, failures).await.expect("the doors are open");
}

/// Each throttle with an attempt of each kind of client.
fn everywhere() -> impl Iterator<Item = (Throttle, Attempt)> {
    let clients = || [KnownBy::Address, KnownBy::Device(Device::random())];
    let attempts = move || clients().map(|known_by| Attempt { known_by, ..attempt("ada@example.com", 1, None) });
    [throttle(), throttle_without_redis()]
        .into_iter()
        .flat_map(move |throttle| attempts().map(|attempt| (throttle.clone(), attempt)))
}

#[tokio::test]
async fn what_is_taken_back_leaves_no_trace() {
    for (throttle, attempt) in everywhere() {
        for _ in 0..3 * OWN.free {
            let charged = throttle.charge(&attempt).await.expect("nothing is left of the one before");
            throttle.take_back(charged).await;
        }
        let began = Instant::now();
        throttle.charge(&attempt).await.expect("it is without a verdict");
        assert_filled(OWN, 1 + fill(&throttle, &attempt).await, began);
    }
}

#[tokio::test]
async fn a_door_that_others_have_closed_since_stays_closed() {
    for (throttle, attempt) in everywhere() {
        let without_verdict = throttle.charge(&attempt).await.unwrap();
        let now = async || throttle.ask(&without_verdict.keys, Counting::Address, 0).await.unwrap().at;
        eventually("time goes on", async || now().await != without_verdict.charge.at).await;
        slam(&throttle, &attempt, MANY).await;
        throttle.take_back(without_verdict).await;
        assert!(throttle.charge(&attempt).await.is_err());
    }
}

/// What Redis keeps of a client that has a bucket of its own: its failures, when they were counted, when it may try again.
async fn own_bucket(throttle: &Throttle, attempt: &Attempt) -> [f64; 3] {
    let mut redis = throttle.redis.clone();
    let kept: Option<String> = redis::cmd("GET").arg(&throttle.keys(attempt)[0]).query_async(&mut redis).await.unwrap();
    let numbers = |kept: String| kept.split(' ').map(|number| number.parse().unwrap()).collect::<Vec<_>>();
    kept.map_or([0.0; 3], |kept| numbers(kept).try_into().unwrap())
}

async fn own_level(throttle: &Throttle, attempt: &Attempt) -> f64 {
    own_bucket(throttle, attempt).await[0]
}

async fn eventually(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !look().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, looking).await.expect(what);
}

/// As many clients as may try at once go away after they are charged and before their passwords are looked at. Returns
/// when these have been looked at.
async fn abandoned(throttle: &Throttle, attempt: &Attempt, password: &str) {
    let passwords = Passwords::new(1);
    let stored = passwords.hash("correct horse".to_owned()).await.unwrap();
    let busy = passwords.permits().await.unwrap();
    let check = |_| check_to_the_end(throttle, &passwords, attempt.clone(), password.to_owned(), Some(stored.clone()));
    let clients = futures_util::future::join_all((0..OWN.free).map(check));
    let free = f64::from(OWN.free);
    tokio::select! {
        _ = clients => panic!("nobody has looked at the passwords"),
        () = eventually("all are charged", async || own_level(throttle, attempt).await > free - 0.5) => {}
    }
    drop(busy);
    drop(passwords.permits().await.expect("it comes after those who went away"));
}

#[tokio::test]
async fn a_right_password_is_forgiven_though_its_client_has_gone() {
    let (throttle, attempt) = (throttle(), attempt("ada@example.com", 1, Some(Device::random())));
    abandoned(&throttle, &attempt, "correct horse").await;
    eventually("nothing is left", async || own_level(&throttle, &attempt).await == 0.0).await;
    assert!(throttle.charge(&attempt).await.is_ok());
}

#[tokio::test]
async fn a_guess_is_charged_though_its_client_has_gone() {
    let (throttle, attempt) = (throttle(), attempt("ada@example.com", 1, Some(Device::random())));
    abandoned(&throttle, &attempt, "wrong horse").await;
    let [level, counted, opens] = own_bucket(&throttle, &attempt).await;
    assert!(level > f64::from(OWN.free) - 0.5, "{level}");
    assert!(opens > counted, "the door that the last one closed has not been opened");
}

#[tokio::test]
async fn an_attempt_that_is_refused_for_want_of_room_costs_nothing() {
    let (throttle, passwords, attempt) = (throttle(), Passwords::new(0), attempt("ada@example.com", 1, None));
    let mut waiting = Vec::new();
    let mut is_full = false;
    while !is_full {
        let mut caller = Box::pin(passwords.permits());
        is_full = futures_util::poll!(&mut caller).is_ready();
        waiting.push(caller);
    }
    for _ in 0..3 * OWN.free {
        let checked = check_to_the_end(&throttle, &passwords, attempt.clone(), "guess".to_owned(), None).await;
        assert!(matches!(checked, Err(ApiError::Overloaded)), "{checked:?}");
    }
}

#[tokio::test]
async fn an_attacker_closes_doors_only_behind_himself() {
    let (throttle, began) = (throttle(), Instant::now());
    let (account, device) = ("ada@example.com", Device::random());
    assert_filled(OWN, fill(&throttle, &attempt(account, 1, None)).await, began);
    assert!(throttle.charge(&attempt(account, 1, Some(device))).await.is_ok(), "the student's device at his address");
    assert!(throttle.charge(&attempt(account, 2, None)).await.is_ok(), "the student at another address");
    assert!(throttle.charge(&attempt("bob@example.com", 1, None)).await.is_ok(), "another student at his address");
}

#[tokio::test]
async fn a_known_address_is_not_slowed_by_failures_elsewhere() {
    let throttle = throttle();
    let home = attempt("ada@example.com", 200, None);
    let charged = throttle.charge(&home).await.unwrap();
    throttle.forgive(charged).await;
    slam(&throttle, &attempt("ada@example.com", 1, None), 2 * ACCOUNT.free).await;
    assert!(throttle.charge(&attempt("ada@example.com", 100, None)).await.is_err(), "a new address waits");
    assert!(throttle.charge(&home).await.is_ok());
}

#[tokio::test]
async fn many_addresses_share_the_bucket_of_the_account_for_which_they_guess() {
    let (throttle, began) = (throttle(), Instant::now());
    let mut failures = 0;
    for host in 1..=20 {
        failures += fill(&throttle, &attempt("ada@example.com", host, None)).await;
    }
    assert_filled(ACCOUNT, failures, began);
}

#[tokio::test]
async fn a_session_is_slowed_by_its_own_failures_only() {
    let (throttle, began) = (throttle(), Instant::now());
    let account = "ada@example.com";
    let in_session = |session| Attempt { known_by: KnownBy::Session(session), ..attempt(account, 1, None) };
    let (here, there) = (in_session(SessionId::new()), in_session(SessionId::new()));
    assert_filled(OWN, fill(&throttle, &here).await, began);
    assert!(throttle.charge(&there).await.is_ok(), "another session");
    assert!(throttle.charge(&attempt(account, 1, None)).await.is_ok(), "a login");
    for host in 1..=20 {
        fill(&throttle, &attempt(account, host, None)).await;
    }
    assert!(throttle.charge(&there).await.is_ok(), "guesses at the door");
}

#[tokio::test]
async fn signing_in_to_an_account_of_ones_own_forgives_no_guesses() {
    let (throttle, began) = (throttle(), Instant::now());
    let own = attempt("mallory@example.com", 1, Some(Device::random()));
    let mut guesses = 0;
    for account in 0..200 {
        let account = format!("{account}@example.com");
        guesses += u32::from(throttle.charge(&attempt(&account, 1, None)).await.is_ok());
        let charged = throttle.charge(&own).await.unwrap();
        throttle.forgive(charged).await;
    }
    assert_filled(ADDRESS, guesses, began);
}

#[tokio::test]
async fn without_redis_this_process_counts() {
    let (throttle, began) = (throttle_without_redis(), Instant::now());
    assert_filled(OWN, fill(&throttle, &attempt("ada@example.com", 1, None)).await, began);
    let other = attempt("bob@example.com", 2, None);
    for _ in 0..3 * OWN.free {
        let charged = throttle.charge(&other).await.expect("a success takes its charge back");
        throttle.forgive(charged).await;
    }
}

#[tokio::test]
async fn a_slow_redis_is_waited_for_as_long_as_configured() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server: Server = format!("redis://{}", silent.local_addr().unwrap()).parse().unwrap();
    let server = server.with_timeouts(PATIENCE, PATIENCE);
    let attempt = attempt("ada@example.com", 1, None);
    let hasty = Throttle::new(server.connection(), "test", Duration::from_millis(1));
    within("this process counts", hasty.charge(&attempt)).await.unwrap();
    let patient = Throttle::new(server.connection(), "test", PATIENCE);
    timeout(Duration::from_millis(300), patient.charge(&attempt)).await.expect_err("it waits for Redis");
}

#[tokio::test]
async fn what_is_kept_in_redis_names_nobody_and_ends() {
    let throttle = throttle();
    let attempt = attempt("quentin@example.com", 1, None);
    let charged = throttle.charge(&attempt).await.unwrap();
    let keys = charged.keys.clone();
    throttle.forgive(charged).await;
    throttle.charge(&attempt).await.unwrap();
    let mut redis = throttle.redis.clone();
    for key in &keys[1..] {
        assert!(!key.contains("quentin") && !key.contains("192.0.2"), "{key}");
        let left: i64 = redis::cmd("PTTL").arg(key).query_async(&mut redis).await.unwrap();
        assert!(left != -1, "{key} must end by itself");
    }
}
