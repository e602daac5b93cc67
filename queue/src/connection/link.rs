//! The way to one server: opened with the first request, and again after it was lost.

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};

use super::kept::Kept;
use super::request::{Request, error_in, loses_connection};

pub(super) struct Link(pub(super) Kept<MultiplexedConnection>);

impl Link {
    pub(super) async fn send(&self, request: Request<'_>) -> RedisResult<Vec<Value>> {
        let (age, mut connection) = self.0.get().await?;
        let answers = request.send(&mut connection).await;
        self.heed(age, answers)
    }

    pub(super) async fn send_asking(&self, request: Request<'_>) -> RedisResult<Vec<Value>> {
        let (age, mut connection) = self.0.get().await?;
        let answers = request.send_asking(&mut connection).await;
        self.heed(age, answers)
    }

    fn heed(&self, age: u64, answers: RedisResult<Vec<Value>>) -> RedisResult<Vec<Value>> {
        if error_in(&answers).is_some_and(|error| loses_connection(&error)) {
            self.0.lose(age);
        }
        answers
    }
}
