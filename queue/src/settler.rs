//! Settling: what becomes of delivered jobs, told to Redis in batches and tried again until Redis has it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};
use uuid::Uuid;

use crate::delivery::{InHand, Lease, Verdict};
use crate::engine::Engine;
use crate::error::{Error, Trouble};
use crate::keys::Keys;
use crate::scripts::{self, Call};

/// The most jobs settled in one call.
const BATCH: usize = 256;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Settles the jobs of one queue. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Settler(mpsc::UnboundedSender<Order>);

#[derive(Debug)]
enum Order {
    Settle(Settlement),
    Flush(oneshot::Sender<()>),
}

#[derive(Clone, Debug)]
pub(crate) struct Settlement {
    pub(crate) id: Uuid,
    pub(crate) lease: Lease,
    pub(crate) verdict: Verdict,
}

impl Settler {
    pub(crate) fn start(engine: Engine, keys: Arc<Keys>, in_hand: InHand) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        tokio::spawn(serve(received, Ledger { engine, keys, in_hand }));
        Self(orders)
    }

    /// Hands a settlement over; bounded by the number of jobs in hand.
    pub(crate) fn settle(&self, settlement: Settlement) {
        if self.0.send(Order::Settle(settlement)).is_err() {
            // With the runtime, or by a mistake of ours; the lease is taken back when this process has ended.
            error!("a job cannot be settled: the task has ended");
        }
    }

    /// Waits until everything handed over so far is settled.
    pub(crate) async fn flush(&self) {
        let (flushed, done) = oneshot::channel();
        if self.0.send(Order::Flush(flushed)).is_ok() {
            let _ = done.await;
        }
    }
}

struct Ledger {
    engine: Engine,
    keys: Arc<Keys>,
    in_hand: InHand,
}

async fn serve(mut received: mpsc::UnboundedReceiver<Order>, ledger: Ledger) {
    let mut orders = Vec::with_capacity(BATCH);
    while received.recv_many(&mut orders, BATCH).await > 0 {
        let mut batch = Vec::with_capacity(orders.len());
        let mut flushes = Vec::new();
        for order in orders.drain(..) {
            match order {
                Order::Settle(settlement) => batch.push(settlement),
                Order::Flush(flushed) => flushes.push(flushed),
            }
        }
        ledger.settle(&batch).await;
        for flushed in flushes {
            let _ = flushed.send(());
        }
    }
}

impl Ledger {
    /// Settles `batch`, however long Redis is away.
    async fn settle(&self, batch: &[Settlement]) {
        let (mut completed, mut requeued, mut buried) = (Vec::new(), Vec::new(), Vec::new());
        for settlement in batch {
            match settlement.verdict {
                Verdict::Complete => completed.push(settlement),
                Verdict::Retry(_) | Verdict::Snooze(_) | Verdict::Release | Verdict::Unreadable(_) => {
                    requeued.push(settlement);
                }
                Verdict::Bury(_) => buried.push(settlement),
            }
        }
        for (group, call) in [
            (completed, Self::complete as fn(&Self, &[&Settlement]) -> Call),
            (requeued, Self::requeue),
            (buried, Self::bury),
        ] {
            if !group.is_empty() {
                self.insist(&group, call).await;
            }
        }
    }

    async fn insist(&self, group: &[&Settlement], build: fn(&Self, &[&Settlement]) -> Call) {
        let call = build(self, group);
        let mut pause = FIRST_PAUSE;
        loop {
            match scripts::call::<String>(&call, &mut self.engine.connection.clone()).await.map_err(Error::from) {
                Ok(answer) => return self.settled(group, &answer),
                // Even a wrong password may be mended while this process runs; what Redis does not understand never will.
                Err(error) if error.trouble().is_some_and(|trouble| trouble != Trouble::Other) => {
                    warn!(%error, queue = &*self.keys.queue, jobs = group.len(), "not settled yet");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => {
                    error!(%error, queue = &*self.keys.queue, jobs = group.len(), "cannot be settled");
                    return self.settle_singly(group, build).await;
                }
            }
        }
    }

    /// One that Redis does not understand must not take its neighbours with it. Its lease stays in hand: what has run must
    /// not be released as unknown.
    async fn settle_singly(&self, group: &[&Settlement], build: fn(&Self, &[&Settlement]) -> Call) {
        if group.len() > 1 {
            for settlement in group {
                Box::pin(self.insist(&[*settlement], build)).await;
            }
        }
    }

    fn settled(&self, group: &[&Settlement], answer: &str) {
        for settlement in group {
            self.in_hand.remove(settlement.id, &settlement.lease);
        }
        let lost = answer.bytes().filter(|flag| *flag == b'0').count();
        if lost > 0 {
            metrics::counter!("bellwork_leases_lost_total", "queue" => self.keys.queue.to_string())
                .increment(lost as u64);
            warn!(queue = &*self.keys.queue, jobs = lost, "the leases had gone to others, or Redis had lost them");
        }
    }

    fn complete(&self, group: &[&Settlement]) -> Call {
        let mut call = scripts::COMPLETE.on(&self.keys);
        for settlement in group {
            call.arg(settlement.id.as_bytes()).arg(&*settlement.lease.0);
        }
        call
    }

    fn requeue(&self, group: &[&Settlement]) -> Call {
        let mut call = scripts::REQUEUE.on(&self.keys);
        for settlement in group {
            let millis = |delay: Duration| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX).to_string();
            let (why, detail) = match &settlement.verdict {
                Verdict::Retry(delay) => ("retry", millis(*delay)),
                Verdict::Snooze(delay) => ("snooze", millis(*delay)),
                Verdict::Unreadable(needs) => ("newer", needs.replace('\0', " ")),
                Verdict::Complete | Verdict::Release | Verdict::Bury(_) => ("release", String::new()),
            };
            call.arg(settlement.id.as_bytes()).arg(&*settlement.lease.0).arg(why).arg(detail);
        }
        call
    }

    fn bury(&self, group: &[&Settlement]) -> Call {
        let mut call = scripts::BURY.on(&self.keys);
        for settlement in group {
            let Verdict::Bury(evidence) = &settlement.verdict else { continue };
            call.arg(settlement.id.as_bytes()).arg(&*settlement.lease.0).arg(evidence);
        }
        call
    }
}
