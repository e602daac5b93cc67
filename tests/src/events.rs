//! The events of a student's stream.

use bellwork_shared::server_events::{EventStream, ServerEvent};
use bellwork_testkit::within;
use serde_json::Value;

/// An open stream.
pub struct Events(EventStream<reqwest::Error>);

impl Events {
    /// The events in the body of `response`.
    #[must_use]
    pub fn of(response: reqwest::Response) -> Self {
        Self(EventStream::of(response.bytes_stream()))
    }

    /// The next event; none when the body ends or breaks.
    pub async fn next(&mut self) -> Option<ServerEvent> {
        self.0.next().await.ok().flatten()
    }

    /// The next event of that type; others are passed over.
    ///
    /// # Panics
    /// If the stream ends first, or nothing comes in time.
    pub async fn next_of(&mut self, kind: &str) -> ServerEvent {
        within(kind, async {
            loop {
                let event = self.next().await.unwrap_or_else(|| panic!("the stream ended before a {kind}"));
                if event.kind == kind {
                    return event;
                }
            }
        })
        .await
    }

    /// The data of the next event of that type.
    ///
    /// # Panics
    /// If the stream ends first, nothing comes in time, or it is no JSON.
    pub async fn data_of(&mut self, kind: &str) -> Value {
        data(&self.next_of(kind).await)
    }
}

/// The data of `event`.
///
/// # Panics
/// If it is no JSON.
#[must_use]
pub fn data(event: &ServerEvent) -> Value {
    serde_json::from_str(&event.data).unwrap_or_else(|error| panic!("{error} in {}", event.data))
}
