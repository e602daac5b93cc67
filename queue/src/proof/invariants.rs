//! What must hold of a queue at any time.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use uuid::Uuid;

use super::Checked;
use super::machine::Machine;
use super::model::{At, Job, Model};
use super::snapshot::{Bytes, Hash, Snapshot, id_of, number};
use super::trial::QUEUE;
use crate::inspector::Place;
use crate::job::{Options, batch_name, read_stored};

/// How far the counter of an open batch stands above its members: see `scripts/batch.lua`.
const OPEN: i64 = 1 << 40;

impl Snapshot {
    /// What holds whatever has happened: the parts of the queue fit each other.
    pub(super) fn is_sound(&self) -> Checked {
        self.each_job_is_in_one_place()?;
        self.nothing_of_a_finished_job_stays()?;
        self.counters_are_right()?;
        self.lanes_have_turns_or_are_parked()?;
        self.keys_and_batches_are_held_by_jobs()
    }

    /// Where `id` stands; entries of lines count one by one.
    fn places(&self, id: Uuid) -> Vec<Place> {
        let entries = self.entries(id) - self.stale.get(&id).copied().unwrap_or(0);
        let count = |place: Place, count: usize| std::iter::repeat_n(place, count);
        let of = |members: &mut dyn Iterator<Item = &Bytes>| members.filter(|member| id_of(member) == id).count();
        let mut places: Vec<_> = count(Place::Ready, usize::try_from(entries).unwrap_or(99)).collect();
        places.extend(count(Place::Scheduled, of(&mut self.scheduled.iter().map(|(member, _)| member))));
        places.extend(count(Place::Suspect, of(&mut self.suspects.iter())));
        places.extend(count(Place::AwaitsBatch, of(&mut self.callbacks.values())));
        places.extend(self.leases.contains_key(&id).then_some(Place::Leased));
        places.extend(self.dead.contains_key(&id).then_some(Place::Dead));
        places.extend(self.newer.contains_key(&id).then_some(Place::AwaitsNewer));
        places
    }

    /// How many entries of lists and lanes have this id.
    fn entries(&self, id: Uuid) -> i64 {
        let lines = self.ready.iter().chain(self.lanes.values().map(|lane| &lane.ids));
        i64::try_from(lines.flatten().filter(|entry| **entry == id).count()).unwrap()
    }

    fn each_job_is_in_one_place(&self) -> Checked {
        for id in self.jobs.keys() {
            let places = self.places(*id);
            prop_assert!(places.len() == 1, "{} is in {:?}", id, places);
        }
        Ok(())
    }

    fn nothing_of_a_finished_job_stays(&self) -> Checked {
        let members =
            self.scheduled.iter().map(|(member, _)| member).chain(&self.suspects).chain(self.callbacks.values());
        let besides = self.leases.keys().chain(self.marks.keys()).chain(self.dead.keys()).chain(self.progress.keys());
        let ids = besides
            .chain(self.newer.keys())
            .chain(&self.cancelling)
            .copied()
            .chain(members.map(|member| id_of(member)));
        for id in ids {
            prop_assert!(self.jobs.contains_key(&id), "something of {} stays", id);
        }
        for id in &self.cancelling {
            prop_assert!(self.leases.contains_key(id), "{} is to end and does not run", id);
        }
        for (id, count) in &self.stale {
            let live = i64::from(self.jobs.contains_key(id) && self.places(*id) == [Place::Ready]);
            prop_assert!(*count > 0 && self.entries(*id) == count + live, "{} has {} stale entries", id, count);
        }
        for id in self.ready.iter().chain(self.lanes.values().map(|lane| &lane.ids)).flatten() {
            let known = self.jobs.contains_key(id) || self.stale.contains_key(id);
            prop_assert!(known, "an entry of {} stays, and is not known as stale", id);
        }
        Ok(())
    }

    fn counters_are_right(&self) -> Checked {
        for priority in 0..4_u8 {
            let of = self.lanes.iter().filter(|(place, _)| place[0] == b'0' + priority).map(|(_, lane)| lane.ids.len());
            let (counted, held) = (self.counter(&format!("g{priority}")), of.sum::<usize>());
            prop_assert_eq!(counted, i64::try_from(held).unwrap(), "jobs in the lanes of priority {}", priority);
        }
        prop_assert_eq!(self.counter("stale"), self.stale.values().sum::<i64>());
        let mut running = BTreeMap::new();
        for id in self.leases.keys() {
            if let Some(group) = self.options(*id).group {
                *running.entry(group.into_bytes()).or_insert(0) += 1;
            }
        }
        prop_assert_eq!(&running, &self.running);
        Ok(())
    }

    fn options(&self, id: Uuid) -> Options {
        read_stored(self.jobs[&id].clone().into()).0
    }

    pub(super) fn lanes_have_turns_or_are_parked(&self) -> Checked {
        prop_assert!(self.orphans.is_empty(), "chunks without a lane: {:?}", self.orphans);
        let parked: BTreeSet<&Bytes> = self.parked.iter().map(|(place, _)| place).collect();
        for (place, lane) in &self.lanes {
            prop_assert!(!lane.torn && !lane.ids.is_empty(), "a torn lane: {:?}", lane);
            let (turn, parked) = (self.turns.contains(place), parked.contains(place));
            prop_assert!(turn != parked, "lane {:?}: has turns {}, is parked {}", place, turn, parked);
        }
        let groups = self.turns.iter().filter(|place| place.len() > 1);
        for place in groups.chain(parked) {
            prop_assert!(self.lanes.contains_key(place), "{:?} has turns or is parked, and has no lane", place);
        }
        for (place, until) in &self.parked {
            // Only the end of a lease of its group takes it out again.
            let woken = until.is_finite() || self.running.contains_key(&place[1..]);
            prop_assert!(woken, "lane {:?} is parked for ever", place);
        }
        Ok(())
    }

    fn keys_and_batches_are_held_by_jobs(&self) -> Checked {
        for (key, holder) in &self.unique {
            let until = (holder.len() > 16).then(|| number(&holder[16..]));
            prop_assert_eq!(until.as_ref(), self.unique_until.get(key), "key {:?}", key);
            let id = super::snapshot::uuid(&holder[..16]);
            let lives = self.jobs.contains_key(&id) && !self.dead.contains_key(&id);
            let held = lives && self.options(id).unique.is_some_and(|own| own.as_bytes() == key);
            prop_assert!(held || until.is_some(), "key {:?} is held by no living job", key);
        }
        let mut members: BTreeMap<Bytes, i64> = BTreeMap::new();
        for id in self.jobs.keys().filter(|id| !self.dead.contains_key(id)) {
            if let Some(batch) = self.options(*id).batch {
                *members.entry(batch.into_bytes()).or_default() += 1;
            }
        }
        for (batch, count) in self.batches.iter().filter(|(batch, _)| batch.len() > 16) {
            let (count, members) = (number(count), members.get(batch).copied().unwrap_or(0));
            let is_open = count > OPEN / 2;
            prop_assert_eq!(count - if is_open { OPEN } else { 0 }, members, "members of {:?}", batch);
            prop_assert!(is_open || members > 0, "batch {:?} has ended and is still there", batch);
        }
        for batch in self.callbacks.keys() {
            prop_assert!(self.batches.contains_key(batch), "a callback waits for no batch");
        }
        let waiting = self.callbacks.iter().map(|(batch, callback)| (callback[1..17].to_vec(), batch.clone()));
        let noted = self.batches.iter().filter(|(field, _)| field.len() == 16);
        let noted: Hash = noted.map(|(id, batch)| (id.clone(), batch.clone())).collect();
        prop_assert_eq!(noted, waiting.collect::<Hash>());
        Ok(())
    }

    /// The queue holds what the model says.
    pub(super) fn agrees_with(&self, model: &Model) -> Checked {
        prop_assert_eq!(self.jobs.keys().collect::<Vec<_>>(), model.jobs.keys().collect::<Vec<_>>(), "jobs");
        for (id, job) in &model.jobs {
            prop_assert_eq!(self.places(*id), vec![place_of(job)], "place of {}", id);
            let payload = read_stored(self.jobs[id].clone().into()).1;
            prop_assert_eq!(&payload, &job.job.payload);
            let marks = self.marks.get(id).map_or(String::new(), |marks| String::from_utf8(marks.clone()).unwrap());
            prop_assert_eq!(crate::delivery::Marks::parse(&marks), Some(job.marks), "marks of {}", id);
            if let At::Leased(lease) = &job.at {
                prop_assert_eq!(&self.leases[id], lease, "lease of {}", id);
            }
        }
        for (place, _) in self.parked.iter().filter(|(_, until)| until.is_infinite()) {
            let group = std::str::from_utf8(&place[1..]).unwrap();
            let full = model.limit_of(group).is_some_and(|most| model.running_of(group) >= most);
            prop_assert!(full, "group {} waits for the end of a lease, and might run", group);
        }
        prop_assert_eq!(&self.stale, &model.stale);
        prop_assert_eq!(&self.cancelling, &model.cancelling);
        self.agrees_on_holders(model)
    }

    fn agrees_on_holders(&self, model: &Model) -> Checked {
        let holders: BTreeMap<_, _> =
            self.unique.iter().map(|(key, held)| (key.clone(), held[..16].to_vec())).collect();
        let expected =
            model.unique.iter().map(|(key, holder)| (key.clone().into_bytes(), holder.id.as_bytes().to_vec()));
        prop_assert_eq!(holders, expected.collect::<BTreeMap<_, _>>());
        let batches = model.batches.iter().map(|(batch, held)| {
            let count = held.members + if held.open { OPEN } else { 0 };
            (batch_name(*batch).into_bytes(), count.to_string().into_bytes())
        });
        let counted = self.batches.iter().filter(|(batch, _)| batch.len() > 16);
        let counted: Hash = counted.map(|(batch, count)| (batch.clone(), count.clone())).collect();
        prop_assert_eq!(counted, batches.collect::<Hash>());
        Ok(())
    }
}

impl Machine {
    /// The counts, and the view of one job after the other.
    pub(super) async fn look(&self) -> Checked {
        let inspector = self.trial.engine.inspector();
        let counts = inspector.counts(QUEUE).await.unwrap();
        let of = |place: Place| self.model.jobs.values().filter(|job| place_of(job) == place).count() as u64;
        prop_assert_eq!(counts.ready_total(), of(Place::Ready) + of(Place::Suspect));
        prop_assert_eq!((counts.suspects, counts.scheduled), (of(Place::Suspect), of(Place::Scheduled)));
        prop_assert_eq!((counts.running, counts.dead), (of(Place::Leased), of(Place::Dead)));
        prop_assert_eq!((counts.awaits_newer, counts.awaits_batch), (of(Place::AwaitsNewer), of(Place::AwaitsBatch)));
        prop_assert_eq!(counts.paused, self.model.paused);
        if let Some((id, job)) = self.model.jobs.iter().cycle().nth(self.steps) {
            let view = inspector.explain(QUEUE, *id).await.unwrap();
            prop_assert_eq!(view.map(|view| view.place), Some(place_of(job)), "as explained");
        }
        Ok(())
    }
}

fn place_of(job: &Job) -> Place {
    match job.at {
        At::Scheduled(_) => Place::Scheduled,
        At::Ready => Place::Ready,
        At::Suspect => Place::Suspect,
        At::Leased(_) => Place::Leased,
        At::Dead => Place::Dead,
        At::Newer(_) => Place::AwaitsNewer,
        At::Batch(_) => Place::AwaitsBatch,
    }
}
