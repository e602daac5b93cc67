//! What steers a queue, and what happens by itself as time passes.

use proptest::prelude::*;

use super::Checked;
use super::machine::Machine;
use super::model::At;
use super::trial::QUEUE;
use crate::limits::{GroupLimits, Limits};
use crate::scripts;
use crate::upkeep::Upkeep;

impl Machine {
    pub(super) async fn pause(&mut self) -> Checked {
        self.model.paused = true;
        self.trial.engine.inspector().pause(QUEUE).await.unwrap();
        Ok(())
    }

    pub(super) async fn resume(&mut self) -> Checked {
        self.model.paused = false;
        self.trial.engine.inspector().resume(QUEUE).await.unwrap();
        Ok(())
    }

    pub(super) async fn limit(&mut self, limits: &Limits) -> Checked {
        self.model.limits = limits.clone();
        self.trial.engine.inspector().limit(QUEUE, limits).await.unwrap();
        Ok(())
    }

    pub(super) async fn limit_group(&mut self, group: &str, policy: Option<&GroupLimits>) -> Checked {
        self.model.policies.remove(group);
        self.model.policies.extend(policy.map(|policy| (group.to_owned(), policy.clone())));
        self.trial.engine.inspector().limit_group(QUEUE, group, policy).await.unwrap();
        Ok(())
    }

    pub(super) async fn beat(&mut self, process: &str) -> Checked {
        self.model.registered.insert(process.to_owned());
        let mut call = scripts::BEAT.on(&self.trial.keys);
        call.arg(process).arg("{}").arg("-".repeat(65));
        let () = self.trial.call(&call).await;
        Ok(())
    }

    pub(super) async fn leave(&mut self, process: &str) -> Checked {
        let mut call = scripts::LEAVE.on(&self.trial.keys);
        let left: u8 = self.trial.call(call.arg(process).arg("")).await;
        prop_assert_eq!(left == 1, self.model.registered.remove(process));
        Ok(())
    }

    pub(super) async fn readmit(&mut self, readable: &[String]) -> Checked {
        let mut upkeep = Upkeep::new(&self.trial.engine, QUEUE).unwrap().reading(readable.to_vec());
        prop_assert_eq!(upkeep.readmit().await.unwrap(), self.model.readmit(readable));
        Ok(())
    }

    pub(super) async fn sweep(&mut self) -> Checked {
        Upkeep::new(&self.trial.engine, QUEUE).unwrap().forget_expired().await.unwrap();
        self.model.unique.retain(|_, holder| !holder.expired);
        Ok(())
    }

    /// As if all scheduled jobs had become due.
    pub(super) async fn time_passes(&mut self, direction: i64) -> Checked {
        let members: Vec<Vec<u8>> =
            self.trial.query(redis::cmd("ZRANGE").arg(&*self.trial.keys.scheduled).arg(0).arg(-1)).await;
        for member in members {
            let due = 5 + direction * i64::from(member[1] % 3);
            let mut set = redis::cmd("ZADD");
            let () = self.trial.query(set.arg(&*self.trial.keys.scheduled).arg("XX").arg(due).arg(&member)).await;
            let job = self.model.jobs.get_mut(&super::snapshot::id_of(&member));
            prop_assert!(job.as_ref().is_some_and(|job| matches!(job.at, At::Scheduled(_))));
            job.unwrap().at = At::Scheduled(due);
        }
        Ok(())
    }

    pub(super) async fn key_expires(&mut self, key: &str) -> Checked {
        let Some(holder) = self.model.unique.get_mut(key).filter(|holder| holder.for_a_time) else { return Ok(()) };
        holder.expired = true;
        let held = [holder.id.as_bytes(), &b"1"[..]].concat();
        let mut expire = redis::pipe();
        expire.hset(&*self.trial.keys.unique, key, held).zadd(&*self.trial.keys.unique_until, key, 1);
        let () = expire.query_async(&mut self.trial.redis.clone()).await.unwrap();
        Ok(())
    }
}
