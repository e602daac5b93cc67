//! A chat-completions server on a socket that answers as it is told, also wrongly.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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
    /// Answers with this as the model's words.
    Says(String),
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
        crate::eventually("a request to the AI server", async || {
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
        if socket.write_all(answer(&manner, &request).as_bytes()).await.is_err() {
            return;
        }
    }
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
        Manner::Says(words) => completion(words),
        Manner::Fixed(status, headers, body) => http(*status, headers, body),
        Manner::Silent => String::new(),
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

/// Every key point whose text stands in the answer, quoted.
fn generous(request: &Value) -> String {
    let last = request["messages"].as_array().and_then(|messages| messages.last());
    let asked = last.and_then(|message| message["content"].as_str()).unwrap_or_default();
    let asked: Value = serde_json::from_str(asked).unwrap_or_default();
    let answer = asked["answer"].as_str().unwrap_or_default();
    let points = asked["key_points"].as_array().cloned().unwrap_or_default();
    let made = points.iter().filter(|point| point["text"].as_str().is_some_and(|text| answer.contains(text)));
    let met: Vec<Value> = made.map(|point| json!({"key_point": point["id"], "quote": point["text"]})).collect();
    json!({"met": met, "comment": "Well done."}).to_string()
}
