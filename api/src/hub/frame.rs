//! What goes over the wire: server-sent events, each encoded once.

use std::ops::Range;
use std::time::Duration;

use bellwork_shared::events::Progress;
use bellwork_shared::notifications::Notification;
use bytes::Bytes;
use serde::Serialize;

/// Keeps a silent connection open: a comment, which clients skip.
pub(super) const HEARTBEAT: Bytes = Bytes::from_static(b":\n\n");
/// When a client comes back by itself after its connection broke, in milliseconds; random, so that not all come at once.
const RECONNECT_MS: Range<u64> = 3_000..15_000;

/// The position in a student's notifications that an event brings its stream to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventId {
    /// The installation's epoch.
    pub(crate) epoch: String,
    /// The notification's number.
    pub(crate) seq: i64,
}

impl EventId {
    /// Reads `<epoch>-<seq>`.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (epoch, seq) = text.rsplit_once('-')?;
        let digits = !seq.is_empty() && seq.bytes().all(|c| c.is_ascii_digit());
        let seq = seq.parse().ok().filter(|_| digits)?;
        Some(Self { epoch: epoch.to_owned(), seq })
    }
}

/// How a stream starts. Its id lets a client resume that has seen no event yet.
#[derive(Debug, Serialize)]
pub(super) struct Hello<'a> {
    /// Whether what was missed follows.
    pub(super) resumed: bool,
    /// The id of the event that the stream goes on after.
    pub(super) from: &'a str,
    /// The longest silence.
    pub(super) heartbeat_seconds: u64,
}

pub(super) fn hello(hello: &Hello<'_>) -> Bytes {
    let retry = rand::random_range(RECONNECT_MS);
    format!("retry: {retry}\nid: {}\nevent: hello\ndata: {}\n\n", hello.from, json(hello)).into()
}

pub(super) fn notification(epoch: &str, notification: &Notification) -> Bytes {
    format!("id: {epoch}-{}\nevent: notification\ndata: {}\n\n", notification.seq, json(notification)).into()
}

pub(super) fn progress(progress: &Progress) -> Bytes {
    format!("event: progress\ndata: {}\n\n", json(progress)).into()
}

/// Tells a client that what it missed cannot be replayed: it must read the list. Later events follow `seq`.
pub(super) fn reset(epoch: &str, seq: i64) -> Bytes {
    format!("id: {epoch}-{seq}\nevent: reset\ndata: {{}}\n\n").into()
}

/// Tells a client when to come back; sent before the end of a body.
pub(super) fn retry(within: Range<Duration>) -> Bytes {
    format!("retry: {}\n\n", rand::random_range(within).as_millis()).into()
}

/// On one line: JSON escapes line breaks.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("events hold only strings, numbers and JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_is_an_epoch_and_a_number() {
        assert_eq!(EventId::parse("a1b2-42"), Some(EventId { epoch: "a1b2".into(), seq: 42 }));
        for text in ["", "-", "42", "a-", "a-+1", "a--1", "a-x", "a-99999999999999999999"] {
            assert_eq!(EventId::parse(text).filter(|id| id.epoch == "a"), None, "{text}");
        }
    }

    #[test]
    fn an_event_is_one_line_of_data() {
        let progress = Progress {
            job_id: bellwork_shared::ids::JobId::new(),
            percent: 50,
            message: "a\nb\r\u{2028}".into(),
            text: Some("c\n\nd".into()),
        };
        let frame = super::progress(&progress);
        let text = std::str::from_utf8(&frame).unwrap();
        assert_eq!(text.lines().count(), 3, "{text:?}");
        assert!(text.ends_with("\n\n") && !text.contains('\r'));
    }
}
