//! Load that goes on while a master dies, and what must hold then.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellwork_queue::{Delivery, NewJob, Past, Upkeep, Verdict};
use uuid::Uuid;

use crate::support::{QUEUE, Trial, Working, until};

/// The relay looks this often, and pushes so many new jobs each time.
const TICK: Duration = Duration::from_millis(50);
const JOBS_PER_TICK: usize = 10;
const PROCESSES: usize = 2;
/// More than a process can hold: it has claimed since.
const MORE: usize = 50;

/// Two processes at work and a relay: it pushes new jobs, and again and again those that have not ended, as the platform's
/// does, since a promoted replica may lack the last writes.
pub(crate) struct Load {
    trial: Arc<Trial>,
    ledger: Arc<Ledger>,
    processes: Vec<Working>,
    relay: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Ledger {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stopping: bool,
    unfinished: HashSet<Uuid>,
    /// How many jobs each process was the first to end.
    finished: [usize; PROCESSES],
    /// How often each job was delivered under each lease.
    leases: HashMap<(Uuid, String), u32>,
}

impl Load {
    pub(crate) async fn start(trial: Trial) -> Self {
        let (trial, ledger) = (Arc::new(trial), Arc::new(Ledger::default()));
        let mut processes = Vec::new();
        for process in 0..PROCESSES {
            let ledger = Arc::clone(&ledger);
            processes.push(trial.work(8, move |delivery| run(process, Arc::clone(&ledger), delivery)).await);
        }
        let relay = tokio::spawn(relay(Arc::clone(&trial), Arc::clone(&ledger)));
        let load = Self { trial, ledger, processes, relay };
        load.goes_on().await;
        load
    }

    /// Waits until each process has ended more jobs than it can have in hand now.
    pub(crate) async fn goes_on(&self) {
        let before = self.ledger.state.lock().unwrap().finished;
        until(async || {
            let now = self.ledger.state.lock().unwrap().finished;
            now.iter().zip(before).all(|(now, before)| *now >= before + MORE)
        })
        .await;
    }

    /// Pushes no more new jobs, and sees everything through.
    pub(crate) async fn ends_well(self) {
        self.ledger.state.lock().unwrap().stopping = true;
        until(async || self.ledger.state.lock().unwrap().unfinished.is_empty()).await;
        self.relay.await.unwrap();
        let inspector = self.trial.engine.inspector();
        until(async || {
            let counts = inspector.counts(QUEUE).await.unwrap();
            (counts.running, counts.ready_total(), counts.scheduled) == (0, 0, 0)
        })
        .await;
        for process in self.processes {
            process.drain().await;
        }
        let state = self.ledger.state.lock().unwrap();
        let twice: Vec<_> = state.leases.iter().filter(|(_, deliveries)| **deliveries > 1).collect();
        assert!(twice.is_empty(), "delivered twice under one lease: {twice:?}");
    }
}

async fn run(process: usize, ledger: Arc<Ledger>, delivery: Delivery) -> Verdict {
    let lease = format!("{delivery:?}").split("lease: ").nth(1).unwrap().split("])").next().unwrap().to_owned();
    tokio::time::sleep(Duration::from_millis(2)).await;
    let mut state = ledger.state.lock().unwrap();
    *state.leases.entry((delivery.id, lease)).or_default() += 1;
    if state.unfinished.remove(&delivery.id) {
        state.finished[process] += 1;
    }
    Verdict::Complete
}

async fn relay(trial: Arc<Trial>, ledger: Arc<Ledger>) {
    let producer = trial.engine.producer();
    let mut upkeep = Upkeep::new(&trial.engine, QUEUE).unwrap();
    let mut ticks = tokio::time::interval(TICK);
    for tick in 0_u32.. {
        ticks.tick().await;
        let new: Vec<Uuid> = (0..JOBS_PER_TICK).map(|_| Uuid::now_v7()).collect();
        let ids: Vec<Uuid> = {
            let mut state = ledger.state.lock().unwrap();
            if state.stopping && state.unfinished.is_empty() {
                return;
            }
            let new = if state.stopping { Vec::new() } else { new };
            state.unfinished.extend(&new);
            if tick.is_multiple_of(10) { state.unfinished.iter().copied().collect() } else { new }
        };
        if let Err(error) = producer.push(QUEUE, ids.into_iter().map(job).collect()).await {
            assert!(error.is_transient(), "{error}");
        }
        if let Err(error) = upkeep.recover().await {
            assert!(error.is_transient(), "{error}");
        }
    }
}

fn job(id: Uuid) -> NewJob {
    NewJob { past: Past::Unknown, ..NewJob::new(id, "payload") }
}
