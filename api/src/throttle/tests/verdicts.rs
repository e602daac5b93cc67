//! Charges that are forgiven, taken back, or kept though nobody waits for the verdict.

use bellwork_testkit::until;

use super::*;
use crate::error::ApiError;
use crate::passwords::Passwords;
use crate::sign_in::check_to_the_end;

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
        until("time goes on", async || now().await != without_verdict.charge.at).await;
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
        () = until("all are charged", async || own_level(throttle, attempt).await > free - 0.5) => {}
    }
    drop(busy);
    drop(passwords.permits().await.expect("it comes after those who went away"));
}

#[tokio::test]
async fn a_right_password_is_forgiven_though_its_client_has_gone() {
    let (throttle, attempt) = (throttle(), attempt("ada@example.com", 1, Some(Device::random())));
    abandoned(&throttle, &attempt, "correct horse").await;
    until("nothing is left", async || own_level(&throttle, &attempt).await == 0.0).await;
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
