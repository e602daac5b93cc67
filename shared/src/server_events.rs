//! Server-Sent Events, read as their bytes arrive: in any pieces, by the rules of the HTML standard, section 9.2.6.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};

/// The most bytes of one event: a longer one is a mistake, or an attack.
const LONGEST: usize = 1024 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerEvent {
    /// Its type; `message` if it had none.
    pub kind: String,
    /// Its data, lines joined by line feeds.
    pub data: String,
    /// The id of this event, or of the last one before it that had one; empty at first.
    pub last_id: String,
}

/// An event that is longer than anybody needs, or a line that does not end.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event stream holds an event of more than {LONGEST} bytes")]
pub struct TooLong;

/// From bytes to events.
#[derive(Debug, Default)]
pub struct ServerEvents {
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed now belongs to the same end of line.
    after_return: bool,
    /// The first line has been read, so that a byte order mark is none any more.
    begun: bool,
    kind: String,
    data: String,
    /// That of the event that is arriving: it counts once the event has ended.
    id: String,
    last_id: String,
    retry: Option<Duration>,
    /// An event was too long: where the next one begins is not known.
    lost: bool,
}

impl ServerEvents {
    /// The events that `bytes` complete.
    ///
    /// # Errors
    /// If one is too long. Those before it are told first, and nothing after it is read.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Vec<ServerEvent>, TooLong> {
        let mut events = Vec::new();
        for &byte in bytes {
            if self.lost {
                break;
            }
            let continues_end = std::mem::take(&mut self.after_return) && byte == b'\n';
            match byte {
                _ if continues_end => {}
                b'\r' | b'\n' => {
                    self.after_return = byte == b'\r';
                    events.extend(self.end_line());
                }
                _ if self.line.len() + self.data.len() >= LONGEST => self.lost = true,
                _ => self.line.push(byte),
            }
        }
        if self.lost && events.is_empty() { Err(TooLong) } else { Ok(events) }
    }

    /// Where the stream stands, for `Last-Event-ID`: the last event that has ended; none before the first id.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        Some(self.last_id.as_str()).filter(|id| !id.is_empty())
    }

    /// How long to wait before connecting anew, if the server has said so.
    #[must_use]
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    fn end_line(&mut self) -> Option<ServerEvent> {
        let line = std::mem::take(&mut self.line);
        let unmarked = line.strip_prefix(BYTE_ORDER_MARK).filter(|_| !self.begun).unwrap_or(&line);
        self.begun = true;
        let line = String::from_utf8_lossy(unmarked);
        if line.is_empty() {
            return self.dispatch();
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        self.field(name, value.strip_prefix(' ').unwrap_or(value));
        None
    }

    /// A comment is a field without a name.
    fn field(&mut self, name: &str, value: &str) {
        match name {
            "event" => value.clone_into(&mut self.kind),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok().map(Duration::from_millis).or(self.retry);
            }
            _ => {}
        }
    }

    fn dispatch(&mut self) -> Option<ServerEvent> {
        let (kind, mut data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
        self.id.clone_into(&mut self.last_id);
        if data.is_empty() {
            return None;
        }
        data.pop();
        let kind = if kind.is_empty() { "message".to_owned() } else { kind };
        Some(ServerEvent { kind, data, last_id: self.last_id.clone() })
    }
}

/// Why a stream cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum StreamError<E: std::error::Error + 'static> {
    /// The connection broke.
    #[error("the event stream broke")]
    Broken(#[source] E),
    /// One event is too long.
    #[error(transparent)]
    TooLong(TooLong),
}

/// The events of one body, of which a client gives the bytes or its error `E`.
pub struct EventStream<E> {
    chunks: BoxStream<'static, Result<Bytes, E>>,
    events: ServerEvents,
    ready: VecDeque<ServerEvent>,
}

impl<E: std::error::Error + 'static> EventStream<E> {
    /// Reads a body.
    pub fn of(body: impl Stream<Item = Result<Bytes, E>> + Send + 'static) -> Self {
        Self { chunks: body.fuse().boxed(), events: ServerEvents::default(), ready: VecDeque::new() }
    }

    /// The next event; none if the body has ended. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// If the connection broke, or an event is too long.
    pub async fn next(&mut self) -> Result<Option<ServerEvent>, StreamError<E>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let Some(chunk) = self.chunks.next().await else { return Ok(None) };
            let events = self.events.read(&chunk.map_err(StreamError::Broken)?);
            self.ready.extend(events.map_err(StreamError::TooLong)?);
        }
    }

    /// Where it stands, for `Last-Event-ID`; none before the first id.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.events.last_id()
    }

    /// How long to wait before connecting anew, if the server has said so.
    #[must_use]
    pub fn retry(&self) -> Option<Duration> {
        self.events.retry()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, data: &str, last_id: &str) -> ServerEvent {
        ServerEvent { kind: kind.into(), data: data.into(), last_id: last_id.into() }
    }

    fn events(text: &str) -> Vec<ServerEvent> {
        ServerEvents::default().read(text.as_bytes()).unwrap()
    }

    #[test]
    fn fields_are_read_as_the_standard_says() {
        let cases = [
            ("data: a\n\n", vec![event("message", "a", "")]),
            ("data:a\ndata: b\ndata\n\n", vec![event("message", "a\nb\n", "")]),
            ("data:  two blanks\n\n", vec![event("message", " two blanks", "")]),
            ("event: hello\ndata: {}\n\n", vec![event("hello", "{}", "")]),
            ("data\n\n", vec![event("message", "", "")]),
            ("event: nothing\n\ndata: x\n\n", vec![event("message", "x", "")]),
            (": a comment\n\n:\n\n", vec![]),
            ("id: e-1\ndata: a\n\ndata: b\n\n", vec![event("message", "a", "e-1"), event("message", "b", "e-1")]),
            ("id: e-1\n\ndata: b\n\n", vec![event("message", "b", "e-1")]),
            ("id: e-1\nid\ndata: b\n\n", vec![event("message", "b", "")]),
            ("id: e-1\nid: x\0y\ndata: b\n\n", vec![event("message", "b", "e-1")]),
            (
                "data: a\r\n\r\ndata: b\r\rdata: c\n\n",
                vec![event("message", "a", ""), event("message", "b", ""), event("message", "c", "")],
            ),
            ("\u{feff}data: a\n\n", vec![event("message", "a", "")]),
            ("data: a\n\n\u{feff}data: b\n\n", vec![event("message", "a", "")]),
            ("unknown: a\ndata: b\n\n", vec![event("message", "b", "")]),
            ("data: not ended\n", vec![]),
        ];
        for (text, expected) in cases {
            assert_eq!(events(text), expected, "{text:?}");
        }
    }

    #[test]
    fn pieces_may_end_anywhere() {
        let text = "\u{feff}retry: 1500\r\n: über\r\n\r\nevent: notification\r\nid: e-7\r\ndata: {\"title\":\"Grüße ✓\"}\r\n\r\n";
        for split in 0..=text.len() {
            let (head, tail) = text.as_bytes().split_at(split);
            let mut reader = ServerEvents::default();
            let mut events = reader.read(head).unwrap();
            events.extend(reader.read(tail).unwrap());
            assert_eq!(events, [event("notification", "{\"title\":\"Grüße ✓\"}", "e-7")], "split at {split}");
            assert_eq!(reader.retry, Some(Duration::from_millis(1500)));
        }
        let mut reader = ServerEvents::default();
        let events: Vec<_> = text.bytes().flat_map(|byte| reader.read(&[byte]).unwrap()).collect();
        assert_eq!(events.len(), 1);
    }

    #[test]
    fn a_retry_that_is_no_number_changes_nothing() {
        for (text, expected) in
            [("retry: 5\n", Some(5)), ("retry: 5\nretry: 1s\n", Some(5)), ("retry\n", None), ("retry: -1\n", None)]
        {
            let mut reader = ServerEvents::default();
            reader.read(text.as_bytes()).unwrap();
            assert_eq!(reader.retry, expected.map(Duration::from_millis), "{text:?}");
        }
    }

    #[test]
    fn an_event_that_has_not_ended_leaves_the_stream_where_it_was() {
        let mut reader = ServerEvents::default();
        reader.read(b"id: 1\ndata: a\n\nid: 2\ndata: b\n").unwrap();
        assert_eq!(reader.last_id(), Some("1"));
        reader.read(b"\n").unwrap();
        assert_eq!(reader.last_id(), Some("2"));
    }

    #[test]
    fn an_event_without_end_is_not_gathered() {
        let mut line = ServerEvents::default();
        assert!(line.read(&vec![b'x'; LONGEST]).is_ok());
        assert_eq!(line.read(b"x"), Err(TooLong));
        let mut lines = ServerEvents::default();
        assert_eq!(lines.read("data: 12345678\n".repeat(LONGEST / 9 - 1).as_bytes()), Ok(vec![]));
        assert_eq!(lines.read("data: 12345678\n".as_bytes()), Err(TooLong));
        assert_eq!(lines.read(b"\n\ndata: a\n\n"), Err(TooLong), "what follows may be the rest of it");
    }

    #[test]
    fn bytes_that_are_no_text_count_as_what_becomes_of_them() {
        let mut reader = ServerEvents::default();
        let line = [b"data: ", vec![0xff; LONGEST / 2].as_slice(), b"\n"].concat();
        assert_eq!(reader.read(&line), Ok(vec![]));
        assert_eq!(reader.read(b"d"), Err(TooLong));
    }

    #[test]
    fn what_came_before_an_event_that_is_too_long_is_told() {
        let mut reader = ServerEvents::default();
        let chunk = ["data: a\n\n", &"x".repeat(LONGEST + 1)].concat();
        assert_eq!(reader.read(chunk.as_bytes()), Ok(vec![event("message", "a", "")]));
        assert_eq!(reader.read(b""), Err(TooLong));
    }

    #[tokio::test]
    async fn a_body_gives_its_events_until_it_breaks() {
        let broken = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let chunks = [Ok(Bytes::from("id: 1\ndata: a\n\nda")), Ok(Bytes::from("ta: b\n\ndata: c")), Err(broken())];
        let mut stream = EventStream::of(futures_util::stream::iter(chunks));
        assert_eq!(stream.next().await.unwrap(), Some(event("message", "a", "1")));
        assert_eq!(stream.next().await.unwrap(), Some(event("message", "b", "1")));
        assert!(matches!(stream.next().await, Err(StreamError::Broken(_))));
        assert!(matches!(stream.next().await, Ok(None)));
    }
}
