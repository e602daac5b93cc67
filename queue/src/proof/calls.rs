//! What a caller of the Rust API may send, of any value.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use uuid::Uuid;

use super::trial::FAR;
use crate::delivery::Verdict;
use crate::job::{Conflict, Hold, NewJob, Unique};
use crate::limits::{GroupLimits, Limits, Order, Rate};
use crate::priority::Priority;

/// One call.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Push(Vec<NewJob>),
    Claim(usize, usize),
    Settle(Index, Verdict),
    Progress(Index, String),
    Remove(Uuid),
    Recover(String, i64),
    Open(Uuid, NewJob),
    Close(Uuid),
    Limit(Limits),
    LimitGroup(String, GroupLimits),
    Readmit(Vec<String>),
    Sweep,
}

pub(super) fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        4 => vec(job(), 1..20).prop_map(Call::Push),
        4 => (1..=200_usize, 0..=200_usize).prop_map(|(wanted, promotions)| Call::Claim(wanted, promotions)),
        6 => (any::<Index>(), verdict()).prop_map(|(index, verdict)| Call::Settle(index, verdict)),
        1 => (any::<Index>(), "\\PC{0,20}").prop_map(|(index, note)| Call::Progress(index, note)),
        2 => id().prop_map(Call::Remove),
        1 => (".{0,12}", any::<i64>()).prop_map(|(process, beat)| Call::Recover(process, beat)),
        1 => (id(), job()).prop_map(|(batch, job)| Call::Open(batch, job)),
        1 => id().prop_map(Call::Close),
        1 => limits().prop_map(Call::Limit),
        1 => (name(), policy()).prop_map(|(group, policy)| Call::LimitGroup(group, policy)),
        1 => vec(".{0,3}", 0..4).prop_map(Call::Readmit),
        1 => Just(Call::Sweep),
    ]
}

fn id() -> impl Strategy<Value = Uuid> {
    prop_oneof![3 => (0..20_u128).prop_map(Uuid::from_u128), 1 => any::<u128>().prop_map(Uuid::from_u128)]
}

/// A group or a key: some often, others of any characters.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![select(&["a", "b", "0"][..]).prop_map(str::to_owned), "[^\0{}]{1,25}"]
}

fn job() -> impl Strategy<Value = NewJob> {
    let time = || proptest::option::weighted(0.3, prop_oneof![0..10_i64, 0..*FAR]);
    let hold = prop_oneof![
        Just(Hold::UntilDone),
        (1..u64::from(u32::MAX)).prop_map(|ms| Hold::For(Duration::from_millis(ms)))
    ];
    let conflict = select(&[Conflict::Keep, Conflict::Replace, Conflict::PushBack][..]);
    let unique = (name(), hold, conflict).prop_map(|(key, hold, conflict)| Unique { key, hold, conflict });
    let names = (proptest::option::of(name()), proptest::option::of(unique), proptest::option::of(id()));
    let plain = (id(), select(&Priority::ALL[..]), vec(any::<u8>(), 0..50), time(), time());
    (plain, names).prop_filter_map("refused", |((id, priority, payload, due, deadline), (group, unique, batch))| {
        let new = NewJob { priority, due, group, deadline, unique, batch, ..NewJob::new(id, payload) };
        new.check().is_ok().then_some(new)
    })
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let delay = || {
        prop_oneof![
            Just(Duration::MAX),
            Just(Duration::ZERO),
            any::<u32>().prop_map(|ms| Duration::from_millis(ms.into()))
        ]
    };
    prop_oneof![
        Just(Verdict::Complete),
        delay().prop_map(Verdict::Retry),
        delay().prop_map(Verdict::Snooze),
        Just(Verdict::Release),
        ".{0,9}".prop_map(Verdict::Unreadable),
        ".{0,9}".prop_map(Verdict::Bury),
    ]
}

fn rate() -> impl Strategy<Value = Option<Rate>> {
    let rate = (1..1000_u32, 1..86_400_u64, prop_oneof![1..5_u32, Just(u32::MAX)]);
    proptest::option::of(rate.prop_map(|(jobs, seconds, burst)| Rate {
        jobs,
        per: Duration::from_secs(seconds),
        burst,
    }))
}

fn most() -> impl Strategy<Value = Option<u32>> {
    proptest::option::of(prop_oneof![1..5_u32, Just(u32::MAX)])
}

fn limits() -> impl Strategy<Value = Limits> {
    let weights = (1..=100_u32, 1..=100_u32, 1..=100_u32);
    let order = prop_oneof![
        Just(Order::Strict),
        weights.prop_map(|(high, normal, low)| Order::Weighted { high, normal, low }),
    ];
    (most(), rate(), most(), rate(), order).prop_map(|(concurrency, rate, group_concurrency, group_rate, order)| {
        Limits { concurrency, rate, group_concurrency, group_rate, order }
    })
}

fn policy() -> impl Strategy<Value = GroupLimits> {
    (1..=100_u32, most(), rate()).prop_map(|(weight, concurrency, rate)| GroupLimits { weight, concurrency, rate })
}
