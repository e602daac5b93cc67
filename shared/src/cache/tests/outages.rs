//! What remains while a store is away.

use super::*;

#[tokio::test]
async fn what_cannot_be_loaded_anew_answers_still_unless_it_was_changed() {
    let process = process(&installation(), &LEADERBOARDS).await;
    let key = board();
    assert!(process.fail(&key).await.is_err(), "there is no last value");
    process.get(&key, "last").await;
    evict(&process).await;
    for _ in 0..2 {
        let got = process.fail(&key).await.unwrap();
        assert_eq!(got.value.unwrap().0, "last");
        assert!(matches!(got.freshness, Freshness::Stale { .. }));
    }
    assert_eq!(process.layers.figures()[0].requests, 4);
    process.forget(&key).await;
    assert!(process.fail(&key).await.is_err(), "it is known to be wrong");
}

#[tokio::test]
async fn what_redis_kept_for_too_long_is_not_young_again_in_a_process() {
    let installation = installation();
    let (one, other) = (process(&installation, &LEADERBOARDS).await, process(&installation, &LEADERBOARDS).await);
    let key = board();
    one.get(&key, "last").await;
    let mut connection = test_run::redis().await;
    let stored = format!("{installation}:cache:{{{}}}:{}:{}", key.scope, LEADERBOARDS.shape, key.name);
    let left = MINUTE;
    let aged: i64 = redis::cmd("PEXPIRE").arg(stored).arg(left.as_millis()).query_async(&mut connection).await.unwrap();
    assert_eq!(aged, 1);
    for _ in 0..2 {
        let Freshness::Stale { overdue } = other.fail(&key).await.unwrap().freshness else { panic!("it is stale") };
        assert!(overdue >= LEADERBOARDS.stale - left, "{overdue:?}");
    }
}

/// As if all of Redis had been evicted, and the link had broken and come back.
async fn evict(process: &Process) {
    let mut connection = test_run::redis().await;
    let pattern = format!("{}:cache:*", process.installation);
    let keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query_async(&mut connection).await.unwrap();
    redis::cmd("DEL").arg(keys).exec_async(&mut connection).await.unwrap();
    process.layers.doubt_all();
}

#[tokio::test]
async fn without_redis_a_process_keeps_what_it_may_and_no_session() {
    let nowhere = Client::open("redis://127.0.0.1:1").unwrap();
    let process = process(&installation(), &LEADERBOARDS).await;
    process.off.store(true, Ordering::SeqCst);
    let connection = test_run::redis().await;
    let switch = Switch { connection, off: Arc::clone(&process.off) };
    let redis = Redis::new(switch, move || {
        let nowhere = nowhere.clone();
        async move { nowhere.get_async_pubsub().await }
    });
    let layers = Layers::start(redis, &installation());
    let alone = Process { shelf: layers.shelf(&LEADERBOARDS), layers, ..process };
    let key = board();
    assert_eq!(alone.get(&key, "kept for a moment").await, "kept for a moment");
    assert_eq!(alone.get(&key, "not asked").await, "kept for a moment");
    let sessions = Process { shelf: alone.layers.shelf(&SESSIONS), ..alone };
    let key = Key { scope: Scope::Session([1; 32]), name: "".into() };
    for text in ["valid", "revoked"] {
        assert_eq!(sessions.get(&key, text).await, text);
    }
}

#[tokio::test]
async fn what_redis_could_not_be_told_it_is_told_later_and_not_trusted_before() {
    let installation = installation();
    let (one, other) = (process(&installation, &LEADERBOARDS).await, process(&installation, &LEADERBOARDS).await);
    let key = board();
    one.get(&key, "old").await;
    other.get(&key, "old").await;
    let unread = board_of(&key, "read elsewhere");
    other.get(&unread, "old").await;
    one.off.store(true, Ordering::SeqCst);
    one.forget(&key).await;
    assert_eq!(one.get(&key, "new").await, "new");
    one.off.store(false, Ordering::SeqCst);
    assert_eq!(one.get(&unread, "new").await, "new", "Redis still says the old one");
    assert!(one.layers.invalidator().is_untold(key.scope));
    assert_eq!(other.heed(&key, "newer").await, "newer");
}
