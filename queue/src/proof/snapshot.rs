//! All that Redis holds of a queue, decoded.

use std::collections::{BTreeMap, BTreeSet};

use redis::{FromRedisValue, Value};
use uuid::Uuid;

use super::trial::Trial;

pub(super) type Bytes = Vec<u8>;
pub(super) type Hash = BTreeMap<Bytes, Bytes>;

/// The lane of a group in a priority.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lane {
    pub(super) ids: Vec<Uuid>,
    /// Chunks that are missing, or of a wrong size.
    pub(super) torn: bool,
}

/// One look at all keys.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Snapshot {
    pub(super) jobs: BTreeMap<Uuid, Bytes>,
    /// Priority, id and group.
    pub(super) scheduled: Vec<(Bytes, f64)>,
    /// Without the sentinel.
    pub(super) leases: BTreeMap<Uuid, Bytes>,
    pub(super) marks: BTreeMap<Uuid, Bytes>,
    pub(super) dead: BTreeMap<Uuid, Bytes>,
    pub(super) stale: BTreeMap<Uuid, i64>,
    pub(super) suspects: Vec<Bytes>,
    pub(super) state: Hash,
    /// By priority and group.
    pub(super) lanes: BTreeMap<Bytes, Lane>,
    /// Fields of chunks that belong to no lane.
    pub(super) orphans: Vec<Bytes>,
    pub(super) policies: Hash,
    pub(super) running: BTreeMap<Bytes, i64>,
    pub(super) parked: Vec<(Bytes, f64)>,
    pub(super) unique: Hash,
    pub(super) unique_until: BTreeMap<Bytes, i64>,
    pub(super) batches: Hash,
    pub(super) callbacks: Hash,
    pub(super) progress: BTreeMap<Uuid, Bytes>,
    pub(super) newer: BTreeMap<Uuid, Bytes>,
    pub(super) cancelling: BTreeSet<Uuid>,
    pub(super) ready: [Vec<Uuid>; 4],
    /// Priority and group.
    pub(super) turns: BTreeSet<Bytes>,
}

impl Snapshot {
    pub(super) async fn of(trial: &Trial) -> Self {
        let keys = &trial.keys;
        let mut look = redis::pipe();
        look.atomic();
        for key in [&keys.jobs, &keys.leases, &keys.marks, &keys.dead, &keys.stale, &keys.state, &keys.lanes] {
            look.hgetall(&**key);
        }
        for key in [&keys.policies, &keys.running, &keys.unique, &keys.batches, &keys.callbacks, &keys.progress] {
            look.hgetall(&**key);
        }
        look.hgetall(&*keys.newer).smembers(&*keys.cancelling).lrange(&*keys.suspects, 0, -1);
        for key in [&keys.scheduled, &keys.parked, &keys.unique_until] {
            look.zrange_withscores(&**key, 0, -1);
        }
        keys.ready.iter().for_each(|key| {
            look.lrange(&**key, 0, -1);
        });
        keys.turns.iter().for_each(|key| {
            look.zrange(&**key, 0, -1);
        });
        let answers: Vec<Value> = look.query_async(&mut trial.redis.clone()).await.unwrap();
        Self::read(&mut answers.into_iter())
    }

    fn read(answers: &mut impl Iterator<Item = Value>) -> Self {
        let [jobs, mut leases, marks, dead] = [(); 4].map(|()| next::<Hash>(answers));
        leases.remove(&b"@"[..]);
        let stale: BTreeMap<Bytes, i64> = next(answers);
        let state = next(answers);
        let (lanes, orphans) = read_lanes(next(answers));
        let (policies, running, unique, batches) = (next(answers), next(answers), next(answers), next(answers));
        let (callbacks, progress, newer) = (next(answers), next::<Hash>(answers), next::<Hash>(answers));
        let cancelling: Vec<Bytes> = next(answers);
        let suspects = next(answers);
        let (scheduled, parked, unique_until) = (next(answers), next(answers), next::<Vec<(Bytes, i64)>>(answers));
        let ready = [(); 4].map(|()| next::<Vec<Bytes>>(answers).iter().map(|id| uuid(id)).collect());
        let turns = [b'0', b'1', b'2', b'3'].map(|priority| {
            next::<Vec<Bytes>>(answers).into_iter().map(move |group| [&[priority][..], &group].concat())
        });
        Self {
            jobs: by_id(jobs),
            leases: by_id(leases),
            marks: by_id(marks),
            dead: by_id(dead),
            stale: stale.into_iter().map(|(id, count)| (uuid(&id), count)).collect(),
            progress: by_id(progress),
            newer: by_id(newer),
            cancelling: cancelling.iter().map(|id| uuid(id)).collect(),
            unique_until: unique_until.into_iter().collect(),
            turns: turns.into_iter().flatten().collect(),
            scheduled,
            suspects,
            state,
            lanes,
            orphans,
            policies,
            running,
            parked,
            unique,
            batches,
            callbacks,
            ready,
        }
    }

    /// A number of the state; none is zero.
    pub(super) fn counter(&self, name: &str) -> i64 {
        self.state.get(name.as_bytes()).map_or(0, |count| number(count))
    }
}

fn next<T: FromRedisValue>(answers: &mut impl Iterator<Item = Value>) -> T {
    redis::from_redis_value(answers.next().unwrap()).unwrap()
}

fn by_id(hash: Hash) -> BTreeMap<Uuid, Bytes> {
    hash.into_iter().map(|(id, value)| (uuid(&id), value)).collect()
}

pub(super) fn uuid(bytes: &[u8]) -> Uuid {
    Uuid::from_slice(bytes).unwrap()
}

/// The id of a member that has its priority before it.
pub(super) fn id_of(member: &[u8]) -> Uuid {
    uuid(&member[1..17])
}

pub(super) fn number(text: &[u8]) -> i64 {
    std::str::from_utf8(text).unwrap().parse().unwrap()
}

/// Puts the chunks of each lane together.
fn read_lanes(mut fields: Hash) -> (BTreeMap<Bytes, Lane>, Vec<Bytes>) {
    let heads: Vec<Bytes> = fields.keys().filter(|field| !field.contains(&0)).cloned().collect();
    let mut lanes = BTreeMap::new();
    for place in heads {
        let held = fields.remove(&place).unwrap();
        let (numbers, head) = held.split_at(8);
        let [first, last] = [0, 4].map(|at| i32::from_be_bytes(numbers[at..at + 4].try_into().unwrap()));
        let mut ids = head.to_vec();
        let mut torn = head.is_empty();
        for chunk in first + 1..=last {
            let part = fields.remove(&[&place, &b"\0"[..], chunk.to_string().as_bytes()].concat());
            torn |= part.as_ref().is_none_or(Vec::is_empty);
            ids.extend(part.unwrap_or_default());
        }
        torn |= ids.len() % 16 != 0;
        lanes.insert(place, Lane { ids: ids.chunks_exact(16).map(uuid).collect(), torn });
    }
    (lanes, fields.into_keys().collect())
}
