//! Loads: one for all who ask at once, and what becomes of it.

use std::sync::atomic::AtomicUsize;

use futures_util::future::join_all;
use tokio::sync::Notify;

use super::*;

#[tokio::test]
async fn of_many_who_ask_at_once_one_loads_in_each_process() {
    let installation = installation();
    let processes = [process(&installation, &LEADERBOARDS).await, process(&installation, &LEADERBOARDS).await];
    let (key, loads, all) = (board(), Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    processes[0].get(&key, "old").await;
    processes[0].forget(&key).await;
    let readers = processes.iter().flat_map(|process| (0..200).map(move |_| process)).map(|process| {
        let (loads, all) = (Arc::clone(&loads), Arc::clone(&all));
        process.shelf.get(key.clone(), move || async move {
            loads.fetch_add(1, Ordering::SeqCst);
            all.notified().await;
            Ok(Some(Text("new".to_owned())))
        })
    });
    let released = async {
        until("all ask", async || processes.iter().all(|process| process.layers.figures()[0].requests >= 200)).await;
        until("both load", async || loads.load(Ordering::SeqCst) == 2).await;
        all.notify_waiters();
    };
    let (got, ()) = tokio::join!(join_all(readers), released);
    assert!(got.into_iter().all(|got| got.unwrap().value.unwrap().0 == "new"));
    assert_eq!(loads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_one_process_has_loaded_the_other_finds() {
    let installation = installation();
    let (one, other) = (process(&installation, &LEADERBOARDS).await, process(&installation, &LEADERBOARDS).await);
    let key = board();
    assert_eq!(one.get(&key, "first").await, "first");
    assert_eq!(one.get(&key, "second").await, "first");
    assert_eq!(other.get(&key, "third").await, "first");
    let figures = (&other.layers.figures()[0], &one.layers.figures()[0]);
    assert_eq!((figures.0.loads, figures.0.redis_hit_rate), (0, Some(1.0)));
    assert_eq!((figures.1.loads, figures.1.local_hit_rate), (1, Some(0.5)));
}

#[tokio::test]
async fn a_load_that_panics_fails_those_who_wait_and_no_other() {
    let process = process(&installation(), &LEADERBOARDS).await;
    let key = board();
    let load = || async { panic!("a mistake") };
    let (one, other) = tokio::join!(process.shelf.get(key.clone(), load), process.shelf.get(key.clone(), load));
    assert!(one.is_err() && other.is_err());
    assert_eq!(process.get(&key, "well").await, "well");
}

#[tokio::test]
async fn a_load_goes_on_when_its_first_reader_goes_away() {
    let process = process(&installation(), &LEADERBOARDS).await;
    let key = board();
    let (finish, reader) = process.slow(&key, "first").await;
    reader.abort();
    assert!(reader.await.unwrap_err().is_cancelled());
    let second = process.get(&key, "second");
    let (read, ()) = tokio::join!(second, async { finish.send(()).unwrap() });
    assert_eq!(read, "first");
}

#[tokio::test]
async fn that_there_is_no_such_thing_is_remembered_here_alone() {
    let installation = installation();
    let (one, other) = (process(&installation, &LEADERBOARDS).await, process(&installation, &LEADERBOARDS).await);
    let key = board();
    for _ in 0..2 {
        let got = one.shelf.get(key.clone(), || async { Ok(None) }).await.unwrap();
        assert!(got.value.is_none());
    }
    assert_eq!(one.layers.figures()[0].loads, 1);
    assert_eq!(other.get(&key, "there").await, "there");
    one.forget(&key).await;
    assert_eq!(one.get(&key, "now").await, "now");
}
