use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::anyhow;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::join_all;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Client, Cmd, Pipeline, RedisFuture};
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use super::*;
use crate::ids::TestId;
use crate::rehearsal::{patient_redis, redis_client, within};

#[derive(Debug, PartialEq)]
struct Text(String);

impl Value for Text {
    fn encode(&self) -> Bytes {
        Bytes::copy_from_slice(self.0.as_bytes())
    }

    fn decode(bytes: Bytes) -> Option<Self> {
        String::from_utf8(bytes.to_vec()).ok().map(Self)
    }

    fn weight(&self) -> usize {
        self.0.len()
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

/// A connection to Redis that can be switched off.
#[derive(Clone)]
struct Switch {
    connection: MultiplexedConnection,
    off: Arc<AtomicBool>,
}

impl ConnectionLike for Switch {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, redis::Value> {
        if self.off.load(Ordering::SeqCst) {
            return async { Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into()) }.boxed();
        }
        self.connection.req_packed_command(command)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<redis::Value>> {
        self.connection.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        0
    }
}

/// A process with its layers, of an installation that has others.
struct Process {
    installation: String,
    layers: Layers,
    shelf: Shelf<Text>,
    off: Arc<AtomicBool>,
}

fn installation() -> String {
    format!("test-{}", Uuid::now_v7())
}

async fn process(installation: &str, policy: &'static Policy) -> Process {
    let (client, off) = (redis_client(), Arc::new(AtomicBool::new(false)));
    let connection = patient_redis().await;
    let switch = Switch { connection, off: Arc::clone(&off) };
    let redis = Redis::new(switch, move || {
        let client = client.clone();
        async move { client.get_async_pubsub().await }
    });
    let layers = Layers::start(redis, installation);
    until(|| layers.hears()).await;
    Process { installation: installation.to_owned(), shelf: layers.shelf(policy), layers, off }
}

async fn until(mut condition: impl FnMut() -> bool) {
    within("what is looked for", async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

fn board() -> Key {
    Key { scope: Scope::Board(TestId::new()), name: "all".into() }
}

impl Process {
    /// What the reader gets if the source says `text`.
    async fn get(&self, key: &Key, text: &str) -> String {
        let text = Text(text.to_owned());
        let got = self.shelf.get(key.clone(), move || async move { Ok(Some(text)) }).await.unwrap();
        got.value.unwrap().0.clone()
    }

    /// What the reader gets once it is not told the old text any more, which is soon.
    async fn heed(&self, key: &Key, text: &str) -> String {
        within("a change is heard of", async {
            loop {
                let read = self.get(key, text).await;
                if read != "old" {
                    return read;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    async fn fail(&self, key: &Key) -> Result<Got<Text>, Failed> {
        self.shelf.get(key.clone(), move || async move { Err(anyhow!("PostgreSQL is away")) }).await
    }

    /// A reader whose source says `text`, but not before it is told to.
    async fn slow(&self, key: &Key, text: &str) -> (oneshot::Sender<()>, tokio::task::JoinHandle<String>) {
        let (shelf, key, text) = (self.shelf.clone(), key.clone(), Text(text.to_owned()));
        let (begun, begins) = oneshot::channel();
        let (finish, finishes) = oneshot::channel();
        let reader = tokio::spawn(async move {
            let load = move || async move {
                begun.send(()).unwrap();
                finishes.await.unwrap();
                Ok(Some(text))
            };
            shelf.get(key, load).await.unwrap().value.unwrap().0.clone()
        });
        begins.await.unwrap();
        (finish, reader)
    }

    async fn forget(&self, key: &Key) {
        self.layers.invalidator().forget(&[key.scope]).await;
    }
}

#[test]
fn each_cache_is_in_the_table_once() {
    let mut names: Vec<_> = ALL.iter().map(|policy| policy.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ALL.len());
    assert!(ALL.iter().all(|policy| policy.absent <= policy.local && policy.capacity > 0 && !policy.name.is_empty()));
    assert!(SESSIONS.stale.is_zero() && matches!(SESSIONS.unheard, Unheard::Bypass(_)));
}

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
        until(|| processes.iter().all(|process| process.layers.figures()[0].requests >= 200)).await;
        until(|| loads.load(Ordering::SeqCst) == 2).await;
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

fn board_of(key: &Key, name: &str) -> Key {
    Key { name: name.into(), ..key.clone() }
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
    let mut connection = patient_redis().await;
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
    let mut connection = patient_redis().await;
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
    let connection = patient_redis().await;
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
