//! Cancelling running jobs: a process looks for those of its jobs that are to end, when it is told to and now and then.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tracing::debug;
use uuid::Uuid;

use crate::delivery::InHand;
use crate::progress::Source;

/// In case the message was lost.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Running jobs checked at a time. They are drawn at random, so that each has its turn.
const PAGE: usize = 200;

/// The look-out for cancelled jobs of one queue; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Cancellations(JoinHandle<()>);

impl Cancellations {
    pub(crate) fn start(source: Arc<Source>, in_hand: InHand, told: Arc<Notify>) -> Self {
        Self(tokio::spawn(async move {
            loop {
                let _ = tokio::time::timeout(LOOK_EVERY, told.notified()).await;
                if in_hand.len() > 0
                    && let Err(error) = look(&source, &in_hand).await
                {
                    debug!(%error, queue = &*source.keys.queue, "no look-out for cancelled jobs");
                }
            }
        }))
    }
}

impl Drop for Cancellations {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn look(source: &Source, in_hand: &InHand) -> redis::RedisResult<()> {
    let mut draw = redis::cmd("SRANDMEMBER");
    draw.arg(&*source.keys.cancelling).arg(PAGE);
    let ids: Vec<Vec<u8>> = draw.query_async(&mut source.engine.connection.clone()).await?;
    ids.iter().filter_map(|id| Uuid::from_slice(id).ok()).for_each(|id| in_hand.cancel(id));
    Ok(())
}
