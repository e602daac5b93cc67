//! The HTTP server: its limits, its sockets, its start and its end.

use std::any::Any;
use std::net::SocketAddr;
use std::thread::available_parallelism;
use std::time::Duration;

use actix_web::dev::{Extensions, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::{HttpServer, web};
use anyhow::Context;
use bellwork_shared::config::Config;
use metrics_exporter_prometheus::PrometheusHandle;
use socket2::SockRef;
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::app::App;
use crate::routes::Role;
use crate::routes::registration::register;
use crate::{input, observe};

/// Connections per worker thread; the limit on open files is met first.
const MAX_CONNECTIONS: usize = 100_000;
/// Connections that may wait to be accepted, if `somaxconn` allows.
const BACKLOG: u32 = 4096;
/// An idle connection is kept for longer than a balancer does, so that the balancer closes it and never meets a closed one.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// The head of a request must be here by then. Its body has as long as its answer, or a file its own time, and
/// its size has a limit.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client that is told to go may take to close its end.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);
/// A peer that acknowledges or takes nothing for this long is gone. Left alone, the kernel takes about 15 minutes.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);
/// Unsent bytes the kernel holds per connection, so that a stream that is not read fills its own queue soon.
const TCP_NOTSENT_LOWAT: u32 = 64 * 1024;
/// How long a request may still take once the server stops, in seconds.
const SHUTDOWN_SECONDS: u64 = 10;
/// How long clearing the outbox may take at the end; a relay pushes again what is left of it, harmlessly.
const OUTBOX_TIMEOUT: Duration = Duration::from_secs(1);

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    app: App,
    handle: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
    outbox: JoinHandle<()>,
}

impl Server {
    /// Starts to serve. Neither PostgreSQL nor Redis need be there. Call it within a runtime.
    ///
    /// # Errors
    /// If the address is taken, or an address in `config` cannot be used.
    pub fn start(config: &Config, role: Role, database: PgPool, metrics: PrometheusHandle) -> anyhow::Result<Self> {
        let cores = available_parallelism().map_or(1, std::num::NonZero::get);
        let (app, outbox) = App::start(config, database, metrics, cores)?;
        let state = app.clone();
        let application = move || {
            actix_web::App::new()
                .app_data(web::Data::new(state.clone()))
                .app_data(input::payload_config())
                .configure(|services| register(services, role))
                .wrap(from_fn(observe::observe))
        };
        let server = HttpServer::new(application)
            .workers(cores)
            .max_connections(MAX_CONNECTIONS)
            .backlog(BACKLOG)
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD_TIMEOUT)
            .client_disconnect_timeout(GOODBYE_TIMEOUT)
            .tcp_nodelay(true)
            // Else a client that goes away is noticed only when a second write to it fails.
            .h1_allow_half_closed(false)
            .shutdown_timeout(SHUTDOWN_SECONDS)
            .disable_signals()
            .on_connect(prepare)
            .bind(config.http.bind)
            .with_context(|| format!("BIND={} cannot be listened on", config.http.bind))?;
        let address = *server.addrs().first().context("the server listens nowhere")?;
        let server = server.run();
        Ok(Self { address, app, handle: server.handle(), serving: tokio::spawn(server), outbox })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the streams one by one while requests are still answered, then lets the last requests finish.
    pub async fn drain(&self) {
        self.app.drain().await;
        self.handle.stop(true).await;
    }

    /// Stops at once.
    pub async fn stop(&self) {
        self.handle.stop(false).await;
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// If the server failed.
    pub async fn ended(self) -> anyhow::Result<()> {
        let served = self.serving.await?;
        drop(self.app);
        if timeout(OUTBOX_TIMEOUT, self.outbox).await.is_err() {
            tracing::debug!("the outbox was not cleared in time");
        }
        Ok(served?)
    }
}

fn prepare(connection: &dyn Any, _: &mut Extensions) {
    let Some(stream) = connection.downcast_ref::<TcpStream>() else { return };
    let socket = SockRef::from(stream);
    let prepared = socket
        .set_tcp_user_timeout(Some(TCP_USER_TIMEOUT))
        .and_then(|()| socket.set_tcp_notsent_lowat(TCP_NOTSENT_LOWAT));
    if let Err(error) = prepared {
        tracing::debug!(%error, "a connection keeps the system's settings");
    }
}
