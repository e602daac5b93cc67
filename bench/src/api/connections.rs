//! Many connections that are held open while a few ask: how many stay, what they cost, and what they cost the others.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use serde::Serialize;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::Arguments;
use super::http::{address, ask};
use super::loads::{MIX, Request, Route, request};
use super::servers::Running;
use super::world::World;
use super::wrk::{self, Figures};
use crate::screen::Step;

/// So many connections are opened, or asked, at the same time.
const AT_ONCE: usize = 256;
/// An answer that takes longer counts as none.
const PATIENCE: Duration = Duration::from_secs(10);
/// The connections come from so many addresses, so that the ports of none run out.
const ADDRESSES: usize = 4;

/// What was found of one server.
#[derive(Debug, Serialize)]
pub(crate) struct Held {
    /// Which server.
    pub(crate) server: &'static str,
    /// Connections that were asked for.
    pub(crate) wanted: usize,
    /// Connections that were opened and answered on.
    pub(crate) opened: usize,
    /// Connections that were answered on again afterwards.
    pub(crate) kept: usize,
    /// Requests of the mix a second, meanwhile.
    pub(crate) requests_per_s: f64,
    /// 95 of 100 of them were answered within so many milliseconds.
    pub(crate) p95_ms: f64,
    /// Of them, those that were refused or not answered.
    pub(crate) failed: u64,
    /// The server's memory before, in bytes.
    pub(crate) memory_before: u64,
    /// The server's memory with them all open, in bytes.
    pub(crate) memory_with: u64,
}

impl Held {
    /// Opens the connections, runs the mix on others, and asks on each again.
    pub(crate) async fn measure(server: &Running, arguments: &Arguments, world: &World) -> anyhow::Result<Self> {
        let mut step = Step::begin(format!("{} open · {}", arguments.held, server.name()));
        let probe = request(Route::Tests, 0, world);
        let memory_before = server.memory()?;
        let open = step.during("opening", open(server, &probe, arguments.held)).await;
        let memory_with = server.memory()?;
        let requests = MIX.requests(world, server).unwrap_or_default();
        let Figures { requests_per_s, p95_ms, refused, lost, .. } =
            step.during("the mix beside them", wrk::measure(arguments, server, world, &requests)).await?;
        let opened = open.len();
        let kept = step.during("asking again", still_open(open, &probe)).await;
        step.tick(&format!("{kept} kept, {requests_per_s:.0} requests/s beside them"));
        let (server, failed) = (server.name(), refused + lost);
        let wanted = arguments.held;
        Ok(Self { server, wanted, opened, kept, requests_per_s, p95_ms, failed, memory_before, memory_with })
    }
}

async fn open(server: &Running, probe: &Request, count: usize) -> Vec<TcpStream> {
    let opening = (0..count).map(|number| async move {
        let connecting = async {
            let mut connection = connect(server, number).await?;
            let answer = ask(&mut connection, probe).await?;
            anyhow::ensure!(answer.status == 200, "refused");
            anyhow::Ok(connection)
        };
        timeout(PATIENCE, connecting).await.ok()?.ok()
    });
    stream::iter(opening).buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await
}

async fn connect(server: &Running, number: usize) -> anyhow::Result<TcpStream> {
    let last = u8::try_from(2 + number % ADDRESSES)?;
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)))?;
    Ok(socket.connect(address(&server.url).parse()?).await?)
}

async fn still_open(connections: Vec<TcpStream>, probe: &Request) -> usize {
    let asking = connections.into_iter().map(|mut connection| async move {
        let answer = timeout(PATIENCE, ask(&mut connection, probe)).await;
        answer.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status == 200))
    });
    stream::iter(asking).buffer_unordered(AT_ONCE).filter(|kept| std::future::ready(*kept)).count().await
}
