//! A mail server over a real socket that accepts everything but what its script refuses.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Replies with `reply` to each command that begins with `command`; `hang up` hangs up.
pub(crate) async fn start(command: &'static str, reply: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, command, reply));
        }
    });
    address
}

async fn serve(stream: TcpStream, command: &str, reply: &str) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 scripted.test ESMTP\r\n").await?;
    let (mut line, mut in_data) = (String::new(), false);
    while stream.read_line(&mut line).await? > 0 {
        let answer = match line.trim_end() {
            "." if in_data && command == "." => Some(reply),
            "." if in_data => Some("250 accepted"),
            _ if in_data => None,
            said if said.starts_with(command) => Some(reply),
            "DATA" => Some("354 go on"),
            "QUIT" => Some("221 bye"),
            _ => Some("250 fine"),
        };
        in_data = (in_data && answer.is_none()) || answer == Some("354 go on");
        if answer == Some("hang up") {
            return Ok(());
        }
        if let Some(answer) = answer {
            stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
        line.clear();
    }
    Ok(())
}
