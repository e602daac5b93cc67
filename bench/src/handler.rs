//! A closure as a handler of deliveries.

use std::pin::Pin;
use std::task::{Context, Poll};

use apalis_core::error::BoxDynError;
use apalis_core::task::Task;
use bellwork_queue::{Delivery, Verdict};
use tower_service::Service;

/// See the module.
#[derive(Clone)]
pub(crate) struct Handler<F>(pub(crate) F);

impl<F, Fut> Service<Task<Delivery>> for Handler<F>
where
    F: Fn(Delivery) -> Fut,
    Fut: Future<Output = Verdict> + Send + 'static,
{
    type Response = Verdict;
    type Error = BoxDynError;
    type Future = Pin<Box<dyn Future<Output = Result<Verdict, BoxDynError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<Delivery>) -> Self::Future {
        let handled = (self.0)(task.args);
        Box::pin(async move { Ok(handled.await) })
    }
}
