//! The API beside a bare actix handler and beside the same routes in Fastify and FastAPI: one machine, the same stores, the
//! same data and the same answers, interleaved rounds.

mod agreement;
mod aims;
mod bare;
mod connections;
mod http;
mod loads;
mod refusals;
mod report;
mod servers;
mod world;
mod wrk;

use clap::Args;

use self::connections::Held;
use self::loads::{LOADS, Load};
use self::refusals::Refusals;
use self::report::Measured;
use self::servers::{SERVERS, Server, Servers};
use self::world::World;
use crate::places::Places;
use crate::screen::{Step, say, skip};

pub(crate) use self::bare::{Arguments as BareArguments, serve};
pub(crate) use self::report::Report;

/// What is measured, and how much.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only these servers beside ours, separated by commas; `bellwork` alone is ours alone.
    #[arg(long, value_delimiter = ',', value_parser = known_server)]
    only: Vec<&'static Server>,
    /// Rounds; the medians are told.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=30))]
    seconds: u64,
    /// Seconds of warm-up before each.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=30))]
    warm_up: u64,
    /// Connections that ask.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(2..))]
    connections: u32,
    /// Connections that are only held open in the last measurement; 0 leaves it out.
    #[arg(long, default_value_t = 10_000)]
    held: usize,
    #[command(flatten)]
    places: Places,
}

/// Measures on the servers of `DATABASE_URL` and `REDIS_URL`.
pub(crate) async fn measure(arguments: &Arguments) -> anyhow::Result<Report> {
    let world = Step::begin("Students, attempts and a board").during("", World::make()).await?;
    let mut servers = Servers::start(&world, &arguments.only, &arguments.places).await?;
    agreement::check(&world, &mut servers).await?;
    say("");
    let mut measured = Measured::default();
    for round in 1..=arguments.rounds {
        for load in LOADS {
            measure_load(round, load, arguments, &world, &servers, &mut measured).await?;
        }
    }
    let mut held = Vec::new();
    if arguments.held > 0 {
        for server in servers.that_serve_routes() {
            held.push(Held::measure(server, arguments, &world).await?);
        }
    }
    Ok(Report::of(&servers, measured, held))
}

/// One load on each server that takes it, one after the other.
async fn measure_load(
    round: u32,
    load: &'static Load,
    arguments: &Arguments,
    world: &World,
    servers: &Servers,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    for server in &servers.running {
        let Some(requests) = load.requests(world, server) else { continue };
        let mut step =
            Step::begin(format!("Round {round} of {} · {} · {}", arguments.rounds, load.name, server.name()));
        let before = Refusals::of(server).await?;
        let figures = step.during("", wrk::measure(arguments, server, world, &requests)).await?;
        let refused = Refusals::of(server).await?.since(&before);
        step.tick(&format!("{:.0} requests/s{refused}", figures.requests_per_s));
        measured.add(load, server, figures);
    }
    Ok(())
}

fn known_server(name: &str) -> Result<&'static Server, String> {
    let names = || SERVERS.iter().map(|server| server.name).collect::<Vec<_>>().join(", ");
    SERVERS.iter().find(|server| server.name == name).ok_or_else(|| format!("the servers are {}", names()))
}

/// Says why a server is not among those that are measured.
fn leave_out(server: &Server, error: &anyhow::Error) {
    skip(&format!("{} is left out: {error:#}", server.name));
}
