//! Changes: what is forgotten, by whom, and from when on.

use super::*;

#[tokio::test]
async fn what_one_process_forgets_the_other_forgets() {
    let installation = installation();
    let (one, other) = (process(&installation, &LEADERBOARDS).await, process(&installation, &LEADERBOARDS).await);
    let (key, kept) = (board(), board());
    for process in [&one, &other] {
        // The second look notes it before the cache, the third finds it there.
        for _ in 0..3 {
            assert_eq!(process.get(&key, "old").await, "old");
            assert_eq!(process.get(&kept, "kept").await, "kept");
        }
    }
    one.forget(&key).await;
    assert_eq!(one.get(&key, "new").await, "new", "who has changed it reads it at once");
    assert_eq!(other.heed(&key, "newer").await, "new", "from Redis");
    assert_eq!(other.get(&kept, "new").await, "kept");
}

#[tokio::test]
async fn what_is_at_hand_asks_no_store_and_is_forgotten_like_the_rest() {
    let process = process(&installation(), &LEADERBOARDS).await;
    let key = board();
    let at_hand = || {
        let found = process.shelf.at_hand(&key, || || async { unreachable!("it is far from its end") });
        found.map(|value| value.0.clone())
    };
    assert_eq!(at_hand(), None);
    process.get(&key, "old").await;
    process.off.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(at_hand().as_deref(), Some("old"));
    }
    assert_eq!(process.layers.figures()[0].requests, 4, "only what was found is counted");
    process.forget(&key).await;
    assert_eq!(at_hand(), None);
}

#[tokio::test]
async fn a_value_that_arrives_after_a_change_is_kept_nowhere() {
    let installation = installation();
    let (one, other) = (process(&installation, &LEADERBOARDS).await, process(&installation, &LEADERBOARDS).await);
    let key = board();
    let (finish, reader) = one.slow(&key, "old").await;
    one.forget(&key).await;
    finish.send(()).unwrap();
    assert_eq!(reader.await.unwrap(), "old", "who asked before may be told so");
    assert_eq!(one.shelf.refused(), 1, "Redis does not take it");
    assert_eq!(other.get(&key, "new").await, "new");
    assert_eq!(one.get(&key, "newer").await, "new", "nor does the process keep it");
}

#[tokio::test]
async fn a_change_elsewhere_during_a_load_is_heeded() {
    let installation = installation();
    let (one, other) = (process(&installation, &LEADERBOARDS).await, process(&installation, &LEADERBOARDS).await);
    let key = board();
    let (finish, reader) = one.slow(&key, "old").await;
    other.forget(&key).await;
    finish.send(()).unwrap();
    reader.await.unwrap();
    assert_eq!(one.shelf.refused(), 1);
    assert_eq!(other.get(&key, "new").await, "new");
    assert_eq!(one.heed(&key, "newer").await, "new");
}

#[tokio::test]
async fn who_asks_after_a_change_does_not_join_a_load_from_before_it() {
    let process = process(&installation(), &LEADERBOARDS).await;
    let key = board();
    let (finish, reader) = process.slow(&key, "old").await;
    process.forget(&key).await;
    assert_eq!(process.get(&key, "new").await, "new");
    finish.send(()).unwrap();
    assert_eq!(reader.await.unwrap(), "old");
    assert_eq!(process.get(&key, "newer").await, "new", "the late one does not replace the new one");
}

#[tokio::test]
async fn while_a_scope_is_held_nothing_is_found_or_kept() {
    let installation = installation();
    let (one, other) = (process(&installation, &LEADERBOARDS).await, process(&installation, &LEADERBOARDS).await);
    let key = board();
    one.get(&key, "old").await;
    let (finish, reader) = other.slow(&board_of(&key, "slow"), "old").await;
    let held = one.layers.invalidator().hold(vec![key.scope]).await;
    for text in ["before", "still before"] {
        assert_eq!(one.get(&key, text).await, text);
    }
    finish.send(()).unwrap();
    reader.await.unwrap();
    assert_eq!(other.shelf.refused(), 1);
    held.release().await;
    assert_eq!(one.get(&key, "new").await, "new");
    assert_eq!(one.get(&key, "newer").await, "new");
}

#[tokio::test]
async fn a_change_that_fails_is_forgotten_all_the_same() {
    let process = process(&installation(), &LEADERBOARDS).await;
    let key = board();
    drop(process.layers.invalidator().hold(vec![key.scope]).await);
    within("the hold ends", async {
        while process.get(&key, "once").await != process.get(&key, "again").await {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
