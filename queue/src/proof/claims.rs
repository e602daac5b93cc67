//! Whether the queue may answer a claim as it did. The model does not foretell which jobs a claim gets: it says which ones
//! may come, and which must not be left.

use std::collections::BTreeSet;

use proptest::prelude::*;
use uuid::Uuid;

use super::Checked;
use super::model::{At, Job, Model};
use super::snapshot::{Snapshot, number};
use crate::delivery::{DEATHS_OF_A_SUSPECT, Marks};
use crate::limits::Order;
use crate::priority::Priority;

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) process: usize,
    pub(super) wanted: usize,
    pub(super) promotions: usize,
    pub(super) suspect: bool,
}

/// What is answered, as `scripts/claim.lua` says.
pub(super) type Answer = (i64, i64, usize, usize, u8, Vec<Vec<u8>>, Vec<Vec<u8>>, Vec<String>, Vec<Vec<u8>>);

/// One answer, under judgement.
struct Judged<'a> {
    claim: &'a Claim,
    answer: &'a Answer,
    ids: Vec<Uuid>,
    /// The claimed jobs as they were before.
    before: Vec<Job>,
}

impl Model {
    /// Makes the first jobs ready that are due.
    fn promote(&mut self, most: usize) -> usize {
        let due = self.jobs.values().filter_map(|job| match job.at {
            At::Scheduled(due) if due < *super::trial::FAR => {
                let group = job.job.group.clone().unwrap_or_default();
                Some((due, job.line, job.job.id, group))
            }
            _ => None,
        });
        let mut due: Vec<_> = due.collect();
        due.sort();
        due.truncate(most);
        due.iter().for_each(|(_, _, id, _)| self.line_up(*id));
        due.len()
    }

    /// Takes over what a claim did, if it may.
    pub(super) fn claimed(&mut self, claim: &Claim, process: &str, answer: &Answer, found: &Snapshot) -> Checked {
        prop_assert_eq!(self.promote(claim.promotions), answer.2, "promoted");
        let ids: Vec<Uuid> = answer.5.iter().map(|id| Uuid::from_slice(id).unwrap()).collect();
        prop_assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "a job was given twice");
        let mut before = Vec::new();
        for (index, id) in ids.iter().enumerate() {
            let Some(job) = self.jobs.get(id).cloned() else {
                return Err(TestCaseError::fail(format!("{id} was claimed and is not there")));
            };
            self.lease(&job, process, answer, index)?;
            before.push(job);
        }
        let judged = Judged { claim, answer, ids, before };
        let expired = self.follow(found);
        self.check_limits(&judged)?;
        self.check_order(&judged)?;
        self.check_diligence(&judged)?;
        let last = self.last;
        expired.iter().for_each(|job| self.let_go(&job.job));
        self.tie(last);
        Ok(())
    }

    /// Takes over one lease.
    fn lease(&mut self, job: &Job, process: &str, answer: &Answer, index: usize) -> Checked {
        let (lease, marks, stored) = (&answer.6[index], &answer.7[index], &answer.8[index]);
        let allowed = matches!(job.at, At::Ready | At::Suspect);
        prop_assert!(allowed, "{} was claimed while it was {:?}", job.job.id, job.at);
        let from_line = job.at == At::Ready;
        prop_assert!(!(from_line && job.marks.deaths >= DEATHS_OF_A_SUSPECT), "a suspect was claimed like others");
        prop_assert!(job.job.deadline.is_none_or(|deadline| deadline >= *super::trial::FAR), "an expired job runs");
        prop_assert_eq!(Marks::parse(marks), Some(job.marks));
        prop_assert!(stored.ends_with(&job.job.payload), "another payload");
        let mut parts = lease.splitn(2, |byte| *byte == 0);
        let (head, options) = (parts.next().unwrap(), parts.next());
        let line = Priority::ALL[usize::from(head[0] - b'0')];
        prop_assert!(job.strayed || line == job.line, "claimed in another priority");
        prop_assert_eq!(&head[1..9], process.as_bytes());
        let token = u64::try_from(number(&head[9..])).unwrap();
        prop_assert!(token > self.token, "token {} after {}", token, self.token);
        self.token = token;
        prop_assert_eq!(options.map_or(0, <[u8]>::len), usize::from(stored[0]) * 256 + usize::from(stored[1]));
        let leased = self.jobs.get_mut(&job.job.id).unwrap();
        (leased.at, leased.line, leased.strayed) = (At::Leased(lease.clone()), line, false);
        Ok(())
    }

    /// What claims do beside leasing, and do not answer: they bury expired jobs, and put suspects aside that stood in lines.
    fn follow(&mut self, found: &Snapshot) -> Vec<Job> {
        self.stale.clone_from(&found.stale);
        let put_aside: BTreeSet<Uuid> = found.suspects.iter().map(|member| super::snapshot::id_of(member)).collect();
        let mut expired = Vec::new();
        for (id, job) in &mut self.jobs {
            let late = job.job.deadline.is_some_and(|deadline| deadline < *super::trial::FAR);
            if !matches!(job.at, At::Ready | At::Suspect) {
                continue;
            }
            if late && found.dead.contains_key(id) {
                job.at = At::Dead;
                expired.push(job.clone());
            } else if job.marks.deaths >= DEATHS_OF_A_SUSPECT && put_aside.contains(id) {
                job.at = At::Suspect;
            }
        }
        expired
    }

    /// Jobs that became ready since `last` did so in no certain order.
    pub(super) fn tie(&mut self, last: i64) {
        self.last = last + 1;
        let fresh = self.jobs.values_mut().filter(|job| job.at == At::Ready && job.order > last);
        fresh.for_each(|job| job.order = last + 1);
    }

    pub(super) fn running(&self) -> usize {
        self.jobs.values().filter(|job| matches!(job.at, At::Leased(_))).count()
    }

    pub(super) fn running_of(&self, group: &str) -> usize {
        let of_group = |job: &&Job| job.job.group.as_deref() == Some(group) && matches!(job.at, At::Leased(_));
        self.jobs.values().filter(of_group).count()
    }

    /// How many jobs of a group may run at a time.
    pub(super) fn limit_of(&self, group: &str) -> Option<usize> {
        let own = self.policies.get(group).and_then(|policy| policy.concurrency);
        own.or(self.limits.group_concurrency).map(|most| most as usize)
    }

    fn is_full(&self, group: Option<&str>) -> bool {
        group.is_some_and(|group| self.limit_of(group).is_some_and(|most| self.running_of(group) >= most))
    }

    fn check_limits(&self, judged: &Judged<'_>) -> Checked {
        let Judged { claim, answer, before, .. } = judged;
        prop_assert!(before.len() <= claim.wanted && answer.3 <= claim.wanted, "more than was wanted");
        prop_assert!(!self.paused || answer.3 == 0, "claimed while paused");
        let suspects = before.iter().filter(|job| job.at == At::Suspect).count();
        prop_assert!(suspects <= usize::from(claim.suspect), "{} suspects", suspects);
        let most = self.limits.concurrency.map_or(usize::MAX, |most| most as usize);
        prop_assert!(before.is_empty() || self.running() <= most, "the queue runs {} of {}", self.running(), most);
        // One that runs from the line of another group is not held up by its own.
        let stray = self.jobs.values().chain(before).any(|job| job.strayed);
        for group in before.iter().filter_map(|job| job.job.group.as_deref()) {
            let (running, most) = (self.running_of(group), self.limit_of(group).unwrap_or(usize::MAX));
            prop_assert!(stray || running <= most, "group {} runs {} of {}", group, running, most);
        }
        Ok(())
    }

    /// Within a line the first comes first, and critical jobs come before others.
    fn check_order(&self, judged: &Judged<'_>) -> Checked {
        let line = |job: &Job| (job.line, job.job.group.clone());
        let left = |job: &&Job| job.at == At::Ready && !job.strayed && job.marks.deaths < DEATHS_OF_A_SUSPECT;
        let taken = judged.before.iter().filter(|job| job.at == At::Ready && !job.strayed);
        for (taken, other) in taken.flat_map(|taken| self.jobs.values().filter(left).map(move |other| (taken, other))) {
            let earlier = line(taken) == line(other) && other.order < taken.order;
            prop_assert!(!earlier, "{} was claimed before {}", taken.job.id, other.job.id);
            let strict = self.limits.order == Order::Strict || other.line == Priority::Critical;
            let above = strict && other.line < taken.line && !self.is_full(other.job.group.as_deref());
            // What was taken in vain counts for its group within one claim.
            let in_vain = judged.answer.3 > judged.ids.len();
            prop_assert!(in_vain || !above, "{} was passed over by {}", other.job.id, taken.job.id);
        }
        Ok(())
    }

    /// A claimer that goes to sleep now leaves nothing that may run.
    fn check_diligence(&self, judged: &Judged<'_>) -> Checked {
        let Judged { claim, answer: (now, again, promoted, taken, busy, ..), before, .. } = judged;
        let goes_on = *taken >= claim.wanted || *promoted >= claim.promotions || *busy == 1;
        if goes_on || self.paused || (0..=*now).contains(again) {
            return Ok(());
        }
        if self.limits.concurrency.is_some_and(|most| self.running() >= most as usize) {
            return Ok(());
        }
        let waits = |job: &&Job| !self.is_full(job.job.group.as_deref());
        let forgotten = self.jobs.values().filter(|job| job.at == At::Ready && !job.strayed).find(waits);
        prop_assert!(forgotten.is_none(), "forgotten: {:?}", forgotten);
        let mut suspects = self.jobs.values().filter(|job| job.at == At::Suspect).peekable();
        let may = claim.suspect && !before.iter().any(|job| job.at == At::Suspect) && suspects.peek().is_some();
        prop_assert!(!may || !suspects.all(|job| waits(&job)), "no suspect was claimed");
        Ok(())
    }
}
