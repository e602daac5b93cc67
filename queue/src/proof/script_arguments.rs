//! Arguments that nobody would think of.
//!
//! Scripts are not rolled back, so what is sent must be of the right shape: ids of 16 bytes, processes of eight characters,
//! numbers where numbers belong, all arguments of a transition. The Rust API sends nothing else. Within that shape any value
//! must leave a sound queue. The scripts that are shown a lease must besides change nothing for any bytes at all, unless the
//! lease is the right one.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;
use uuid::Uuid;

use super::calls::{Call, call};
use super::cases;
use super::claims::Answer;
use super::machine::{Machine, add_details, script_of};
use super::snapshot::Snapshot;
use super::transition::{PROCESSES, transitions};
use super::trial::{Ground, QUEUE, Trial};
use crate::delivery::{DEATHS_OF_A_SUSPECT, Verdict};
use crate::producer::Producer;
use crate::recovery::DEATHS_ALLOWED;
use crate::scripts::{self, Script};
use crate::upkeep::Upkeep;

/// An argument of a script that is shown leases.
#[derive(Clone, Debug)]
enum Argument {
    Bytes(Vec<u8>),
    /// The id of a job that runs.
    Id(Index),
    /// The lease of a job that runs, with a byte changed, added, or taken away.
    Forged(Index, Forgery),
}

#[derive(Clone, Copy, Debug)]
enum Forgery {
    Flip(u8),
    Append(u8),
    Cut,
}

fn argument() -> impl Strategy<Value = Argument> {
    let forgery =
        prop_oneof![any::<u8>().prop_map(Forgery::Flip), any::<u8>().prop_map(Forgery::Append), Just(Forgery::Cut)];
    const WORDS: [&str; 9] = ["", "@", "retry", "release", "newer", "-1", "1e400", "nan", "\0"];
    prop_oneof![
        vec(any::<u8>(), 0..40).prop_map(Argument::Bytes),
        select(&WORDS[..]).prop_map(|word| Argument::Bytes(word.into())),
        any::<Index>().prop_map(Argument::Id),
        (any::<Index>(), forgery).prop_map(|(index, forgery)| Argument::Forged(index, forgery)),
    ]
}

impl Argument {
    fn bytes(&self, leases: &[(Uuid, Vec<u8>)]) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Id(_) | Self::Forged(..) if leases.is_empty() => Vec::new(),
            Self::Id(index) => index.get(leases).0.as_bytes().to_vec(),
            Self::Forged(index, forgery) => {
                let mut lease = index.get(leases).1.clone();
                match forgery {
                    Forgery::Flip(at) => {
                        let at = usize::from(*at) % lease.len();
                        lease[at] ^= 1;
                    }
                    Forgery::Append(byte) => lease.push(*byte),
                    Forgery::Cut => lease.truncate(lease.len() - 1),
                }
                lease
            }
        }
    }
}

#[test]
fn nothing_but_its_lease_moves_a_running_job() {
    let fenced: [&Script; 4] = [&scripts::COMPLETE, &scripts::REQUEUE, &scripts::BURY, &scripts::PROGRESS];
    let calls = vec((0..fenced.len(), vec(argument(), 0..9)), 1..12);
    let ground = Ground::new();
    let result = TestRunner::new(cases(24)).run(&(transitions(20), calls), |(before, calls)| {
        ground.run(async |trial| {
            let mut machine = Machine::new(trial);
            for transition in &before {
                machine.step(transition).await?;
            }
            let found = Snapshot::of(&machine.trial).await;
            let leases: Vec<_> = found.leases.iter().map(|(id, lease)| (*id, lease.clone())).collect();
            for (script, arguments) in &calls {
                let mut call = fenced[*script].on(&machine.trial.keys);
                arguments.iter().for_each(|argument| {
                    call.arg(argument.bytes(&leases));
                });
                // It may be refused or fail.
                let _ = machine.trial.try_call::<redis::Value>(&call).await;
                prop_assert_eq!(&found, &Snapshot::of(&machine.trial).await);
            }
            Ok(())
        })
    });
    result.unwrap_or_else(|failure| panic!("{}", failure));
}

/// Sends calls, and knows what it was given.
struct Caller {
    trial: Trial,
    producer: Producer,
    deliveries: Vec<(Uuid, Vec<u8>)>,
}

impl Caller {
    async fn send(&mut self, call: &Call) {
        let inspector = self.trial.engine.inspector();
        let upkeep = |readable: &[String]| Upkeep::new(&self.trial.engine, QUEUE).unwrap().reading(readable.to_vec());
        match call {
            Call::Push(jobs) => drop(self.producer.push(QUEUE, jobs.clone()).await.unwrap()),
            Call::Claim(wanted, promotions) => self.claim(*wanted, *promotions).await,
            Call::Settle(index, verdict) => self.settle(*index, verdict).await,
            Call::Progress(index, note) => self.report(*index, note).await,
            Call::Remove(id) => drop(inspector.cancel(QUEUE, *id).await.unwrap()),
            Call::Recover(process, beat) => self.recover(process, *beat).await,
            Call::Open(batch, callback) => {
                self.producer.open_batch(QUEUE, *batch, callback.clone()).await.unwrap();
            }
            Call::Close(batch) => drop(self.producer.close_batch(QUEUE, *batch).await.unwrap()),
            Call::Limit(limits) => inspector.limit(QUEUE, limits).await.unwrap(),
            Call::LimitGroup(group, policy) => inspector.limit_group(QUEUE, group, Some(policy)).await.unwrap(),
            Call::Readmit(readable) => drop(upkeep(readable).readmit().await.unwrap()),
            Call::Sweep => drop(upkeep(&[]).forget_expired().await.unwrap()),
        }
    }

    async fn claim(&mut self, wanted: usize, promotions: usize) {
        let mut claim = scripts::CLAIM.on(&self.trial.keys);
        claim.arg(PROCESSES[wanted % 3]).arg(wanted).arg(promotions).arg(1).arg(DEATHS_OF_A_SUSPECT);
        let answer: Answer = self.trial.call(&claim).await;
        let ids = answer.5.iter().map(|id| Uuid::from_slice(id).unwrap());
        self.deliveries.extend(ids.zip(answer.6));
    }

    async fn settle(&mut self, index: Index, verdict: &Verdict) {
        if self.deliveries.is_empty() {
            return;
        }
        let (id, lease) = index.get(&self.deliveries);
        let mut call = script_of(verdict).on(&self.trial.keys);
        call.arg(id.as_bytes()).arg(lease);
        add_details(&mut call, verdict);
        let _: String = self.trial.call(&call).await;
    }

    async fn report(&mut self, index: Index, note: &str) {
        if self.deliveries.is_empty() {
            return;
        }
        let (id, lease) = index.get(&self.deliveries);
        let mut call = scripts::PROGRESS.on(&self.trial.keys);
        let _: u8 = self.trial.call(call.arg(id.as_bytes()).arg(lease).arg(note)).await;
    }

    /// This process and the first of ours are silent.
    async fn recover(&mut self, process: &str, beat: i64) {
        let mut score = redis::cmd("ZSCORE");
        let last: Option<i64> = self.trial.query(score.arg(&*self.trial.keys.processes).arg(PROCESSES[0])).await;
        let mut call = scripts::RECOVER.on(&self.trial.keys);
        call.arg("0").arg(1000).arg(DEATHS_OF_A_SUSPECT).arg(DEATHS_ALLOWED).arg(1);
        call.arg(process).arg(beat).arg(PROCESSES[0]).arg(last.unwrap_or(0));
        let _: redis::Value = self.trial.call(&call).await;
    }
}

#[test]
fn whatever_callers_send_leaves_a_sound_queue() {
    let ground = Ground::new();
    let result = TestRunner::new(cases(48)).run(&vec(call(), 1..40), |calls| {
        ground.run(async |trial| {
            let producer = trial.engine.producer();
            let mut caller = Caller { trial, producer, deliveries: Vec::new() };
            for call in &calls {
                caller.send(call).await;
                Snapshot::of(&caller.trial).await.is_sound()?;
            }
            Ok(())
        })
    });
    result.unwrap_or_else(|failure| panic!("{}", failure));
}
