//! Applies transitions to a real queue and to the model, and compares what they say.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use uuid::Uuid;

use super::claims::{Answer, Claim};
use super::model::{At, Model};
use super::snapshot::Snapshot;
use super::transition::{PROCESSES, Shown, Transition, transitions};
use super::trial::{Ground, QUEUE, Trial};
use super::{Checked, cases};
use crate::batch::Batch;
use crate::delivery::{DEATHS_OF_A_SUSPECT, Verdict};
use crate::inspector::Removal;
use crate::job::NewJob;
use crate::producer::Producer;
use crate::recovery::{DEATHS_ALLOWED, Recovered};
use crate::scripts::{self, Call, Script};

pub(super) struct Machine {
    pub(super) trial: Trial,
    pub(super) model: Model,
    producer: Producer,
    /// All that was ever given.
    deliveries: Vec<(Uuid, Vec<u8>)>,
    pub(super) steps: usize,
}

impl Machine {
    pub(super) fn new(trial: Trial) -> Self {
        let producer = trial.engine.producer();
        Self { trial, model: Model::default(), producer, deliveries: Vec::new(), steps: 0 }
    }

    /// One step on both sides, and a look at everything.
    pub(super) async fn step(&mut self, transition: &Transition) -> Checked {
        self.model.first -= 1;
        self.apply(transition).await?;
        let found = Snapshot::of(&self.trial).await;
        found.is_sound()?;
        found.agrees_with(&self.model)?;
        self.steps += 1;
        self.look().await
    }

    async fn apply(&mut self, transition: &Transition) -> Checked {
        match transition {
            Transition::Push(jobs) => self.push(jobs).await,
            Transition::Claim(claim) => self.claim(claim).await,
            Transition::Settle(settlements) => self.settle(settlements).await,
            Transition::Report(shown) => self.report(shown).await,
            Transition::Remove(id) => self.remove(*id).await,
            Transition::Cancel(id) => self.cancel(*id).await,
            Transition::Recover { dead, awake, strangers, page } => self.recover(dead, awake, *strangers, *page).await,
            Transition::Beat(process) => self.beat(PROCESSES[*process]).await,
            Transition::Leave(process) => self.leave(PROCESSES[*process]).await,
            Transition::Pause => self.pause().await,
            Transition::Resume => self.resume().await,
            Transition::Open(batch, callback) => self.open(*batch, callback).await,
            Transition::Close(batch) => self.close(*batch).await,
            Transition::Limit(limits) => self.limit(limits).await,
            Transition::LimitGroup(group, policy) => self.limit_group(group, policy.as_ref()).await,
            Transition::Readmit(readable) => self.readmit(readable).await,
            Transition::Sweep => self.sweep().await,
            Transition::TimePasses(direction) => self.time_passes(*direction).await,
            Transition::KeyExpires(key) => self.key_expires(key).await,
        }
    }

    async fn push(&mut self, jobs: &[NewJob]) -> Checked {
        let outcomes = self.producer.push(QUEUE, jobs.to_vec()).await.unwrap();
        let expected: Vec<_> = jobs.iter().map(|job| self.model.push(job)).collect();
        prop_assert_eq!(outcomes, expected);
        Ok(())
    }

    async fn claim(&mut self, claim: &Claim) -> Checked {
        let process = PROCESSES[claim.process];
        self.model.registered.insert(process.to_owned());
        let mut call = scripts::CLAIM.on(&self.trial.keys);
        call.arg(process).arg(claim.wanted).arg(claim.promotions).arg(u8::from(claim.suspect)).arg(DEATHS_OF_A_SUSPECT);
        let answer: Answer = self.trial.call(&call).await;
        let leases = answer.5.iter().map(|id| Uuid::from_slice(id).unwrap()).zip(answer.6.iter().cloned());
        self.deliveries.extend(leases);
        let found = Snapshot::of(&self.trial).await;
        self.model.claimed(claim, process, &answer, &found)
    }

    /// The delivery that is meant; none if there is none yet.
    fn delivery(&self, shown: &Shown) -> Option<(Uuid, Vec<u8>)> {
        let running = self.model.jobs.iter().filter_map(|(id, job)| match &job.at {
            At::Leased(lease) => Some((*id, lease.clone())),
            _ => None,
        });
        let (index, all) = match shown {
            Shown::Running(index) => (index, running.collect()),
            Shown::Any(index) => (index, self.deliveries.clone()),
        };
        (!all.is_empty()).then(|| index.get(&all).clone())
    }

    /// Settles as the settler does: what is complete, what goes back and what is buried in a call each.
    async fn settle(&mut self, settlements: &[(Shown, Verdict)]) -> Checked {
        let shown = settlements.iter().filter_map(|(shown, verdict)| {
            let (id, lease) = self.delivery(shown)?;
            Some((id, lease, verdict))
        });
        let shown: Vec<_> = shown.collect();
        for script in [&scripts::COMPLETE, &scripts::REQUEUE, &scripts::BURY] {
            let mut call = script.on(&self.trial.keys);
            let mut expected = String::new();
            for (id, lease, verdict) in shown.iter().filter(|(.., verdict)| script_of(verdict).name == script.name) {
                call.arg(id.as_bytes()).arg(lease);
                add_details(&mut call, verdict);
                expected.push(self.model.settle(*id, lease, verdict));
            }
            if !expected.is_empty() {
                let answer: String = self.trial.call(&call).await;
                prop_assert_eq!(answer, expected, "{} of {:?}", script.name, shown);
            }
        }
        Ok(())
    }

    async fn report(&mut self, shown: &Shown) -> Checked {
        let Some((id, lease)) = self.delivery(shown) else { return Ok(()) };
        let mut call = scripts::PROGRESS.on(&self.trial.keys);
        call.arg(id.as_bytes()).arg(&lease).arg("half");
        let noted: u8 = self.trial.call(&call).await;
        prop_assert_eq!(noted == 1, self.model.holds(id, &lease));
        Ok(())
    }

    async fn remove(&mut self, id: Uuid) -> Checked {
        let removal = self.trial.engine.inspector().remove(QUEUE, id).await.unwrap();
        prop_assert_eq!(removal, self.model.remove(id, Removal::Running));
        Ok(())
    }

    async fn cancel(&mut self, id: Uuid) -> Checked {
        let removal = self.trial.engine.inspector().cancel(QUEUE, id).await.unwrap();
        prop_assert_eq!(removal, self.model.remove(id, Removal::Ending));
        Ok(())
    }

    async fn recover(&mut self, dead: &[usize], awake: &[usize], strangers: bool, page: usize) -> Checked {
        let mut silent: Vec<(&str, i64)> = Vec::new();
        for process in dead.iter().chain(awake).map(|process| PROCESSES[*process]) {
            let mut score = redis::cmd("ZSCORE");
            let beat: Option<i64> = self.trial.query(score.arg(&*self.trial.keys.processes).arg(process)).await;
            let since = i64::from(awake.iter().any(|awake| PROCESSES[*awake] == process));
            silent.push((process, beat.unwrap_or(0) - since));
        }
        let dead: BTreeSet<&str> = dead.iter().map(|process| PROCESSES[*process]).collect();
        let registered = self.model.registered.clone();
        let last = self.model.last;
        let is_dead = |process: &str| if registered.contains(process) { dead.contains(process) } else { strangers };
        let expected = self.model.recover(is_dead);
        self.model.tie(last);
        let (mut found, mut cursor) = (Recovered::default(), "0".to_owned());
        loop {
            let mut call = scripts::RECOVER.on(&self.trial.keys);
            call.arg(&cursor).arg(page).arg(DEATHS_OF_A_SUSPECT).arg(DEATHS_ALLOWED).arg(u8::from(strangers));
            silent.iter().for_each(|(process, beat)| {
                call.arg(*process).arg(*beat);
            });
            let (next, taken, buried): (String, u64, u64) = self.trial.call(&call).await;
            (found.taken, found.buried, cursor) = (found.taken + taken, found.buried + buried, next);
            if cursor == "0" {
                break;
            }
        }
        prop_assert_eq!(found, expected);
        Ok(())
    }

    async fn open(&mut self, batch: Uuid, callback: &NewJob) -> Checked {
        let opened = self.producer.open_batch(QUEUE, batch, callback.clone()).await.unwrap();
        prop_assert_eq!(opened == Batch::Changed, self.model.open(batch, callback));
        Ok(())
    }

    async fn close(&mut self, batch: Uuid) -> Checked {
        let closed = self.producer.close_batch(QUEUE, batch).await.unwrap();
        prop_assert_eq!(closed == Batch::Changed, self.model.close(batch));
        Ok(())
    }
}

/// The script that takes a verdict.
pub(super) fn script_of(verdict: &Verdict) -> &'static Script {
    match verdict {
        Verdict::Complete => &scripts::COMPLETE,
        Verdict::Bury(_) => &scripts::BURY,
        _ => &scripts::REQUEUE,
    }
}

/// What the settler sends beside the lease.
pub(super) fn add_details(call: &mut Call, verdict: &Verdict) {
    let millis = |delay: &std::time::Duration| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX).to_string();
    match verdict {
        Verdict::Complete => call,
        Verdict::Bury(evidence) => call.arg(evidence),
        Verdict::Retry(delay) => call.arg("retry").arg(millis(delay)),
        Verdict::Snooze(delay) => call.arg("snooze").arg(millis(delay)),
        Verdict::Unreadable(needs) => call.arg("newer").arg(needs.replace('\0', " ")),
        Verdict::Release => call.arg("release").arg(""),
    };
}

#[test]
fn a_queue_does_what_its_model_does() {
    let ground = Ground::new();
    let result = TestRunner::new(cases(64)).run(&transitions(60), |transitions| {
        ground.run(async |trial| {
            let mut machine = Machine::new(trial);
            for transition in &transitions {
                machine.step(transition).await?;
            }
            Ok(())
        })
    });
    result.unwrap_or_else(|failure| panic!("{}", failure));
}
