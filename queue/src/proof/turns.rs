//! The turns of groups: whoever always has jobs waiting gets his share, by weight, in any stretch of time.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use uuid::Uuid;

use super::claims::Answer;
use super::trial::{Ground, QUEUE, Trial};
use super::{Checked, cases};
use crate::job::{NewJob, read_stored};
use crate::limits::GroupLimits;
use crate::scripts;

/// Jobs of each group: more than are claimed of it.
const JOBS: u128 = 500;

#[derive(Clone, Debug)]
struct Contest {
    /// The weight of each group, and before which claim its jobs come. The last group is that of jobs without a group.
    groups: Vec<(u32, usize)>,
    /// How many jobs each claim asks for.
    claims: Vec<usize>,
}

impl Contest {
    fn name(&self, group: usize) -> Option<String> {
        (group + 1 < self.groups.len()).then(|| format!("group {group}"))
    }

    fn weight(&self, group: usize) -> u32 {
        if group + 1 < self.groups.len() { self.groups[group].0 } else { 1 }
    }
}

fn contest() -> impl Strategy<Value = Contest> {
    let groups = proptest::collection::vec((1..=5_u32, 0..4_usize), 2..5);
    let claims =
        prop_oneof![proptest::collection::vec(1..4_usize, 20..60), proptest::collection::vec(1..40_usize, 5..12),];
    (groups, claims).prop_map(|(groups, claims)| Contest { groups, claims })
}

/// Counts what each group has got after each claim.
async fn shares(trial: &Trial, contest: &Contest) -> Vec<Vec<f64>> {
    let inspector = trial.engine.inspector();
    for group in 0..contest.groups.len() - 1 {
        let limits = GroupLimits { weight: contest.weight(group), concurrency: None, rate: None };
        inspector.limit_group(QUEUE, &contest.name(group).unwrap(), Some(&limits)).await.unwrap();
    }
    let mut got: BTreeMap<Option<String>, u32> = BTreeMap::new();
    let mut history = Vec::new();
    for (number, wanted) in contest.claims.iter().enumerate() {
        for group in (0..contest.groups.len()).filter(|group| contest.groups[*group].1 == number) {
            push(trial, contest, group).await;
        }
        let mut claim = scripts::CLAIM.on(&trial.keys);
        claim.arg("aaaaaaaa").arg(*wanted).arg(1).arg(0).arg(2);
        let answer: Answer = trial.call(&claim).await;
        for stored in answer.8 {
            *got.entry(read_stored(stored.into()).0.group).or_default() += 1;
        }
        let share = |group| f64::from(got.get(&contest.name(group)).copied().unwrap_or(0));
        history.push((0..contest.groups.len()).map(|group| share(group) / f64::from(contest.weight(group))).collect());
    }
    history
}

async fn push(trial: &Trial, contest: &Contest, group: usize) {
    let job = |number: u128| {
        let id = Uuid::from_u128(number + JOBS * group as u128);
        NewJob { group: contest.name(group), ..NewJob::new(id, "") }
    };
    trial.engine.producer().push(QUEUE, (0..JOBS).map(job).collect()).await.unwrap();
}

/// Between any two claims, both groups having jobs all the while, what one gets before the other is two rounds at the most,
/// a round being as many jobs as its weight.
fn is_fair(contest: &Contest, history: &[Vec<f64>]) -> Checked {
    for one in 0..contest.groups.len() {
        for other in 0..one {
            let both = contest.groups[one].1.max(contest.groups[other].1);
            let lead = history.iter().skip(both).map(|shares| shares[one] - shares[other]);
            let (least, most) =
                lead.fold((f64::MAX, f64::MIN), |(least, most), lead| (least.min(lead), most.max(lead)));
            prop_assert!(most - least <= ROUNDS, "groups {} and {}: {}", one, other, most - least);
        }
    }
    Ok(())
}

/// Two, and what sums of fractions are off.
const ROUNDS: f64 = 2.000_001;

#[test]
fn groups_share_by_weight_in_any_stretch_of_time() {
    let ground = Ground::new();
    let result = TestRunner::new(cases(24)).run(&contest(), |contest| {
        let history = ground.run(async |trial| shares(&trial, &contest).await);
        is_fair(&contest, &history)
    });
    result.unwrap_or_else(|failure| panic!("{}", failure));
}
