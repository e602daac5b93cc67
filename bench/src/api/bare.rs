//! What actix-web does without us: a handler that answers with so many bytes, set up as our server is.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread::available_parallelism;
use std::time::Duration;

use actix_web::http::header::ContentType;
use actix_web::{App, HttpResponse, HttpServer, web};
use bytes::Bytes;
use clap::Args;

/// The settings of `api/src/server.rs`.
const MAX_CONNECTIONS: usize = 100_000;
const BACKLOG: u32 = 4096;
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// No answer of ours is longer.
const LONGEST: usize = 1 << 20;

static BODY: Bytes = Bytes::from_static(&[b' '; LONGEST]);

/// Where it listens.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Arguments {
    /// A port of this machine.
    port: u16,
}

/// Serves until it is killed.
pub(crate) async fn serve(arguments: Arguments) -> anyhow::Result<()> {
    let cores = available_parallelism().map_or(1, std::num::NonZero::get);
    HttpServer::new(|| App::new().route("/bytes/{count}", web::get().to(bytes)))
        .workers(cores)
        .max_connections(MAX_CONNECTIONS)
        .backlog(BACKLOG)
        .keep_alive(KEEP_ALIVE)
        .tcp_nodelay(true)
        .h1_allow_half_closed(false)
        .disable_signals()
        .bind(SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port)))?
        .run()
        .await?;
    Ok(())
}

async fn bytes(count: web::Path<usize>) -> HttpResponse {
    let body = BODY.slice(..count.into_inner().min(LONGEST));
    HttpResponse::Ok().content_type(ContentType::json()).body(body)
}
