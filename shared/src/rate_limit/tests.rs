//! Several processes on a real Redis. A limiter of its own is a process.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;
use uuid::Uuid;

use super::policies::{self, Policy};
use super::{Limiter, Subject, Verdict};
use crate::config::Variables;
use crate::config::limits::LimitsConfig;
use crate::ids::UserId;

/// With one database of keys, and enough patience that a busy machine changes nothing.
async fn processes<const N: usize>(limits: &str) -> [Limiter<MultiplexedConnection>; N] {
    let url = std::env::var("TEST_REDIS_URL").or_else(|_| std::env::var("REDIS_URL"));
    let client = redis::Client::open(url.expect("TEST_REDIS_URL names a Redis for tests")).unwrap();
    let variables = Variables::of_pairs([("RATE_LIMITS", limits), ("RATE_LIMIT_PATIENCE_MS", "10000")]);
    let prefix = format!("test-{}", Uuid::now_v7());
    let mut limiters = Vec::new();
    for _ in 0..N {
        let connection = client.get_multiplexed_async_connection().await.unwrap();
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

#[tokio::test]
async fn no_window_of_an_exact_policy_holds_more_than_its_quota() {
    let limiters: [_; 2] = processes("votes=20/s").await;
    let subject = Subject::User(UserId::new());
    let until = Instant::now() + Duration::from_millis(3500);
    let hammer = limiters.iter().map(|limiter| async move {
        let mut passed = Vec::new();
        while Instant::now() < until {
            let asked = Instant::now();
            if let Verdict::Through(_) = limiter.admit(&[(&policies::VOTES, subject)]).await {
                passed.push((asked, Instant::now()));
            }
        }
        passed
    });
    let mut passed = join_all(hammer).await.concat();
    passed.sort();
    assert!(passed.len() >= 60, "{} in 3.5 s", passed.len());
    for (first, last) in passed.iter().zip(passed.iter().skip(20)) {
        // Redis counted the first after it was asked for, and the last before it was answered.
        assert!(last.1 - first.0 >= Duration::from_millis(999), "21 requests in {:?}", last.1 - first.0);
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
