//! THE TABLE of schedules: periodic jobs. A new one is an entry below.

use std::str::FromStr;

use bellwork_shared::ledger::NewJob;
use chrono::{DateTime, TimeDelta, Utc};

use crate::kinds::check_leaderboards::CheckLeaderboards;
use crate::kinds::close_stale_sessions::CloseStaleSessions;
use crate::kinds::discard_exports::DiscardExports;
use crate::kinds::prune_imports::PruneImports;
use crate::kinds::prune_leaderboards::PruneLeaderboards;
use crate::kinds::prune_ledger::PruneLedger;
use crate::kinds::prune_votes::PruneVotes;
use crate::kinds::review_votes::ReviewVotes;
use crate::submit::{Options, new_job};

/// A tick that is older was missed while nobody was there.
const LATE: TimeDelta = TimeDelta::seconds(60);

/// What happens to ticks that nobody was there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// The last of them fires, late.
    RunOnce,
    /// They are left out.
    Skip,
}

/// A periodic job.
#[derive(Debug)]
pub struct Schedule {
    /// Its stored name.
    pub name: &'static str,
    /// Second, minute, hour, day of month, month, day of week; UTC.
    pub cron: &'static str,
    /// What happens to missed ticks.
    pub missed: Missed,
    /// The job.
    pub job: fn() -> NewJob,
}

/// All schedules.
pub static ALL: &[Schedule] = &[
    Schedule {
        name: "prune_ledger",
        cron: "0 17 3 * * *",
        missed: Missed::RunOnce,
        job: || new_job(&PruneLedger {}, Options::default()),
    },
    Schedule {
        name: "prune_imports",
        cron: "0 47 3 * * *",
        missed: Missed::RunOnce,
        job: || new_job(&PruneImports {}, Options::default()),
    },
    Schedule {
        name: "prune_votes",
        cron: "0 27 3 * * *",
        missed: Missed::RunOnce,
        job: || new_job(&PruneVotes {}, Options::default()),
    },
    Schedule {
        name: "review_votes",
        cron: "30 * * * * *",
        missed: Missed::Skip,
        job: || new_job(&ReviewVotes {}, Options::default()),
    },
    Schedule {
        name: "close_stale_sessions",
        cron: "0 */10 * * * *",
        missed: Missed::Skip,
        job: || new_job(&CloseStaleSessions {}, Options::default()),
    },
    Schedule {
        name: "discard_exports",
        cron: "0 41 * * * *",
        missed: Missed::RunOnce,
        job: || new_job(&DiscardExports {}, Options::default()),
    },
    Schedule {
        name: "prune_leaderboards",
        cron: "0 37 3 * * *",
        missed: Missed::RunOnce,
        job: || new_job(&PruneLeaderboards {}, Options::default()),
    },
    Schedule {
        name: "check_leaderboards",
        cron: "0 7 4 * * *",
        missed: Missed::RunOnce,
        job: || new_job(&CheckLeaderboards {}, Options::default()),
    },
];

/// The schedule of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Schedule> {
    ALL.iter().find(|schedule| schedule.name == name)
}

impl Schedule {
    /// The first tick after `after`, if there is one.
    ///
    /// # Errors
    /// If the expression cannot be read.
    pub fn next_tick(&self, after: DateTime<Utc>) -> anyhow::Result<Option<DateTime<Utc>>> {
        Ok(cron::Schedule::from_str(self.cron)?.after(&after).next())
    }

    /// The last tick after `last` and at or before `now` that is to fire.
    ///
    /// # Errors
    /// If the expression cannot be read.
    pub fn due_tick(&self, last: DateTime<Utc>, now: DateTime<Utc>) -> anyhow::Result<Option<DateTime<Utc>>> {
        let cron = cron::Schedule::from_str(self.cron)?;
        let after = match self.missed {
            Missed::RunOnce => last,
            Missed::Skip => last.max(now - LATE),
        };
        Ok(cron.after(&after).take_while(|tick| *tick <= now).last())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn schedule(missed: Missed) -> Schedule {
        Schedule {
            name: "test",
            cron: "0 */10 * * * *",
            missed,
            job: || new_job(&CloseStaleSessions {}, Options::default()),
        }
    }

    #[test]
    fn every_expression_can_be_read() {
        for schedule in ALL {
            assert!(cron::Schedule::from_str(schedule.cron).is_ok(), "{}", schedule.name);
        }
    }

    #[test]
    fn missed_ticks_run_once_or_not_at_all() {
        let (last, now) = (at("2026-11-20T10:00:00Z"), at("2026-11-20T10:35:00Z"));
        let tick = |missed| schedule(missed).due_tick(last, now).unwrap();
        assert_eq!(tick(Missed::RunOnce), Some(at("2026-11-20T10:30:00Z")));
        assert_eq!(tick(Missed::Skip), None);
    }

    #[test]
    fn a_tick_fires_at_its_time_and_not_before() {
        let last = at("2026-11-20T10:00:00Z");
        let tick = |now| schedule(Missed::Skip).due_tick(last, at(now)).unwrap();
        assert_eq!(tick("2026-11-20T10:09:59Z"), None);
        assert_eq!(tick("2026-11-20T10:10:00Z"), Some(at("2026-11-20T10:10:00Z")));
    }
}
