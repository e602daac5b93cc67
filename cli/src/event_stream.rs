//! Server-Sent Events, read as they arrive.
//!
//! The parser is the one of the HTML standard, section 9.2.6: it takes bytes in any pieces, and gives whole events.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

/// A line longer than this is no event of ours; the rest of the stream is not read.
const MAX_LINE: usize = 1024 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its type; `message` if it had none.
    pub(crate) kind: String,
    /// Its data, lines joined by line feeds.
    pub(crate) data: String,
    /// The id of this event, or of the last one before it that had one; empty at first.
    pub(crate) last_id: String,
}

/// Why a stream cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    /// The connection broke.
    #[error("the event stream broke")]
    Broken(#[from] reqwest::Error),
    /// A line that does not end.
    #[error("the event stream holds a line of more than {MAX_LINE} bytes")]
    EndlessLine,
}

/// The events of one response.
pub(crate) struct EventStream {
    chunks: BoxStream<'static, reqwest::Result<Bytes>>,
    parser: Parser,
    ready: VecDeque<Event>,
}

impl EventStream {
    /// Reads the body of `response`.
    pub(crate) fn new(response: reqwest::Response) -> Self {
        Self { chunks: response.bytes_stream().fuse().boxed(), parser: Parser::default(), ready: VecDeque::new() }
    }

    /// The next event; none if the body has ended. Nothing is lost if the future is dropped.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, StreamError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            match self.chunks.next().await {
                Some(chunk) => self.ready.extend(self.parser.push(&chunk?)?),
                None => return Ok(None),
            }
        }
    }

    /// Where the stream stands, for `Last-Event-ID`; none before the first id.
    pub(crate) fn last_id(&self) -> Option<&str> {
        Some(self.parser.last_id.as_str()).filter(|id| !id.is_empty())
    }

    /// How long to wait before connecting anew, if the server has said so.
    pub(crate) fn retry(&self) -> Option<Duration> {
        self.parser.retry
    }
}

/// From bytes to events.
#[derive(Debug, Default)]
struct Parser {
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed now belongs to the same end of line.
    after_return: bool,
    /// The first line has been read, so that a byte order mark is none any more.
    begun: bool,
    kind: String,
    data: String,
    last_id: String,
    retry: Option<Duration>,
}

impl Parser {
    /// The events that `bytes` complete.
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, StreamError> {
        let mut events = Vec::new();
        for &byte in bytes {
            let continues_end = std::mem::take(&mut self.after_return) && byte == b'\n';
            match byte {
                _ if continues_end => {}
                b'\r' | b'\n' => {
                    self.after_return = byte == b'\r';
                    events.extend(self.end_line());
                }
                _ if self.line.len() == MAX_LINE => return Err(StreamError::EndlessLine),
                _ => self.line.push(byte),
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Option<Event> {
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
            "id" if !value.contains('\0') => value.clone_into(&mut self.last_id),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok().map(Duration::from_millis).or(self.retry);
            }
            _ => {}
        }
    }

    fn dispatch(&mut self) -> Option<Event> {
        let (kind, mut data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
        if data.is_empty() {
            return None;
        }
        data.pop();
        let kind = if kind.is_empty() { "message".to_owned() } else { kind };
        Some(Event { kind, data, last_id: self.last_id.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, data: &str, last_id: &str) -> Event {
        Event { kind: kind.into(), data: data.into(), last_id: last_id.into() }
    }

    fn events(text: &str) -> Vec<Event> {
        Parser::default().push(text.as_bytes()).unwrap()
    }

    #[test]
    fn fields_are_read_as_the_standard_says() {
        let cases = [
            ("data: a\n\n", vec![event("message", "a", "")]),
            ("data:a\ndata: b\ndata\n\n", vec![event("message", "a\nb\n", "")]),
            ("data:  two blanks\n\n", vec![event("message", " two blanks", "")]),
            ("event: hello\ndata: {}\n\n", vec![event("hello", "{}", "")]),
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
            let mut parser = Parser::default();
            let mut events = parser.push(head).unwrap();
            events.extend(parser.push(tail).unwrap());
            assert_eq!(events, [event("notification", "{\"title\":\"Grüße ✓\"}", "e-7")], "split at {split}");
            assert_eq!(parser.retry, Some(Duration::from_millis(1500)));
        }
        let mut parser = Parser::default();
        let events: Vec<_> = text.bytes().flat_map(|byte| parser.push(&[byte]).unwrap()).collect();
        assert_eq!(events.len(), 1);
    }

    #[test]
    fn a_retry_that_is_no_number_changes_nothing() {
        for (text, expected) in
            [("retry: 5\n", Some(5)), ("retry: 5\nretry: 1s\n", Some(5)), ("retry\n", None), ("retry: -1\n", None)]
        {
            let mut parser = Parser::default();
            parser.push(text.as_bytes()).unwrap();
            assert_eq!(parser.retry, expected.map(Duration::from_millis), "{text:?}");
        }
    }

    #[test]
    fn a_line_without_end_is_not_gathered() {
        let mut parser = Parser::default();
        assert!(parser.push(&vec![b'x'; MAX_LINE]).is_ok());
        assert!(matches!(parser.push(b"x"), Err(StreamError::EndlessLine)));
    }
}
