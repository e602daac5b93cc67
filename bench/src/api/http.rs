//! HTTP/1.1 as far as a benchmark needs it: one request on an open connection, and its whole answer.

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::loads::Request;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// Its ETag, if it has one.
    pub(crate) etag: Option<String>,
    /// Its body.
    pub(crate) body: Vec<u8>,
}

/// Asks `request` on `connection`, which stays open.
pub(crate) async fn ask(connection: &mut TcpStream, request: &Request) -> anyhow::Result<Answer> {
    connection.write_all(written(request).as_bytes()).await?;
    let mut received = Vec::new();
    let (head, begins) = loop {
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            break (String::from_utf8_lossy(&received[..end]).into_owned(), end + 4);
        }
        receive(connection, &mut received).await?;
    };
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
    let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while status != 304 && received.len() < begins + length {
        receive(connection, &mut received).await?;
    }
    let etag = header(&head, "etag").map(str::to_owned);
    Ok(Answer { status, etag, body: received.split_off(begins) })
}

async fn receive(connection: &mut TcpStream, received: &mut Vec<u8>) -> anyhow::Result<()> {
    anyhow::ensure!(connection.read_buf(received).await? > 0, "the connection was closed");
    Ok(())
}

fn written(request: &Request) -> String {
    let Request { method, path, token, etag, body, .. } = request;
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    for (name, value) in [("Authorization: Bearer", token), ("If-None-Match:", etag)] {
        if !value.is_empty() {
            text += &format!("{name} {value}\r\n");
        }
    }
    if !body.is_empty() {
        text += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    text + "\r\n" + body
}

fn header<'a>(head: &'a str, wanted: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
}

/// Where a server listens, without its scheme.
pub(crate) fn address(url: &str) -> &str {
    url.trim_start_matches("http://")
}
