//! Server-sent events, read as their bytes arrive (WHATWG HTML, 9.2.6), of which only the data counts.

/// Bytes of an event stream that are no whole line yet, and the data of the event that is being read.
#[derive(Debug, Default)]
pub(super) struct ServerEvents {
    line: Vec<u8>,
    data: String,
    lines_of_data: usize,
    /// Set after a CR: an LF that follows belongs to it.
    after_return: bool,
}

/// A line or an event is longer than anybody needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl ServerEvents {
    /// The data of the events that `bytes` complete. None may be longer than `longest` bytes.
    ///
    /// # Errors
    /// If one is.
    pub(super) fn read(&mut self, bytes: &[u8], longest: usize) -> Result<Vec<String>, TooLong> {
        let mut events = Vec::new();
        for &byte in bytes {
            match byte {
                b'\n' if self.after_return => self.after_return = false,
                b'\n' | b'\r' => {
                    self.after_return = byte == b'\r';
                    events.extend(self.end_line());
                }
                _ => {
                    self.after_return = false;
                    self.line.push(byte);
                }
            }
            if self.line.len() + self.data.len() > longest {
                return Err(TooLong);
            }
        }
        Ok(events)
    }

    /// An empty line ends an event; one without data is none.
    fn end_line(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let event = (self.lines_of_data > 0).then(|| std::mem::take(&mut self.data));
            self.lines_of_data = 0;
            return event;
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.strip_prefix('\u{feff}').unwrap_or(&line);
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        if field == "data" {
            if self.lines_of_data > 0 {
                self.data.push('\n');
            }
            self.data.push_str(value.strip_prefix(' ').unwrap_or(value));
            self.lines_of_data += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "\u{feff}: hello\r\n\r\ndata: {\"a\":\r\ndata:1}\r\n\r\nevent: x\nid: 7\ndata: ünï\n\nretry: 3\n\n\
                          data\n\ndata: [DONE]\r\rdata: unfinished";

    #[test]
    fn data_is_the_same_however_the_bytes_are_cut() {
        let expected = ["{\"a\":\n1}", "ünï", "", "[DONE]"];
        for size in 1..=STREAM.len() {
            let mut events = ServerEvents::default();
            let chunks = STREAM.as_bytes().chunks(size);
            let read: Vec<_> = chunks.flat_map(|chunk| events.read(chunk, 1000).unwrap()).collect();
            assert_eq!(read, expected, "in chunks of {size}");
        }
    }

    #[test]
    fn an_event_without_end_is_given_up() {
        let mut events = ServerEvents::default();
        assert_eq!(events.read(&[b'x'; 11], 10), Err(TooLong));
        let mut events = ServerEvents::default();
        assert_eq!(events.read("data: 12345\ndata: 67890\n".as_bytes(), 10), Err(TooLong));
    }
}
