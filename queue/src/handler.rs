//! A function as a handler of deliveries.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use apalis_core::task::Task;
use tower_service::Service;

use crate::delivery::{Delivery, Verdict};

/// Makes an asynchronous function from a delivery to its verdict a service for `WorkerBuilder::build`.
#[derive(Clone, Debug)]
pub struct Handler<F>(pub F);

impl<F, Fut> Service<Task<Delivery>> for Handler<F>
where
    F: Fn(Delivery) -> Fut,
    Fut: Future<Output = Verdict> + Send + 'static,
{
    type Response = Verdict;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Verdict, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<Delivery>) -> Self::Future {
        let handled = (self.0)(task.args);
        Box::pin(async move { Ok(handled.await) })
    }
}
