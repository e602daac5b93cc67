//! Several processes on a real Redis. A limiter of its own is a process.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bellwork_testkit::{test_run, within};
use futures_util::FutureExt;
use futures_util::future::join_all;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisFuture};
use uuid::Uuid;

use super::policies::{self, Policy};
use super::{Limiter, Subject, Verdict};
use crate::config::Variables;
use crate::config::limits::LimitsConfig;
use crate::ids::UserId;

/// With one database of keys, and enough patience that a busy machine changes nothing.
async fn processes<const N: usize>(limits: &str) -> [Limiter<MultiplexedConnection>; N] {
    let variables = Variables::of_pairs([("RATE_LIMITS", limits), ("RATE_LIMIT_PATIENCE_MS", "10000")]);
    let prefix = format!("test-{}", Uuid::now_v7());
    let mut limiters = Vec::new();
    for _ in 0..N {
        let connection = test_run::redis().await;
        limiters.push(Limiter::start(connection, &prefix, LimitsConfig::read(&variables).unwrap()));
    }
    limiters.try_into().unwrap_or_else(|_| unreachable!("there are as many as were asked for"))
}

/// How many of `requests`, all at once, pass.
async fn passed(
    limiter: &Limiter<MultiplexedConnection>,
    policy: &'static Policy,
    subject: Subject,
    requests: usize,
) -> usize {
    let verdicts = join_all((0..requests).map(|_| async { limiter.admit(&[(policy, subject)]).await })).await;
    verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Through(_))).count()
}

#[tokio::test]
async fn an_exact_policy_admits_its_quota_whatever_the_number_of_processes() {
    let [one, two] = processes("votes=60/h").await;
    let subject = Subject::User(UserId::new());
    let both = tokio::join!(passed(&one, &policies::VOTES, subject, 100), passed(&two, &policies::VOTES, subject, 100));
    assert_eq!(both.0 + both.1, 60);
    assert_eq!(passed(&two, &policies::VOTES, Subject::User(UserId::new()), 1).await, 1, "another user");
}

/// Asks again and again until `enough` have passed here and elsewhere. Returns of each that passed here when it was asked
/// for and when it was answered.
async fn hammer(
    limiter: &Limiter<MultiplexedConnection>,
    subject: Subject,
    everywhere: &AtomicUsize,
    enough: usize,
) -> Vec<(Instant, Instant)> {
    let mut passed = Vec::new();
    while everywhere.load(Ordering::Relaxed) < enough {
        let asked = Instant::now();
        if let Verdict::Through(_) = limiter.admit(&[(&policies::VOTES, subject)]).await {
            passed.push((asked, Instant::now()));
            everywhere.fetch_add(1, Ordering::Relaxed);
        }
        // The deadline must be seen, also where all is answered without waiting.
        tokio::task::yield_now().await;
    }
    passed
}

#[tokio::test]
async fn no_window_of_an_exact_policy_holds_more_than_its_quota() {
    let limiters: [_; 2] = processes("votes=20/s").await;
    let (subject, everywhere) = (Subject::User(UserId::new()), AtomicUsize::new(0));
    let hammers = limiters.iter().map(|limiter| hammer(limiter, subject, &everywhere, 60));
    let mut passed = within("three windows are used up", join_all(hammers)).await.concat();
    passed.sort();
    for window in passed.windows(21) {
        // Redis counted the first after it was asked for, and each before it was answered.
        let answered = window.iter().map(|(_, answered)| answered).max().unwrap();
        let took = *answered - window[0].0;
        assert!(took >= Duration::from_millis(999), "21 requests in {took:?}");
    }
}

/// A Redis that never answers.
#[derive(Clone)]
struct Silent;

impl ConnectionLike for Silent {
    fn req_packed_command<'a>(&'a mut self, _: &'a Cmd) -> RedisFuture<'a, redis::Value> {
        std::future::pending().boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        _: &'a Pipeline,
        _: usize,
        _: usize,
    ) -> RedisFuture<'a, Vec<redis::Value>> {
        std::future::pending().boxed()
    }

    fn get_db(&self) -> i64 {
        0
    }
}

#[tokio::test(start_paused = true)]
async fn a_redis_that_never_answers_is_waited_for_as_long_as_configured() {
    for patience in ["1", "10000"] {
        let variables = Variables::of_pairs([("RATE_LIMITS", "votes=2/h"), ("RATE_LIMIT_PATIENCE_MS", patience)]);
        let limiter = Limiter::start(Silent, "test", LimitsConfig::read(&variables).unwrap());
        let applied = [(&policies::VOTES, Subject::User(UserId::new()))];
        let began = tokio::time::Instant::now();
        assert!(matches!(limiter.admit(&applied).await, Verdict::Through(_)));
        // The timer counts whole milliseconds.
        let waited = began.elapsed().as_millis();
        assert!((0..=1).contains(&(waited - patience.parse::<u128>().unwrap())), "{waited} ms");
        assert!(limiter.is_degraded());
    }
}

#[tokio::test]
async fn a_batched_policy_is_exact_in_one_process_and_a_twentieth_off_for_each_of_several() {
    let [one] = processes("api=1000/h").await;
    let subject = Subject::User(UserId::new());
    assert_eq!(passed(&one, &policies::API, subject, 3000).await, 1000);

    let limiters: [_; 2] = processes("api=1000/h").await;
    let both = join_all(limiters.iter().map(|limiter| passed(limiter, &policies::API, subject, 2000))).await;
    let both: usize = both.iter().sum();
    assert!((1000..=1100).contains(&both), "{both}");
}

#[tokio::test]
async fn what_one_process_counts_by_itself_another_learns() {
    let [one, two] = processes("api=20/h").await;
    let subject = Subject::User(UserId::new());
    let remaining = async |limiter: &Limiter<_>| match limiter.admit(&[(&policies::API, subject)]).await {
        Verdict::Through(standings) | Verdict::Refused(standings) => standings[0].remaining,
    };
    assert_eq!(remaining(&one).await, 19);
    // One untold request is a twentieth: the second asks, and tells of it.
    assert_eq!(remaining(&one).await, 18);
    // The second counts its own looks too: what it says beyond them it has learned.
    for own in 1.. {
        if remaining(&two).await < 20 - own {
            break;
        }
        assert!(own < 5, "it does not learn");
    }
}

#[tokio::test]
async fn a_request_counts_under_all_its_policies_or_none() {
    let [limiter] = processes("ai=3/h,votes=5/h").await;
    let subject = Subject::User(UserId::new());
    for _ in 0..9 {
        limiter.admit(&[(&policies::VOTES, subject), (&policies::AI, subject)]).await;
    }
    assert_eq!(passed(&limiter, &policies::VOTES, subject, 9).await, 2, "three were let through, six were not");
    let Verdict::Refused(standings) = limiter.admit(&[(&policies::VOTES, subject), (&policies::API, subject)]).await
    else {
        panic!("five of five are used")
    };
    let refused: Vec<_> = standings.iter().map(|standing| (standing.policy.name, standing.remaining)).collect();
    assert_eq!(refused, [("votes", 0)]);
    assert!((3600..=3961).contains(&standings[0].reset_seconds), "{standings:?}");
}
