//! Wake-up: an idle claimer learns of a push at once, over pub/sub. A message can be lost: claimers also poll.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tracing::debug;

use crate::connection::{Server, Subscription};
use crate::engine::Engine;
use crate::error::Error;
use crate::keys::Keys;

const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// What the messages of one queue ring.
#[derive(Clone, Debug, Default)]
struct Bells {
    /// Jobs may be ready.
    ready: Arc<Notify>,
    /// Running jobs are to end.
    cancel: Arc<Notify>,
}

/// What `scripts/remove.lua` says when a running job is to end.
const CANCEL: &[u8] = b"cancel";

/// One subscription for all queues of a process; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Wake {
    bells: Arc<HashMap<Arc<str>, Bells>>,
    task: JoinHandle<()>,
}

impl Wake {
    pub(crate) fn start(engine: &Engine, queues: &[&str]) -> Result<Self, Error> {
        let keys = queues.iter().map(|queue| engine.keys(queue)).collect::<Result<Vec<Keys>, _>>()?;
        let bells: HashMap<_, _> = keys.into_iter().map(|keys| (keys.wake, Bells::default())).collect();
        let bells = Arc::new(bells);
        let task = tokio::spawn(listen(Arc::clone(&engine.server), Arc::clone(&bells)));
        Ok(Self { bells, task })
    }

    /// Rings when jobs of the queue may be ready.
    pub(crate) fn bell(&self, keys: &Keys) -> Arc<Notify> {
        self.bells.get(&keys.wake).cloned().unwrap_or_default().ready
    }

    /// Rings when running jobs of the queue are to end.
    pub(crate) fn cancel_bell(&self, keys: &Keys) -> Arc<Notify> {
        self.bells.get(&keys.wake).cloned().unwrap_or_default().cancel
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(server: Arc<Server>, bells: Arc<HashMap<Arc<str>, Bells>>) {
    loop {
        let Err(error) = subscribe(&server, &bells).await;
        debug!(%error, "no wake-ups; claimers poll");
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

async fn subscribe(server: &Server, bells: &HashMap<Arc<str>, Bells>) -> redis::RedisResult<Infallible> {
    let channels: Vec<&str> = bells.keys().map(|channel| &**channel).collect();
    let mut subscription = Subscription::open(server, &channels).await?;
    // Whatever was pushed before the subscription stood.
    bells.values().for_each(|bells| bells.ready.notify_one());
    loop {
        let message = subscription.next().await?;
        if let Some(bells) = bells.get(message.channel.as_str()) {
            let bell = if message.payload == CANCEL { &bells.cancel } else { &bells.ready };
            bell.notify_one();
        }
    }
}
