//! The engine as a backend of apalis: a worker polls it for deliveries, and its layer settles what the handler says.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::error::BoxDynError;
use apalis_core::task::Task;
use apalis_core::worker::context::WorkerContext;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower_layer::Layer;
use tower_service::Service;
use tracing::{error, warn};
use uuid::Uuid;

use crate::cancellations::Cancellations;
use crate::claimer::{Buffer, Claimer};
use crate::delivery::{Delivery, InHand, Verdict};
use crate::error::Error;
use crate::process::ProcessId;
use crate::progress::Source;
use crate::settler::{Settlement, Settler};

/// How long a handler that was told to end may take before it is aborted.
pub const CANCEL_GRACE: Duration = Duration::from_secs(5);
/// A handler that gives an error instead of a verdict is tried again after this time.
const ERROR_DELAY: Duration = Duration::from_secs(10);

/// One queue, as a source of deliveries for an apalis worker.
pub struct RedisBackend {
    concurrency: usize,
    /// Shared by all partitions.
    places: Arc<Semaphore>,
    parts: Vec<Part>,
    closing: Option<apalis_core::backend::future::BoxSyncFuture<()>>,
}

/// A partition, and the task that claims from it.
struct Part {
    queue: Arc<ServedQueue>,
    claiming: Claiming,
}

/// The task that claims. It needs a runtime, and so begins with the first poll.
enum Claiming {
    NotBegun,
    Running(JoinHandle<()>),
    Ended,
}

/// What the parts that serve one queue share.
pub(crate) struct ServedQueue {
    pub(crate) source: Arc<Source>,
    pub(crate) process: ProcessId,
    pub(crate) in_hand: InHand,
    pub(crate) settler: Settler,
    pub(crate) buffer: Arc<Buffer>,
    pub(crate) bell: Arc<Notify>,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) _cancellations: Cancellations,
}

impl RedisBackend {
    pub(crate) fn new(parts: &[Arc<ServedQueue>], concurrency: usize) -> Self {
        let part = |queue: &Arc<ServedQueue>| Part { queue: Arc::clone(queue), claiming: Claiming::NotBegun };
        let places = Arc::new(Semaphore::new(concurrency));
        Self { concurrency, places, parts: parts.iter().map(part).collect(), closing: None }
    }
}

impl Part {
    fn start_claimer(&mut self, places: &Arc<Semaphore>) {
        let queue = &self.queue;
        let claimer = Claimer {
            source: Arc::clone(&queue.source),
            process: queue.process,
            places: Arc::clone(places),
            buffer: Arc::clone(&queue.buffer),
            in_hand: queue.in_hand.clone(),
            settler: queue.settler.clone(),
            bell: Arc::clone(&queue.bell),
            stop: queue.stop.clone(),
        };
        self.claiming = Claiming::Running(tokio::spawn(claimer.run()));
    }

    /// Starts the claimer anew if it has ended although nobody told it to: a worker without one would wait for ever.
    fn mind_claimer(&mut self, places: &Arc<Semaphore>, cx: &mut Context<'_>) {
        while let Claiming::Running(claimer) = &mut self.claiming
            && let Poll::Ready(ended) = Pin::new(claimer).poll(cx)
        {
            if *self.queue.stop.borrow() {
                self.claiming = Claiming::Ended;
            } else {
                error!(?ended, queue = &*self.queue.source.keys.queue, "the claimer has ended; it starts anew");
                self.start_claimer(places);
            }
        }
    }

    /// Waits until nothing is claimed any more and everything is settled.
    fn close(&mut self) -> impl Future<Output = ()> + Send + use<> {
        let claiming = std::mem::replace(&mut self.claiming, Claiming::Ended);
        let settler = self.queue.settler.clone();
        async move {
            if let Claiming::Running(claimer) = claiming {
                // It ends by itself once the process stops claiming.
                let _ = claimer.await;
            }
            settler.flush().await;
        }
    }
}

impl std::fmt::Debug for RedisBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let queues: Vec<_> = self.parts.iter().map(|part| &part.queue.source.keys.queue).collect();
        f.debug_struct("RedisBackend").field("queues", &queues).finish_non_exhaustive()
    }
}

impl Backend for RedisBackend {
    type Task = Task<Delivery>;
    type Error = Error;

    fn poll_ready(&mut self, _cx: &mut Context<'_>, _worker: &WorkerContext) -> Poll<Result<(), Error>> {
        for part in &mut self.parts {
            if matches!(part.claiming, Claiming::NotBegun) {
                part.start_claimer(&self.places);
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, _worker: &WorkerContext) -> Poll<Option<Result<Self::Task, Error>>> {
        for part in &mut self.parts {
            if let Poll::Ready(delivery) = part.queue.buffer.poll(cx) {
                return Poll::Ready(Some(Ok(Task::new(delivery))));
            }
            part.mind_claimer(&self.places, cx);
        }
        Poll::Pending
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _worker: &WorkerContext) -> Poll<Result<(), Error>> {
        let parts = &mut self.parts;
        let closing = self.closing.get_or_insert_with(|| {
            let closing = futures_util::future::join_all(parts.iter_mut().map(Part::close));
            let close: BoxFuture<'static, ()> = Box::pin(closing.map(drop));
            close.into()
        });
        closing.poll_unpin(cx).map(Ok)
    }
}

impl BackendConfig for RedisBackend {
    type Args = Delivery;
    type Id = Uuid;
    type Kind = Ephemeral;
    type Config = usize;
    type Layer = SettleLayer;

    fn config(&self) -> &usize {
        &self.concurrency
    }

    fn middleware(&mut self, _worker: &mut WorkerContext) -> SettleLayer {
        SettleLayer(())
    }
}

/// Settles each delivery as its handler says.
#[derive(Clone, Debug)]
pub struct SettleLayer(());

/// See [`SettleLayer`].
#[derive(Clone, Debug)]
pub struct Settle<S> {
    handler: S,
}

impl<S> Layer<S> for SettleLayer {
    type Service = Settle<S>;

    fn layer(&self, handler: S) -> Settle<S> {
        Settle { handler }
    }
}

impl<S> Service<Task<Delivery>> for Settle<S>
where
    S: Service<Task<Delivery>, Response = Verdict>,
    S::Error: Into<BoxDynError>,
    S::Future: Send + 'static,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxDynError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.handler.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut task: Task<Delivery>) -> Self::Future {
        let Delivery { id, lease, cancelled, settler, .. } = &task.args;
        let (id, lease, cancelled, settler) = (*id, lease.clone(), cancelled.clone(), settler.clone());
        // Held until the handler has ended, whatever it does with the delivery.
        let place = task.args.place.take();
        let handled = self.handler.call(task);
        Box::pin(async move {
            let verdict = tokio::select! {
                handled = handled => handled.unwrap_or_else(|error| {
                    let error: BoxDynError = error.into();
                    warn!(%error, job = %id, "the handler failed without a verdict");
                    Verdict::Retry(ERROR_DELAY)
                }),
                () = out_of_patience(cancelled) => {
                    warn!(job = %id, "cancelled, and aborted since it went on");
                    Verdict::Complete
                }
            };
            settler.settle(Settlement { id, lease, verdict });
            drop(place);
            Ok(())
        })
    }
}

/// Resolves when a handler has been told to end, and has not.
async fn out_of_patience(cancelled: CancellationToken) {
    cancelled.cancelled().await;
    tokio::time::sleep(CANCEL_GRACE).await;
}
