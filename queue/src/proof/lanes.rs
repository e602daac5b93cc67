//! A lane is a queue with two ends, however many chunks it has.

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use uuid::Uuid;

use super::claims::Answer;
use super::snapshot::Snapshot;
use super::trial::{Ground, QUEUE, Trial};
use super::{Checked, cases};
use crate::job::NewJob;
use crate::scripts;

#[derive(Clone, Debug)]
enum Move {
    Push(usize),
    Claim(usize),
    /// Gives this many of the claimed jobs back, beginning with the one of the index.
    Release(usize, Index),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let count = || prop_oneof![1..4_usize, 60..70_usize, 1..=200_usize];
    let one = prop_oneof![
        3 => count().prop_map(Move::Push),
        3 => count().prop_map(Move::Claim),
        2 => (count(), any::<Index>()).prop_map(|(count, from)| Move::Release(count, from)),
    ];
    vec(one, 1..30)
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<Uuid>,
    held: Vec<(Uuid, Vec<u8>)>,
    pushed: u128,
}

impl Lane {
    async fn apply(&mut self, trial: &Trial, step: &Move) -> Checked {
        match step {
            Move::Push(count) => {
                let ids: Vec<_> = (0..*count as u128).map(|number| Uuid::from_u128(self.pushed + number)).collect();
                let job = |id| NewJob { group: Some("one".into()), ..NewJob::new(id, "") };
                trial.engine.producer().push(QUEUE, ids.iter().copied().map(job).collect()).await.unwrap();
                self.pushed += *count as u128;
                self.waiting.extend(ids);
            }
            Move::Claim(count) => {
                let mut claim = scripts::CLAIM.on(&trial.keys);
                let answer: Answer = trial.call(claim.arg("aaaaaaaa").arg(*count).arg(1).arg(0).arg(2)).await;
                let ids: Vec<_> = answer.5.iter().map(|id| Uuid::from_slice(id).unwrap()).collect();
                let first = self.waiting.drain(..(*count).min(self.waiting.len()));
                prop_assert_eq!(&ids, &first.collect::<Vec<_>>());
                self.held.extend(ids.into_iter().zip(answer.6));
            }
            Move::Release(count, from) => {
                let from = from.index(self.held.len() + 1);
                let count = (*count).min(self.held.len() - from);
                let mut release = scripts::REQUEUE.on(&trial.keys);
                let given: Vec<_> = self.held.drain(from..from + count).collect();
                for (id, lease) in &given {
                    release.arg(id.as_bytes()).arg(lease).arg("release").arg("");
                }
                let answer: String = trial.call(&release).await;
                prop_assert_eq!(answer, "1".repeat(count));
                given.iter().rev().for_each(|(id, _)| self.waiting.push_front(*id));
            }
        }
        let found = Snapshot::of(trial).await;
        found.lanes_have_turns_or_are_parked()?;
        let ids = found.lanes.get(&b"2one"[..]).map(|lane| lane.ids.clone()).unwrap_or_default();
        prop_assert_eq!(ids, Vec::from(self.waiting.clone()));
        prop_assert_eq!(found.counter("g2"), i64::try_from(self.waiting.len()).unwrap());
        Ok(())
    }
}

#[test]
fn a_lane_is_a_queue_with_two_ends() {
    let ground = Ground::new();
    let result = TestRunner::new(cases(24)).run(&moves(), |moves| {
        ground.run(async |trial| {
            let mut lane = Lane::default();
            for step in &moves {
                lane.apply(&trial, step).await?;
            }
            Ok(())
        })
    });
    result.unwrap_or_else(|failure| panic!("{}", failure));
}
