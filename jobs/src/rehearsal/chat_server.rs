//! A chat-completions server over a real socket that acts by a script and remembers what it was asked.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellwork_shared::config::ai::{AiServer, Price};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};

use crate::tutor::ballot::is_decoy;

/// What the server does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Answers with status line, further headers and body.
    Answer(&'static str, &'static str, String),
    /// Claims that these quotes meet the key points `k1`, `k2` and so on, in the order in which they are shown, as a model
    /// does that knows what is a decoy.
    Claims(Vec<(String, String)>, String),
    /// Claims that each of these quotes meets every key point that is shown: a model that obeys what an answer says.
    Obey(Vec<String>),
    /// Writes these pieces of a stream as they are, each in a packet of its own, and hangs up.
    Pieces(Vec<Vec<u8>>),
    /// Writes these pieces, one for each time it is let on, and then waits for the client to hang up.
    Slowly(Vec<Vec<u8>>, Arc<Semaphore>),
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

    /// What the user's message holds; a student's words stand under `answer`.
    pub(crate) fn material(&self) -> Value {
        let content = self.body["messages"][1]["content"].as_str().unwrap();
        let (material, section) = content.split_once('\n').unwrap_or((content, ""));
        let mut material: Value = serde_json::from_str(material).unwrap();
        if let Some((first, rest)) = section.split_once('\n') {
            let mark = first.strip_prefix("<<<").unwrap();
            let (answer, last) = rest.rsplit_once('\n').unwrap();
            assert_eq!(last, format!("{mark}>>>"));
            material["answer"] = answer.into();
        }
        material
    }

    /// The names of the key points that are shown, with their texts.
    pub(crate) fn key_points(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let points = self.material()["key_points"].as_array().cloned().unwrap_or_default();
        points.iter().map(|point| (text(&point["id"]), text(&point["text"]))).collect()
    }
}

#[derive(Debug)]
pub(crate) struct ChatServer {
    pub(crate) address: std::net::SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    hung_up: Arc<Notify>,
}

impl ChatServer {
    /// Acts by `script`, one act a request; after its end it hangs up.
    pub(crate) async fn start(script: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, requests) = (listener.local_addr().unwrap(), Arc::default());
        let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
        let (served, hung_up) = (Arc::clone(&requests), Arc::new(Notify::new()));
        let gone = Arc::clone(&hung_up);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&served), Arc::clone(&gone)));
            }
        });
        Self { address, requests, hung_up }
    }

    /// Waits until a client has hung up in the middle of an answer.
    pub(crate) async fn hung_up(&self) {
        self.hung_up.notified().await;
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
            timeout: Duration::from_secs(100),
            requests_per_minute: None,
            price: Price { prompt: 1_000_000, completion: 2_000_000 },
        }
    }
}

async fn serve(
    mut stream: TcpStream,
    script: Arc<Mutex<VecDeque<Act>>>,
    requests: Arc<Mutex<Vec<Request>>>,
    hung_up: Arc<Notify>,
) -> io::Result<()> {
    let request = read(&mut stream).await?;
    requests.lock().unwrap().push(request.clone());
    let act = script.lock().unwrap().pop_front().map(|act| acted(act, &request));
    match act {
        Some(Act::Answer(status, headers, body)) => {
            let head =
                format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await
        }
        Some(Act::Pieces(pieces)) => {
            stream.set_nodelay(true)?;
            stream.write_all(STREAM.as_bytes()).await?;
            for piece in pieces {
                stream.write_all(&piece).await?;
                tokio::task::yield_now().await;
            }
            Ok(())
        }
        Some(Act::Slowly(pieces, let_on)) => {
            stream.set_nodelay(true)?;
            stream.write_all(STREAM.as_bytes()).await?;
            for piece in pieces {
                let_on.acquire().await.unwrap().forget();
                stream.write_all(&piece).await?;
            }
            let ended = stream.read_u8().await;
            hung_up.notify_one();
            ended.map(drop)
        }
        Some(Act::Claims(..) | Act::Obey(_)) => unreachable!("they were written out"),
        Some(Act::Silence) => std::future::pending().await,
        Some(Act::HangUp) | None => Ok(()),
    }
}

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nconnection: close\r\n\r\n";

/// What depends on the request, written out.
fn acted(act: Act, request: &Request) -> Act {
    let claim = |(name, quote): (&String, &String)| json!({ "key_point": name, "quote": quote });
    match act {
        Act::Claims(claims, comment) => {
            let own = request.key_points().into_iter().filter(|(_, text)| !is_decoy(text));
            let names: HashMap<_, _> = (1..).map(|place| format!("k{place}")).zip(own.map(|(name, _)| name)).collect();
            let met = claims.iter().map(|(id, quote)| claim((names.get(id).unwrap_or(id), quote)));
            says(&json!({ "met": met.collect::<Vec<_>>(), "comment": comment }))
        }
        Act::Obey(quotes) => {
            let points = request.key_points();
            let met = points.iter().flat_map(|(name, _)| quotes.iter().map(move |quote| claim((name, quote))));
            says(&json!({ "met": met.collect::<Vec<_>>(), "comment": "Full marks! Everything is right." }))
        }
        act => act,
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
    Act::Claims(claims.iter().map(|(id, quote)| ((*id).to_owned(), (*quote).to_owned())).collect(), comment.to_owned())
}

/// The events of an answer in which the model says `content` in `pieces`, for 100 and 20 tokens.
pub(crate) fn streamed(content: &str, pieces: usize) -> Vec<Vec<u8>> {
    let characters: Vec<char> = content.chars().collect();
    let size = characters.len().div_ceil(pieces).max(1);
    let part = |piece: &[char]| {
        event(&json!({ "choices": [{ "index": 0, "delta": { "content": piece.iter().collect::<String>() } }] }))
    };
    let mut events: Vec<_> = characters.chunks(size).map(part).collect();
    events.push(event(&json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] })));
    events.push(event(&json!({ "choices": [], "usage": { "prompt_tokens": 100, "completion_tokens": 20 } })));
    events.push(b"data: [DONE]\n\n".to_vec());
    events
}

/// A streamed answer in which the model says `content`.
pub(crate) fn writes(content: &Value) -> Act {
    Act::Pieces(streamed(&content.to_string(), 7))
}

fn event(data: &Value) -> Vec<u8> {
    format!("data: {data}\n\n").into_bytes()
}
