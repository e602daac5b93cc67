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

/// A handler that was told to end may take so long before it is aborted.
pub const CANCEL_GRACE: Duration = Duration::from_secs(5);
/// A handler that gives an error instead of a verdict is tried again after this time.
const ERROR_DELAY: Duration = Duration::from_secs(10);

/// One queue, as a source of deliveries for an apalis worker.
pub struct RedisBackend {
    concurrency: usize,
    queue: Arc<ServedQueue>,
    claiming: Claiming,
    closing: Option<apalis_core::backend::future::BoxSyncFuture<()>>,
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
    pub(crate) fn new(queue: Arc<ServedQueue>, concurrency: usize) -> Self {
        Self { concurrency, queue, claiming: Claiming::NotBegun, closing: None }
    }

    fn start_claimer(&mut self) {
        let queue = &self.queue;
        let claimer = Claimer {
            source: Arc::clone(&queue.source),
            process: queue.process,
            places: Arc::new(Semaphore::new(self.concurrency)),
            buffer: Arc::clone(&queue.buffer),
            in_hand: queue.in_hand.clone(),
            settler: queue.settler.clone(),
            bell: Arc::clone(&queue.bell),
            stop: queue.stop.clone(),
        };
        self.claiming = Claiming::Running(tokio::spawn(claimer.run()));
    }
}

impl RedisBackend {
    /// Starts the claimer anew if it has ended although nobody told it to: a worker without one would wait for ever.
    fn mind_claimer(&mut self, cx: &mut Context<'_>) {
        while let Claiming::Running(claimer) = &mut self.claiming
            && let Poll::Ready(ended) = Pin::new(claimer).poll(cx)
        {
            if *self.queue.stop.borrow() {
                self.claiming = Claiming::Ended;
            } else {
                error!(?ended, queue = &*self.queue.source.keys.queue, "the claimer has ended; it starts anew");
                self.start_claimer();
            }
        }
    }
}

impl std::fmt::Debug for RedisBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisBackend").field("queue", &self.queue.source.keys.queue).finish_non_exhaustive()
    }
}

impl Backend for RedisBackend {
    type Task = Task<Delivery>;
    type Error = Error;

    fn poll_ready(&mut self, _cx: &mut Context<'_>, _worker: &WorkerContext) -> Poll<Result<(), Error>> {
        if matches!(self.claiming, Claiming::NotBegun) {
            self.start_claimer();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, _worker: &WorkerContext) -> Poll<Option<Result<Self::Task, Error>>> {
        if let Poll::Ready(delivery) = self.queue.buffer.poll(cx) {
            return Poll::Ready(Some(Ok(Task::new(delivery))));
        }
        self.mind_claimer(cx);
        Poll::Pending
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _worker: &WorkerContext) -> Poll<Result<(), Error>> {
        let (claiming, settler) = (&mut self.claiming, &self.queue.settler);
        let closing = self.closing.get_or_insert_with(|| {
            let (claiming, settler) = (std::mem::replace(claiming, Claiming::Ended), settler.clone());
            let close: BoxFuture<'static, ()> = Box::pin(async move {
                if let Claiming::Running(claimer) = claiming {
                    // It ends by itself once the process stops claiming.
                    let _ = claimer.await;
                }
                settler.flush().await;
            });
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
        SettleLayer(self.queue.settler.clone())
    }
}

/// Settles each delivery as its handler says.
#[derive(Clone, Debug)]
pub struct SettleLayer(Settler);

/// See [`SettleLayer`].
#[derive(Clone, Debug)]
pub struct Settle<S> {
    handler: S,
    settler: Settler,
}

impl<S> Layer<S> for SettleLayer {
    type Service = Settle<S>;

    fn layer(&self, handler: S) -> Settle<S> {
        Settle { handler, settler: self.0.clone() }
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
        let Delivery { id, lease, cancelled, .. } = &task.args;
        let (id, lease, cancelled) = (*id, lease.clone(), cancelled.clone());
        // Held until the handler has ended, whatever it does with the delivery.
        let place = task.args.place.take();
        let settler = self.settler.clone();
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
