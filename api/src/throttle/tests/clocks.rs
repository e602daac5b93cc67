//! The same rules in Redis and in this process, and who counts when.

use bellwork_testkit::within;
use tokio::net::TcpListener;

use super::*;

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
            let Told { wait, last, at } = throttle.ask_redis(&keys, counting, 1).await.unwrap();
            let (there, now) =
                (if wait == Wait(Duration::ZERO) { Ok(last) } else { Err(wait) }, epoch + Duration::from_millis(at));
            assert_eq!(local.ask(now, &keys, counting, 1), there, "step {step}");
            if step % 3 == 1 && there.is_ok() {
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
    // The connection itself would wait longer than the test does.
    let server = server.with_timeouts(2 * DEADLINE, 2 * DEADLINE);
    let attempt = attempt("ada@example.com", 1, None);
    let hasty = Throttle::new(server.connection(), "test", Duration::from_millis(1));
    within("this process counts", hasty.charge(&attempt)).await.unwrap();
    let patient = Throttle::new(server.connection(), "test", PATIENCE);
    timeout(Duration::from_millis(300), patient.charge(&attempt)).await.expect_err("it waits for Redis");
}
