//! How leases and jobs end, in plain memory.

use uuid::Uuid;

use super::model::{At, Model, SOME_DAY};
use crate::delivery::{DEATHS_OF_A_SUSPECT, Verdict};
use crate::inspector::Removal;
use crate::recovery::{DEATHS_ALLOWED, Recovered};

impl Model {
    fn end(&mut self, id: Uuid) {
        let job = self.jobs.remove(&id).unwrap();
        self.cancelling.remove(&id);
        if job.at != At::Dead {
            self.let_go(&job.job);
        }
    }

    fn die(&mut self, id: Uuid) {
        self.cancelling.remove(&id);
        let job = self.jobs.get_mut(&id).unwrap();
        job.at = At::Dead;
        let job = job.job.clone();
        self.let_go(&job);
    }

    /// Whether this is the lease of the job.
    pub(super) fn holds(&self, id: Uuid, lease: &[u8]) -> bool {
        self.jobs.get(&id).is_some_and(|job| matches!(&job.at, At::Leased(held) if held == lease))
    }

    /// What the scripts answer for one settlement.
    pub(super) fn settle(&mut self, id: Uuid, lease: &[u8], verdict: &Verdict) -> char {
        if !self.holds(id, lease) {
            return '0';
        }
        let cancelled = self.cancelling.contains(&id);
        match verdict {
            Verdict::Complete => self.end(id),
            Verdict::Bury(_) => self.die(id),
            _ if cancelled => {
                self.end(id);
                return '2';
            }
            _ => self.give_back(id, verdict),
        }
        '1'
    }

    fn give_back(&mut self, id: Uuid, verdict: &Verdict) {
        let first = self.first;
        let job = self.jobs.get_mut(&id).unwrap();
        match verdict {
            Verdict::Retry(_) => job.marks.failures += 1,
            _ => job.marks.releases += 1,
        }
        match verdict {
            Verdict::Release => (job.at, job.order) = (At::Ready, first),
            Verdict::Unreadable(needs) => job.at = At::Newer(needs.clone()),
            _ => job.at = At::Scheduled(SOME_DAY),
        }
    }

    /// `when_running` is what is said of a running job, and done with it.
    pub(super) fn remove(&mut self, id: Uuid, when_running: Removal) -> Removal {
        match self.jobs.get(&id).map(|job| job.at.clone()) {
            None => return Removal::Absent,
            Some(At::Leased(_)) => {
                self.cancelling.extend((when_running == Removal::Ending).then_some(id));
                return when_running;
            }
            Some(At::Ready) => *self.stale.entry(id).or_default() += 1,
            Some(At::Batch(batch)) => self.batches.get_mut(&batch).unwrap().callback = None,
            Some(_) => {}
        }
        self.end(id);
        Removal::Removed
    }

    /// Takes back what processes had that are dead.
    pub(super) fn recover(&mut self, is_dead: impl Fn(&str) -> bool) -> Recovered {
        let mut recovered = Recovered::default();
        let ids: Vec<Uuid> = self.jobs.keys().copied().collect();
        for id in ids {
            let first = self.first;
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            let At::Leased(lease) = &job.at else { continue };
            if !is_dead(std::str::from_utf8(&lease[1..9]).unwrap()) {
                continue;
            }
            if self.cancelling.contains(&id) {
                self.end(id);
                continue;
            }
            job.marks.deaths += 1;
            if job.marks.deaths >= DEATHS_ALLOWED {
                recovered.buried += 1;
                self.die(id);
                continue;
            }
            recovered.taken += 1;
            let suspect = job.marks.deaths >= DEATHS_OF_A_SUSPECT;
            (job.at, job.order) = (if suspect { At::Suspect } else { At::Ready }, first);
        }
        recovered
    }
}
