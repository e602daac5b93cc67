//! A job to be pushed, and how Redis stores it.

use std::time::Duration;

use bytes::{BufMut, Bytes};
use redis::{RedisWrite, ToRedisArgs, ToSingleRedisArg};
use uuid::Uuid;

use crate::error::Error;
use crate::priority::Priority;

/// The largest payload, in bytes.
pub const MAX_PAYLOAD: usize = 1024 * 1024;
/// No job waits, and no unique key is held, for longer than ten years.
const MAX_DELAY_MS: i64 = 10 * 366 * 24 * 3600 * 1000;
/// The longest group or unique key, in bytes.
const MAX_KEY: usize = 100;
/// The longest note of a handler's progress, in bytes.
const MAX_NOTE: usize = 1000;

/// A job to be pushed.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id; a second push of an id changes nothing while the first is not finished.
    pub id: Uuid,
    /// Which of two ready jobs runs first.
    pub priority: Priority,
    /// What the worker gets.
    pub payload: Bytes,
    /// Not before this time, in ms since 1970; none: at once.
    pub due: Option<i64>,
    /// What is known of its past.
    pub past: Past,
    /// Whose turn it takes within its priority, and whose limits it is under: a user, a school, a host.
    pub group: Option<String>,
    /// After this time, in ms since 1970, it does not matter any more: it goes to the dead letters instead of a worker.
    pub deadline: Option<i64>,
    /// Lets only one job of a key wait.
    pub unique: Option<Unique>,
    /// The batch it is a member of, see [`crate::Producer::push_batch`].
    pub batch: Option<Uuid>,
}

/// Whether a job may have run before it is pushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Past {
    /// It has not.
    #[default]
    None,
    /// It may have: its delivery says so, see [`crate::Marks::seen_before`].
    Unknown,
}

/// A key that one job of a queue holds at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unique {
    /// The key.
    pub key: String,
    /// How long the first job holds it.
    pub hold: Hold,
    /// What becomes of the second.
    pub conflict: Conflict,
}

/// How long a unique key is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Until the job is done, dead or removed.
    UntilDone,
    /// For this time from the push, whether or not the job is done.
    For(Duration),
}

/// What a push does whose unique key another job holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The first stays as it is, the second is dropped.
    Keep,
    /// The first takes over the payload of the second, in its place. One that runs already is left alone, and the second is
    /// stored.
    Replace,
    /// As [`Conflict::Replace`], and the first takes over the due time too.
    PushBack,
}

impl NewJob {
    /// A job of normal priority that is due at once.
    #[must_use]
    pub fn new(id: Uuid, payload: impl Into<Bytes>) -> Self {
        Self {
            id,
            priority: Priority::default(),
            payload: payload.into(),
            due: None,
            past: Past::None,
            group: None,
            deadline: None,
            unique: None,
            batch: None,
        }
    }

    /// Whether it can be pushed.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.payload.len() > MAX_PAYLOAD {
            return Err(Error::PayloadTooLarge { id: self.id, bytes: self.payload.len(), limit: MAX_PAYLOAD });
        }
        check_time("due", self.due)?;
        check_time("deadline", self.deadline)?;
        if self.deadline.is_some_and(|deadline| self.due.is_some_and(|due| deadline <= due)) {
            return Err(Error::Invalid { field: "deadline", reason: "must lie after due" });
        }
        if let Some(group) = &self.group {
            check_key("group", group)?;
        }
        if let Some(Unique { key, hold, .. }) = &self.unique {
            check_key("unique.key", key)?;
            check_hold(*hold)?;
        }
        Ok(())
    }

    /// The length of the options (2 bytes, big endian), the options and the payload: see `scripts/parts/options.lua`.
    pub(crate) fn stored(&self) -> Stored<'_> {
        Stored { options: self.options(), payload: &self.payload }
    }

    /// Whether it has more than a priority, a due time and a payload.
    pub(crate) fn is_extended(&self) -> bool {
        self.group.is_some() || self.deadline.is_some() || self.unique.is_some() || self.batch.is_some()
    }

    /// Priority, deadline, group, unique key and batch.
    fn options(&self) -> String {
        if !self.is_extended() {
            return String::new();
        }
        let deadline = self.deadline.map(|deadline| deadline.to_string()).unwrap_or_default();
        let unique = self.unique.as_ref().map_or("", |unique| &unique.key);
        let batch = self.batch.map(batch_name).unwrap_or_default();
        let group = self.group.as_deref().unwrap_or_default();
        format!("{}{deadline}\0{group}\0{unique}\0{batch}", self.priority as u8)
    }
}

/// A job as Redis stores it.
pub(crate) struct Stored<'a> {
    options: String,
    payload: &'a [u8],
}

impl ToRedisArgs for Stored<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let length = u16::try_from(self.options.len()).expect("keys are checked to be short");
        let mut argument = out.bufmut_for_next_arg(2 + self.options.len() + self.payload.len());
        argument.put_u16(length);
        argument.put_slice(self.options.as_bytes());
        argument.put_slice(self.payload);
    }
}

impl ToSingleRedisArg for Stored<'_> {}

/// A batch as Redis knows it.
pub(crate) fn batch_name(batch: Uuid) -> String {
    batch.simple().to_string()
}

/// What stands beside the payload of a stored job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) deadline: Option<i64>,
    pub(crate) group: Option<String>,
    pub(crate) unique: Option<String>,
    pub(crate) batch: Option<String>,
}

/// Reads a stored job. What is none was stored by somebody else: it has no options, and all of it is the payload.
pub(crate) fn read_stored(stored: Bytes) -> (Options, Bytes) {
    let length = stored.first_chunk().map_or(0, |length| usize::from(u16::from_be_bytes(*length)));
    match stored.get(2..2 + length) {
        Some([]) => (Options::default(), stored.slice(2..)),
        Some(options) => match Options::read(options) {
            Some(options) => (options, stored.slice(2 + length..)),
            None => (Options::default(), stored),
        },
        None => (Options::default(), stored),
    }
}

impl Options {
    fn read(options: &[u8]) -> Option<Self> {
        let mut fields = std::str::from_utf8(options).ok()?.get(1..)?.split('\0');
        let mut next = || fields.next().map(|field| (!field.is_empty()).then(|| field.to_owned()));
        let deadline = next()?.map(|deadline| deadline.parse()).transpose().ok()?;
        Some(Self { deadline, group: next()?, unique: next()?, batch: next()? })
    }
}

/// Whether the engine takes a group or a unique key: 1 to 100 bytes, neither NUL nor braces.
///
/// # Errors
/// If it does not, naming `field`.
pub fn check_key(field: &'static str, key: &str) -> Result<(), Error> {
    let fits = !key.is_empty() && key.len() <= MAX_KEY;
    if fits && !key.contains(['\0', '{', '}']) {
        return Ok(());
    }
    Err(Error::Invalid { field, reason: "must have 1 to 100 bytes, and neither NUL nor braces" })
}

/// Bounds what a handler says of its progress.
pub(crate) fn check_note(note: &str) -> Result<(), Error> {
    let fits = note.len() <= MAX_NOTE;
    if fits { Ok(()) } else { Err(Error::Invalid { field: "progress", reason: "must have 1,000 bytes at the most" }) }
}

fn check_hold(hold: Hold) -> Result<(), Error> {
    match hold {
        Hold::For(period) if period.as_millis() == 0 || period.as_millis() > MAX_DELAY_MS.unsigned_abs().into() => {
            Err(Error::Invalid { field: "unique.hold", reason: "must be between a millisecond and ten years" })
        }
        Hold::For(_) | Hold::UntilDone => Ok(()),
    }
}

fn check_time(field: &'static str, time: Option<i64>) -> Result<(), Error> {
    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    match time {
        Some(time) if time < 0 => Err(Error::Invalid { field, reason: "must not lie before 1970" }),
        Some(time) if time > now.saturating_add(MAX_DELAY_MS) => {
            Err(Error::Invalid { field, reason: "must not lie more than ten years ahead" })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(bytes: usize) -> NewJob {
        NewJob::new(Uuid::now_v7(), vec![7; bytes])
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let due = |due| NewJob { due: Some(due), ..job(1) }.check();
        assert!(matches!(job(MAX_PAYLOAD + 1).check(), Err(Error::PayloadTooLarge { .. })));
        assert!(matches!(due(i64::MAX), Err(Error::Invalid { field: "due", .. })));
        assert!(matches!(due(-1), Err(Error::Invalid { field: "due", .. })));
        assert!(due(1).is_ok());
        let late = NewJob { due: Some(10), deadline: Some(10), ..job(1) };
        assert!(matches!(late.check(), Err(Error::Invalid { field: "deadline", .. })));
        for group in ["", "a\0b", "{a", "a}", &"x".repeat(101)] {
            let job = NewJob { group: Some(group.to_owned()), ..job(1) };
            assert!(matches!(job.check(), Err(Error::Invalid { field: "group", .. })), "{group:?}");
        }
        for hold in [Duration::ZERO, Duration::from_micros(999), Duration::MAX] {
            let unique = Unique { key: "k".into(), hold: Hold::For(hold), conflict: Conflict::Keep };
            let job = NewJob { unique: Some(unique), ..job(1) };
            assert!(matches!(job.check(), Err(Error::Invalid { field: "unique.hold", .. })), "{hold:?}");
        }
    }

    #[test]
    fn what_is_just_within_its_bounds_can_be_used() {
        assert_eq!(MAX_PAYLOAD, 1_048_576);
        assert!(job(MAX_PAYLOAD).check().is_ok());
        let year = 365 * 24 * 3600 * 1000;
        let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
        for (due, fits) in [(0, true), (now + 10 * year, true), (now + 11 * year, false)] {
            assert_eq!(NewJob { due: Some(due), ..job(1) }.check().is_ok(), fits, "{due}");
        }
        assert!(NewJob { due: Some(10), deadline: Some(11), ..job(1) }.check().is_ok());
        assert!(NewJob { group: Some("x".repeat(100)), ..job(1) }.check().is_ok());
        let ten_years = Duration::from_millis(MAX_DELAY_MS.unsigned_abs());
        let (least, more) = (Duration::from_millis(1), ten_years + Duration::from_millis(1));
        for (hold, fits) in [(least, true), (ten_years, true), (more, false)] {
            assert_eq!(check_hold(Hold::For(hold)).is_ok(), fits, "{hold:?}");
        }
        assert!(check_note(&"x".repeat(1000)).is_ok());
        assert!(matches!(check_note(&"x".repeat(1001)), Err(Error::Invalid { field: "progress", .. })));
    }

    #[test]
    fn a_job_with_one_option_is_stored_with_its_options() {
        let unique = Unique { key: "k".into(), hold: Hold::UntilDone, conflict: Conflict::Keep };
        for job in [
            NewJob { group: Some("g".into()), ..job(1) },
            NewJob { deadline: Some(1), ..job(1) },
            NewJob { unique: Some(unique), ..job(1) },
            NewJob { batch: Some(Uuid::max()), ..job(1) },
        ] {
            assert!(job.is_extended());
            let stored = job.stored().to_redis_args().remove(0);
            assert_ne!(read_stored(stored.into()).0, Options::default(), "{job:?}");
        }
        assert!(!job(1).is_extended());
    }

    #[test]
    fn a_stored_job_is_read_as_it_was_written() {
        let stored = |job: &NewJob| Bytes::from(job.stored().to_redis_args().remove(0));
        let plain = job(3);
        assert_eq!(stored(&plain)[..], [0, 0, 7, 7, 7]);
        assert_eq!(read_stored(stored(&plain)), (Options::default(), plain.payload));
        let unique = Unique { key: "mail ü".into(), hold: Hold::UntilDone, conflict: Conflict::Keep };
        let all = NewJob {
            group: Some("school 7".into()),
            deadline: Some(12),
            unique: Some(unique),
            batch: Some(Uuid::max()),
            ..job(2)
        };
        let (options, payload) = read_stored(stored(&all));
        assert_eq!(payload, all.payload);
        let expected = Options {
            deadline: Some(12),
            group: Some("school 7".into()),
            unique: Some("mail ü".into()),
            batch: Some("f".repeat(32)),
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn what_somebody_else_has_stored_is_payload() {
        for bytes in [&b""[..], b"\0", b"\0\x05abc", b"\0\x03\xff\xff\xffrest", b"\0\x01x", b"{\"k\":\"notify_user\"}"]
        {
            let stored = Bytes::copy_from_slice(bytes);
            assert_eq!(read_stored(stored.clone()), (Options::default(), stored), "{bytes:?}");
        }
    }
}
