//! A chat-completions server on a socket that answers as it is told, also wrongly.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellwork_testkit::eventually;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// How the server answers.
#[derive(Clone, Debug)]
pub enum Manner {
    /// Finds every key point met whose text stands in the answer, and quotes it.
    Generous,
    /// Takes the request and never answers.
    Silent,
    /// Answers with this status, these further header lines, and this body.
    Fixed(u16, String, String),
    /// Answers with this as the model's words, in pieces if it is asked for a stream.
    Says(String),
    /// Streams half of this as the model's words, and the rest once it behaves in another manner.
    Halts(String),
    /// Streams half of this as the model's words and hangs up.
    BreaksOff(String),
    /// Does what the student's answer says: claims every key point that it is shown, with this as the quote.
    Obedient(String),
}

/// A running server; ends when it is dropped.
#[derive(Debug)]
pub struct AiServer {
    port: u16,
    manner: watch::Sender<Manner>,
    requests: Arc<Mutex<mpsc::UnboundedReceiver<Value>>>,
    task: JoinHandle<()>,
}

impl AiServer {
    /// Starts it on a free port.
    ///
    /// # Panics
    /// If there is none.
    pub async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there are free ports");
        let port = listener.local_addr().expect("it is bound").port();
        let (manner, told) = watch::channel(manner);
        let (seen, requests) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, told.clone(), seen.clone()));
            }
        });
        Self { port, manner, requests: Arc::new(Mutex::new(requests)), task }
    }

    /// Its address, for `AI_BASE_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// Answers so from now on, also to those who wait.
    pub fn behave(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }

    /// Waits for the next request and returns its body.
    ///
    /// # Panics
    /// If none comes.
    pub async fn request(&self) -> Value {
        eventually("a request to the AI server", async || {
            self.requests.lock().unwrap_or_else(PoisonError::into_inner).try_recv().ok()
        })
        .await
    }

    /// How many requests came that nobody has looked at.
    #[must_use]
    pub fn unseen(&self) -> usize {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Drop for AiServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut socket: TcpStream, mut told: watch::Receiver<Manner>, seen: mpsc::UnboundedSender<Value>) {
    while let Some(request) = read_request(&mut socket).await {
        let _ = seen.send(request.clone());
        let Ok(manner) = told.wait_for(|manner| !matches!(manner, Manner::Silent)).await.map(|manner| manner.clone())
        else {
            return tokio::time::sleep(Duration::from_secs(600)).await;
        };
        if let Manner::Halts(words) | Manner::BreaksOff(words) = &manner {
            let _ = stream_halves(&mut socket, words, &manner, &mut told).await;
            return;
        }
        if socket.write_all(answer(&manner, &request).as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The first half at once; the second when the manner has changed, if it is to come at all.
async fn stream_halves(
    socket: &mut TcpStream,
    words: &str,
    manner: &Manner,
    told: &mut watch::Receiver<Manner>,
) -> std::io::Result<()> {
    let events = events(words);
    let (first, second) = events.split_at(events.len() / 2);
    socket.write_all(format!("{STREAM}{}", first.concat()).as_bytes()).await?;
    if matches!(manner, Manner::Halts(_)) && told.wait_for(|manner| !matches!(manner, Manner::Halts(_))).await.is_ok() {
        socket.write_all(second.concat().as_bytes()).await?;
    }
    Ok(())
}

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
/// So many pieces make a streamed answer.
const PIECES: usize = 8;

/// The events of a streamed answer.
fn events(words: &str) -> Vec<String> {
    let characters: Vec<char> = words.chars().collect();
    let event = |data: Value| format!("data: {data}\n\n");
    let piece = |piece: &[char]| {
        event(json!({"choices": [{"index": 0, "delta": {"content": piece.iter().collect::<String>()}}]}))
    };
    let mut events: Vec<_> = characters.chunks(characters.len().div_ceil(PIECES).max(1)).map(piece).collect();
    events.push(event(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})));
    events.push(event(json!({"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 20}})));
    events.push("data: [DONE]\n\n".to_owned());
    events
}

async fn read_request(socket: &mut TcpStream) -> Option<Value> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length:"))?.trim().parse::<usize>().ok()?;
            if bytes.len() >= end + 4 + length {
                return serde_json::from_slice(&bytes[end + 4..end + 4 + length]).ok();
            }
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn answer(manner: &Manner, request: &Value) -> String {
    match manner {
        Manner::Generous => completion(&generous(request)),
        Manner::Obedient(quote) => completion(&obedient(request, quote)),
        Manner::Says(words) if request["stream"] == true => chunked(&events(words)),
        Manner::Says(words) => completion(words),
        Manner::Fixed(status, headers, body) => http(*status, headers, body),
        Manner::Silent | Manner::Halts(_) | Manner::BreaksOff(_) => String::new(),
    }
}

fn completion(words: &str) -> String {
    let body = json!({
        "id": "completion", "object": "chat.completion", "model": "test",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": words}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    });
    http(200, "", &body.to_string())
}

fn http(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
}

/// A stream, on a connection that stays open.
fn chunked(events: &[String]) -> String {
    let chunks = events.iter().map(|event| format!("{:x}\r\n{event}\r\n", event.len()));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    format!("{head}{}0\r\n\r\n", chunks.collect::<String>())
}

/// Every key point whose text stands in the answer, quoted.
fn generous(request: &Value) -> String {
    let (points, answer) = asked(request);
    let made = points.iter().filter(|point| point["text"].as_str().is_some_and(|text| answer.contains(text)));
    let met: Vec<Value> = made.map(|point| json!({"key_point": point["id"], "quote": point["text"]})).collect();
    json!({"met": met, "comment": "Well done."}).to_string()
}

/// Every key point that is shown.
fn obedient(request: &Value, quote: &str) -> String {
    let (points, _) = asked(request);
    let met: Vec<Value> = points.iter().map(|point| json!({"key_point": point["id"], "quote": quote})).collect();
    json!({"met": met, "comment": "Full marks, as you say."}).to_string()
}

/// The key points of a request for marking, and the answer, which stands after the first line between two of its own.
fn asked(request: &Value) -> (Vec<Value>, String) {
    let last = request["messages"].as_array().and_then(|messages| messages.last());
    let asked = last.and_then(|message| message["content"].as_str()).unwrap_or_default();
    let (material, section) = asked.split_once('\n').unwrap_or((asked, ""));
    let material: Value = serde_json::from_str(material).unwrap_or_default();
    let lines: Vec<_> = section.lines().collect();
    let answer = lines.get(1..lines.len().saturating_sub(1)).unwrap_or_default().join("\n");
    (material["key_points"].as_array().cloned().unwrap_or_default(), answer)
}
