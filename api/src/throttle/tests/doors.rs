//! Whose doors failures close, and whose not.

use super::*;

#[tokio::test]
async fn many_attempts_at_once_gain_nothing() {
    let (throttle, attempt, began) = (throttle(), attempt("ada@example.com", 1, None), Instant::now());
    let charged = futures_util::future::join_all((0..50).map(|_| throttle.charge(&attempt))).await;
    let let_through = charged.iter().filter(|charged| charged.is_ok()).count();
    assert_filled(OWN, u32::try_from(let_through).unwrap(), began);
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
