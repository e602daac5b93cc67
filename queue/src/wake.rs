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

/// One subscription for all queues of a process; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Wake {
    bells: Arc<HashMap<Arc<str>, Arc<Notify>>>,
    task: JoinHandle<()>,
}

impl Wake {
    pub(crate) fn start(engine: &Engine, queues: &[&str]) -> Result<Self, Error> {
        let keys = queues.iter().map(|queue| engine.keys(queue)).collect::<Result<Vec<Keys>, _>>()?;
        let bells: HashMap<_, _> = keys.into_iter().map(|keys| (keys.wake, Arc::new(Notify::new()))).collect();
        let bells = Arc::new(bells);
        let task = tokio::spawn(listen(Arc::clone(&engine.server), Arc::clone(&bells)));
        Ok(Self { bells, task })
    }

    /// Rings when jobs of the queue may be ready.
    pub(crate) fn bell(&self, keys: &Keys) -> Arc<Notify> {
        self.bells.get(&keys.wake).cloned().unwrap_or_default()
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(server: Arc<Server>, bells: Arc<HashMap<Arc<str>, Arc<Notify>>>) {
    loop {
        let Err(error) = subscribe(&server, &bells).await;
        debug!(%error, "no wake-ups; claimers poll");
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

async fn subscribe(server: &Server, bells: &HashMap<Arc<str>, Arc<Notify>>) -> redis::RedisResult<Infallible> {
    let channels: Vec<&str> = bells.keys().map(|channel| &**channel).collect();
    let mut subscription = Subscription::open(server, &channels).await?;
    // Whatever was pushed before the subscription stood.
    bells.values().for_each(|bell| bell.notify_one());
    loop {
        if let Some(bell) = bells.get(subscription.next().await?.as_str()) {
            bell.notify_one();
        }
    }
}
