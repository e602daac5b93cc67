//! What may happen to a queue, at random.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use uuid::Uuid;

use super::claims::Claim;
use super::trial::FAR;
use crate::delivery::Verdict;
use crate::job::{Conflict, Hold, NewJob, Past, Unique};
use crate::limits::{GroupLimits, Limits, Order};
use crate::priority::Priority;

/// Two that sort between, and one that looks like the sentinel of the leases.
pub(super) const PROCESSES: [&str; 3] = ["aaaaaaaa", "bbbbbbbb", "@@@@@@@@"];
/// Names that could be taken for something else: a priority, the next field.
const GROUPS: [&str; 4] = ["a", "1", "ü %d:", "a1"];
pub(super) const KEYS: [&str; 2] = ["k", "1"];
pub(super) const NEEDS: [&str; 2] = ["mail/2", "0"];
/// Bytes that scripts could take for text, numbers or ends.
const BYTES: [u8; 10] = [0, b'0', b'1', b'3', b'@', b'%', b'-', b':', 0xff, 0x80];

#[derive(Clone, Debug)]
pub(super) enum Transition {
    Push(Vec<NewJob>),
    Claim(Claim),
    /// Shows leases: of running jobs, or any that were ever given.
    Settle(Vec<(Shown, Verdict)>),
    Report(Shown),
    Remove(Uuid),
    Cancel(Uuid),
    /// These processes are dead; these have beaten since they were taken for dead.
    Recover {
        dead: Vec<usize>,
        awake: Vec<usize>,
        strangers: bool,
        page: usize,
    },
    Beat(usize),
    Leave(usize),
    Pause,
    Resume,
    Open(Uuid, NewJob),
    Close(Uuid),
    Limit(Limits),
    LimitGroup(String, Option<GroupLimits>),
    Readmit(Vec<String>),
    Sweep,
    /// Scheduled jobs are due from now on, in the order of their ids or against it.
    TimePasses(i64),
    /// The time is over for which a unique key is held.
    KeyExpires(String),
}

/// Which delivery a worker speaks of.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    Running(Index),
    Any(Index),
}

/// Up to `most` transitions.
pub(super) fn transitions(most: usize) -> impl Strategy<Value = Vec<Transition>> {
    proptest::collection::vec(transition(), 1..=most)
}

fn transition() -> impl Strategy<Value = Transition> {
    prop_oneof![
        20 => proptest::collection::vec(job(), 1..5).prop_map(Transition::Push),
        20 => claim(),
        20 => proptest::collection::vec((shown(), verdict()), 1..5).prop_map(Transition::Settle),
        2 => shown().prop_map(Transition::Report),
        4 => id().prop_map(Transition::Remove),
        4 => id().prop_map(Transition::Cancel),
        10 => recover(),
        2 => process().prop_map(Transition::Beat),
        2 => process().prop_map(Transition::Leave),
        1 => Just(Transition::Pause),
        3 => Just(Transition::Resume),
        4 => (batch(), job()).prop_map(|(batch, job)| Transition::Open(batch, NewJob { unique: None, due: None, ..job })),
        4 => batch().prop_map(Transition::Close),
        3 => limits().prop_map(Transition::Limit),
        3 => (select(&GROUPS[..]), proptest::option::of(policy()))
            .prop_map(|(group, policy)| Transition::LimitGroup(group.to_owned(), policy)),
        2 => proptest::sample::subsequence(&NEEDS[..], 0..=2)
            .prop_map(|needs| Transition::Readmit(needs.into_iter().map(str::to_owned).collect())),
        1 => Just(Transition::Sweep),
        8 => select(&[-1, 0, 1][..]).prop_map(Transition::TimePasses),
        2 => select(&KEYS[..]).prop_map(|key| Transition::KeyExpires(key.to_owned())),
    ]
}

/// Few ids make long lives.
pub(super) fn id() -> impl Strategy<Value = Uuid> {
    let often = select(&BYTES[..3]);
    prop_oneof![2 => often, 1 => select(&BYTES[..])].prop_map(|byte| Uuid::from_bytes([byte; 16]))
}

pub(super) fn process() -> impl Strategy<Value = usize> {
    0..PROCESSES.len()
}

fn batch() -> impl Strategy<Value = Uuid> {
    (1..3_u128).prop_map(Uuid::from_u128)
}

/// Any job that a caller may push.
pub(super) fn job() -> impl Strategy<Value = NewJob> {
    let when = (proptest::option::weighted(0.3, due()), proptest::option::weighted(0.1, due()));
    let names = (
        proptest::option::weighted(0.6, select(&GROUPS[..]).prop_map(str::to_owned)),
        proptest::option::weighted(0.4, unique()),
        proptest::option::weighted(0.3, batch()),
    );
    let payload = proptest::collection::vec(any::<u8>(), 0..4);
    (id(), select(&Priority::ALL[..]), payload, when, any::<bool>(), names).prop_filter_map(
        "due after its deadline",
        |(id, priority, payload, (due, deadline), past, (group, unique, batch))| {
            let past = if past { Past::Unknown } else { Past::None };
            let new = NewJob { priority, due, past, group, deadline, unique, batch, ..NewJob::new(id, payload) };
            new.check().is_ok().then_some(new)
        },
    )
}

/// Long ago or far ahead.
fn due() -> impl Strategy<Value = i64> {
    prop_oneof![1 => 0..10_i64, 1 => Just(*FAR), 1 => Just(*FAR + 1)]
}

fn unique() -> impl Strategy<Value = Unique> {
    let hold = prop_oneof![Just(Hold::UntilDone), Just(Hold::For(Duration::from_secs(3600)))];
    let conflict = prop_oneof![Just(Conflict::Keep), Just(Conflict::Replace), Just(Conflict::PushBack)];
    (select(&KEYS[..]), hold, conflict).prop_map(|(key, hold, conflict)| Unique { key: key.into(), hold, conflict })
}

fn claim() -> impl Strategy<Value = Transition> {
    let numbers = (process(), 1..8_usize, prop_oneof![1 => 1..3_usize, 4 => Just(200)], proptest::bool::weighted(0.8));
    numbers.prop_map(|(process, wanted, promotions, suspect)| {
        Transition::Claim(Claim { process, wanted, promotions, suspect })
    })
}

fn shown() -> impl Strategy<Value = Shown> {
    prop_oneof![3 => any::<Index>().prop_map(Shown::Running), 1 => any::<Index>().prop_map(Shown::Any)]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let far = Duration::from_secs(3600);
    prop_oneof![
        4 => Just(Verdict::Complete),
        2 => Just(Verdict::Retry(far)),
        1 => Just(Verdict::Snooze(far)),
        2 => Just(Verdict::Release),
        1 => select(&NEEDS[..]).prop_map(|needs| Verdict::Unreadable(needs.to_owned())),
        2 => Just(Verdict::Bury("{}".to_owned())),
    ]
}

fn recover() -> impl Strategy<Value = Transition> {
    let some = || proptest::sample::subsequence(vec![0, 1, 2], 0..=3);
    let dead = prop_oneof![some(), Just(vec![0, 1, 2])];
    (dead, some(), proptest::bool::weighted(0.2), select(&[1_usize, 200][..])).prop_map(
        |(dead, awake, strangers, page)| {
            let awake = awake.into_iter().filter(|process| !dead.contains(process)).collect();
            Transition::Recover { dead, awake, strangers, page }
        },
    )
}

fn most() -> impl Strategy<Value = Option<u32>> {
    proptest::option::of(1..4_u32)
}

fn limits() -> impl Strategy<Value = Limits> {
    let order = prop_oneof![Just(Order::default()), Just(Order::Strict)];
    (most(), most(), order).prop_map(|(concurrency, group_concurrency, order)| Limits {
        concurrency,
        group_concurrency,
        order,
        ..Limits::default()
    })
}

fn policy() -> impl Strategy<Value = GroupLimits> {
    (1..=100_u32, most()).prop_map(|(weight, concurrency)| GroupLimits { weight, concurrency, rate: None })
}
