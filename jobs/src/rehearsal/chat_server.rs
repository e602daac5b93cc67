//! A chat-completions server over a real socket that acts by a script and remembers what it was asked.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellwork_shared::config::ai::AiServer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Answers with status line, further headers and body.
    Answer(&'static str, &'static str, String),
    /// Reads and never answers.
    Silence,
    /// Reads and hangs up.
    HangUp,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    /// What the user's message holds.
    pub(crate) fn material(&self) -> Value {
        serde_json::from_str(self.body["messages"][1]["content"].as_str().unwrap()).unwrap()
    }
}

#[derive(Debug)]
pub(crate) struct ChatServer {
    pub(crate) address: std::net::SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl ChatServer {
    /// Acts by `script`, one act a request; after its end it hangs up.
    pub(crate) async fn start(script: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, requests) = (listener.local_addr().unwrap(), Arc::default());
        let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
        let served = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&served)));
            }
        });
        Self { address, requests }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// How to reach it.
    pub(crate) fn configured(&self) -> AiServer {
        AiServer {
            base_url: format!("http://{}/v1/", self.address).parse().unwrap(),
            api_key: Some("sk-secret".to_owned()),
            model: "tutor-1".to_owned(),
            timeout: Duration::from_secs(20),
            requests_per_minute: None,
        }
    }
}

async fn serve(
    mut stream: TcpStream,
    script: Arc<Mutex<VecDeque<Act>>>,
    requests: Arc<Mutex<Vec<Request>>>,
) -> io::Result<()> {
    let request = read(&mut stream).await?;
    requests.lock().unwrap().push(request);
    let act = script.lock().unwrap().pop_front();
    match act {
        Some(Act::Answer(status, headers, body)) => {
            let head =
                format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await
        }
        Some(Act::Silence) => std::future::pending().await,
        Some(Act::HangUp) | None => Ok(()),
    }
}

async fn read(stream: &mut TcpStream) -> io::Result<Request> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let mut request = Request { head, body: Value::Null };
            let length: usize = request.header("content-length").unwrap().parse().unwrap();
            if bytes.len() >= end + 4 + length {
                request.body = serde_json::from_slice(&bytes[end + 4..]).unwrap();
                return Ok(request);
            }
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// A good answer in which the model says `content`, for 100 and 20 tokens.
pub(crate) fn says(content: &Value) -> Act {
    completion(&json!({
        "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": content.to_string() } }],
        "usage": { "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120 },
    }))
}

/// A good answer with that body.
pub(crate) fn completion(body: &Value) -> Act {
    Act::Answer("200 OK", "content-type: application/json\r\n", body.to_string())
}

/// An answer in which the model claims that these quotes meet these key points.
pub(crate) fn claims(claims: &[(&str, &str)], comment: &str) -> Act {
    let met: Vec<_> = claims.iter().map(|(id, quote)| json!({ "key_point": id, "quote": quote })).collect();
    says(&json!({ "met": met, "comment": comment }))
}
