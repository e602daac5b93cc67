//! The events of a stream, read as the HTML standard says.

use bellwork_shared::events::Event as LiveEvent;
use bellwork_testkit::within;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::Method;
use serde_json::Value;

use crate::application::Caller;

/// One block of lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Block {
    pub(crate) event: String,
    pub(crate) id: String,
    pub(crate) data: Value,
    pub(crate) retry: Option<u64>,
}

/// An open stream.
pub(crate) struct Events {
    chunks: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    unread: Vec<u8>,
}

impl Events {
    pub(crate) async fn open(caller: &Caller, last_event_id: Option<&str>) -> Self {
        let mut request = caller.request(Method::GET, "/api/notifications/stream");
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        let response = within("a stream", request.send()).await.unwrap();
        assert_eq!(response.status(), 200);
        for (name, value) in
            [("content-type", "text/event-stream"), ("cache-control", "no-store"), ("x-accel-buffering", "no")]
        {
            assert_eq!(response.headers()[name], value);
        }
        Self { chunks: response.bytes_stream().boxed(), unread: Vec::new() }
    }

    /// With its hello read.
    pub(crate) async fn greeted(caller: &Caller, last_event_id: Option<&str>) -> (Self, Block) {
        let mut events = Self::open(caller, last_event_id).await;
        let hello = events.next().await.expect("a hello");
        assert_eq!(hello.event, "hello");
        (events, hello)
    }

    /// The next block that is not a comment; none at a clean end.
    pub(crate) async fn next(&mut self) -> Option<Block> {
        within("an event", async {
            loop {
                if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\n\n") {
                    let block: Vec<u8> = self.unread.drain(..end + 2).collect();
                    let block = parse(std::str::from_utf8(&block).unwrap());
                    if block != Block::default() {
                        return Some(block);
                    }
                } else {
                    let chunk = self.chunks.next().await?;
                    self.unread.extend_from_slice(&chunk.expect("a stream ends cleanly"));
                }
            }
        })
        .await
    }

    /// The number of the next notification.
    pub(crate) async fn next_seq(&mut self) -> i64 {
        let block = self.next().await.expect("a notification");
        assert_eq!(block.event, "notification", "{block:?}");
        let seq = block.data["seq"].as_i64().unwrap();
        assert!(block.id.ends_with(&format!("-{seq}")), "{block:?}");
        seq
    }

    /// Reads to the clean end, and returns the last `retry`.
    pub(crate) async fn end(&mut self) -> Option<u64> {
        let mut retry = None;
        while let Some(block) = self.next().await {
            retry = block.retry.or(retry);
        }
        retry
    }
}

fn parse(text: &str) -> Block {
    let mut block = Block::default();
    for line in text.lines() {
        match line.split_once(": ") {
            Some(("event", value)) => value.clone_into(&mut block.event),
            Some(("id", value)) => value.clone_into(&mut block.id),
            Some(("data", value)) => block.data = serde_json::from_str(value).unwrap(),
            Some(("retry", value)) => block.retry = Some(value.parse().unwrap()),
            _ => assert!(line.is_empty() || line.starts_with(':'), "{line:?}"),
        }
    }
    block
}

/// A report of a running job.
pub(crate) fn progress(percent: u8) -> LiveEvent {
    let job_id = bellwork_shared::ids::JobId::new();
    LiveEvent::Progress(bellwork_shared::events::Progress {
        job_id,
        percent,
        message: "Grading".to_owned(),
        text: None,
    })
}
