//! The events of a student's stream, read line by line as the HTML standard says, independent of our own clients.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde_json::Value;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its type.
    pub kind: String,
    /// Its own id, if it has one.
    pub id: Option<String>,
    /// Its data.
    pub data: String,
}

impl Event {
    /// Its data as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error} in {}", self.data))
    }
}

/// An open stream.
pub struct Events {
    chunks: BoxStream<'static, reqwest::Result<Bytes>>,
    unread: Vec<u8>,
}

impl Events {
    /// The events in the body of `response`.
    #[must_use]
    pub fn of(response: reqwest::Response) -> Self {
        Self { chunks: response.bytes_stream().boxed(), unread: Vec::new() }
    }

    /// The next event; none when the body ends or breaks.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some(end) = self.unread.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.unread.drain(..end + 2).collect();
                if let Some(event) = parse(&String::from_utf8_lossy(&block)) {
                    return Some(event);
                }
            }
            self.unread.extend_from_slice(&self.chunks.next().await?.ok()?);
        }
    }

    /// The next event of that type; others are passed over.
    ///
    /// # Panics
    /// If the stream ends first, or nothing comes in time.
    pub async fn next_of(&mut self, kind: &str) -> Event {
        crate::within(kind, async {
            loop {
                let event = self.next().await.unwrap_or_else(|| panic!("the stream ended before a {kind}"));
                if event.kind == kind {
                    return event;
                }
            }
        })
        .await
    }
}

fn parse(block: &str) -> Option<Event> {
    let (mut kind, mut id, mut data) = ("message".to_owned(), None, Vec::new());
    for line in block.lines() {
        match line.split_once(": ").or_else(|| line.split_once(':')) {
            Some(("event", value)) => value.clone_into(&mut kind),
            Some(("id", value)) => id = Some(value.to_owned()),
            Some(("data", value)) => data.push(value),
            _ => {}
        }
    }
    (!data.is_empty()).then(|| Event { kind, id, data: data.join("\n") })
}
