//! Wake-up: an idle claimer learns of a push at once, over pub/sub. A message can be lost: claimers also poll.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tracing::debug;

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
        let task = tokio::spawn(listen(engine.client.clone(), Arc::clone(&bells)));
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

async fn listen(client: redis::Client, bells: Arc<HashMap<Arc<str>, Bells>>) {
    loop {
        if let Err(error) = subscribe(&client, &bells).await {
            debug!(%error, "no wake-ups; claimers poll");
        }
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

async fn subscribe(client: &redis::Client, bells: &HashMap<Arc<str>, Bells>) -> redis::RedisResult<()> {
    let mut pubsub = client.get_async_pubsub().await?;
    let channels: Vec<&str> = bells.keys().map(|channel| &**channel).collect();
    pubsub.subscribe(&channels).await?;
    // Whatever was pushed before the subscription stood.
    bells.values().for_each(|bells| bells.ready.notify_one());
    let mut messages = pubsub.into_on_message();
    while let Some(message) = messages.next().await {
        if let Some(bells) = bells.get(message.get_channel_name()) {
            let bell = if message.get_payload_bytes() == CANCEL { &bells.cancel } else { &bells.ready };
            bell.notify_one();
        }
    }
    Ok(())
}
