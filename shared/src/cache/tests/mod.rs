//! Several processes on a real Redis. One with layers of its own is a process.

mod changes;
mod loading;
mod outages;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::anyhow;
use bellwork_testkit::{test_run, until, within};
use bytes::Bytes;
use futures_util::FutureExt;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Client, Cmd, Pipeline, RedisFuture};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::*;
use crate::ids::TestId;

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
    let (client, off) = (Client::open(test_run::redis_url()).unwrap(), Arc::new(AtomicBool::new(false)));
    let connection = test_run::redis().await;
    let switch = Switch { connection, off: Arc::clone(&off) };
    let redis = Redis::new(switch, move || {
        let client = client.clone();
        async move { client.get_async_pubsub().await }
    });
    let layers = Layers::start(redis, installation);
    until("it hears", async || layers.hears()).await;
    Process { installation: installation.to_owned(), shelf: layers.shelf(policy), layers, off }
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

fn board_of(key: &Key, name: &str) -> Key {
    Key { name: name.into(), ..key.clone() }
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
