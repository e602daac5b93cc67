//! The peers. Another one is a line here and a program.

/// A job queue that is measured beside ours.
#[derive(Debug)]
pub(crate) struct Peer {
    /// As `--only` and the tables call it.
    pub(crate) name: &'static str,
    /// What runs it.
    pub(crate) program: Program,
    /// No more jobs may wait than it bears.
    pub(crate) backlog: usize,
    /// Jobs that one worker process holds when it is killed; 0 if there is no worker.
    pub(crate) holds: usize,
    /// What a reader of its figures should know.
    pub(crate) note: &'static str,
}

/// How a peer's program is started.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Program {
    /// A part of this program.
    Own,
    /// A part of the program in `bench/peers/rust`.
    Rust,
    /// A file in `bench/peers` for Node.js.
    Node(&'static str),
    /// A file in `bench/peers` for the Python of the virtual environment.
    Python(&'static str),
    /// A file in `bench/peers` for the system's Ruby.
    Ruby(&'static str),
}

/// The peer that all others are compared with.
pub(crate) const OURS: &str = "bellwork";

/// All peers, in the order in which they run.
pub(crate) const PEERS: &[Peer] = &[
    peer(OURS, Program::Own, 1_000),
    Peer { note: "no payloads, no leases that outlive a crash: what Redis could do", ..peer("raw", Program::Own, 0) },
    peer("bullmq", Program::Node("run_bullmq.mjs"), 1_000),
    Peer { note: "loses the jobs of a killed process", ..peer("sidekiq", Program::Ruby("run_sidekiq.rb"), 5) },
    Peer { note: "takes a job back after an hour", ..peer("celery", Program::Python("run_celery.py"), 1) },
    Peer {
        note: "takes a job back after 60 s at the earliest, at one poll in a thousand",
        ..peer("dramatiq", Program::Python("run_dramatiq.py"), 8)
    },
    peer("bullmq-official", Program::Rust, 1_000),
    Peer {
        backlog: 7_500,
        note: "7,500 waiting jobs, because 8,000 stop it for ever; keeps finished jobs; takes a job back after 300 s",
        ..peer("apalis-redis", Program::Rust, 1_000)
    },
];

const fn peer(name: &'static str, program: Program, holds: usize) -> Peer {
    Peer { name, program, backlog: usize::MAX, holds, note: "" }
}
