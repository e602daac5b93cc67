//! Why a job waits, and all that the queue knows of it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use redis::Value;
use uuid::Uuid;

use crate::delivery::Marks;
use crate::error::Error;
use crate::inspector::{Inspector, Place};
use crate::job::read_stored;
use crate::process::DEAD_AFTER;
use crate::scripts;

/// A position is looked for among this many jobs of a list, and in the first chunk of a lane.
const LOOK: usize = 1000;

/// All that the queue knows of one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobView {
    /// The job.
    pub id: Uuid,
    /// Where it is.
    pub place: Place,
    /// What was pushed.
    pub payload: Bytes,
    /// Its group.
    pub group: Option<String>,
    /// Its unique key.
    pub unique: Option<String>,
    /// After this time, in ms since 1970, it does not matter any more.
    pub deadline: Option<i64>,
    /// When it is due, in ms since 1970, if it is scheduled.
    pub due: Option<i64>,
    /// How its earlier deliveries ended.
    pub marks: Marks,
    /// The process that runs it.
    pub process: Option<String>,
    /// What its handler said last.
    pub progress: Option<String>,
    /// Whether the process that runs it was asked to end it.
    pub cancelling: bool,
    /// Why it is dead (JSON).
    pub evidence: Option<String>,
    /// Why it does not run now, the reasons that others cannot lift first.
    pub waits_for: Vec<Reason>,
}

/// Why a job does not run now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The queue is paused.
    Paused,
    /// No live process serves the queue.
    NoWorker,
    /// It is not due yet.
    NotDue(Duration),
    /// No worker could read it: it waits for one that can read this.
    Newer(String),
    /// It follows a batch whose members have not all ended.
    Batch,
    /// It is suspected of killing processes; such jobs run one at a time in each process.
    Suspect,
    /// The queue runs as many jobs as it may.
    QueueFull {
        /// Running jobs.
        running: u64,
        /// Its limit.
        limit: u64,
    },
    /// The queue's rate limit opens in this time.
    QueueRate(Duration),
    /// The group runs as many jobs as it may.
    GroupFull {
        /// The group's running jobs.
        running: u64,
        /// Its limit.
        limit: u64,
    },
    /// The group's rate limit opens in this time.
    GroupRate(Duration),
    /// It is this one in its line, from 1: of its group, or of the jobs of its priority that have none.
    Position(u64),
    /// It stands too far behind in its line for its position to be looked for.
    FarBehind,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |wait: &Duration| format!("{:.1} s", wait.as_secs_f64());
        match self {
            Self::Paused => write!(f, "the queue is paused"),
            Self::NoWorker => write!(f, "no live worker serves the queue"),
            Self::NotDue(wait) => write!(f, "due in {}", seconds(wait)),
            Self::Newer(needs) => write!(f, "no live worker can read {needs}"),
            Self::Batch => write!(f, "its batch has not ended"),
            Self::Suspect => write!(f, "processes died of it: it runs when no other such job does"),
            Self::QueueFull { running, limit } => write!(f, "the queue runs {running} of {limit}"),
            Self::QueueRate(wait) => write!(f, "the queue's rate limit opens in {}", seconds(wait)),
            Self::GroupFull { running, limit } => write!(f, "its group runs {running} of {limit}"),
            Self::GroupRate(wait) => write!(f, "its group's rate limit opens in {}", seconds(wait)),
            Self::Position(position) => write!(f, "number {position} in its line"),
            Self::FarBehind => write!(f, "far behind in its line"),
        }
    }
}

impl Inspector {
    /// All that `queue` knows of a job, with the reasons why it does not run now.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn explain(&self, queue: &str, id: Uuid) -> Result<Option<JobView>, Error> {
        let silence = u64::try_from(DEAD_AFTER.as_millis()).unwrap_or(u64::MAX);
        for keys in self.parts(queue)? {
            let mut look = scripts::LOOK.on(&keys);
            look.arg(id.as_bytes()).arg(silence).arg(LOOK);
            let answer: Vec<Value> = scripts::call(&look, &mut self.0.connection.clone()).await?;
            if !answer.is_empty() {
                let view = Look::read(&answer).and_then(|look| look.view(id));
                return view.map(Some).ok_or(Error::Answer { script: scripts::LOOK.name });
            }
        }
        Ok(None)
    }
}

/// The answer of `scripts/look.lua`.
struct Look {
    now: i64,
    place: Place,
    stored: Bytes,
    due: Option<i64>,
    lease: Vec<u8>,
    marks: String,
    evidence: String,
    progress: String,
    cancelling: bool,
    needs: String,
    position: u64,
    paused: bool,
    workers: u64,
    running: u64,
    concurrency: Option<u64>,
    rate: String,
    arrival: Option<f64>,
    group_concurrency: Option<u64>,
    group_policy: String,
    group_running: u64,
    parked_until: Option<f64>,
}

impl Look {
    fn read(answer: &[Value]) -> Option<Self> {
        let bytes = |index: usize| match answer.get(index)? {
            Value::BulkString(bytes) => Some(bytes.clone()),
            _ => None,
        };
        let text = |index: usize| String::from_utf8(bytes(index)?).ok();
        let number = |index: usize| match answer.get(index)? {
            Value::Int(number) => Some(*number),
            _ => None,
        };
        let count = |index: usize| u64::try_from(number(index)?).ok();
        Some(Self {
            now: number(0)?,
            place: Place::named(&text(1)?)?,
            stored: bytes(2)?.into(),
            due: text(3)?.parse().ok(),
            lease: bytes(4)?,
            marks: text(5)?,
            evidence: text(6)?,
            progress: text(7)?,
            cancelling: number(8)? == 1,
            needs: text(9)?,
            position: count(10)?,
            paused: !text(11)?.is_empty(),
            workers: count(12)?,
            running: count(13)?,
            concurrency: text(14)?.parse().ok(),
            rate: text(15)?,
            arrival: text(16)?.parse().ok(),
            group_concurrency: text(17)?.parse().ok(),
            group_policy: text(19)?,
            group_running: text(20)?.parse().unwrap_or(0),
            parked_until: text(21)?.parse().ok(),
        })
    }

    fn view(self, id: Uuid) -> Option<JobView> {
        let waits_for = self.reasons();
        let (options, payload) = read_stored(self.stored);
        let some = |text: String| (!text.is_empty()).then_some(text);
        let process = self.lease.get(1..9).map(|process| String::from_utf8_lossy(process).into_owned());
        Some(JobView {
            id,
            place: self.place,
            payload,
            group: options.group,
            unique: options.unique,
            deadline: options.deadline,
            due: self.due,
            marks: Marks::parse(&self.marks)?,
            process,
            progress: some(self.progress),
            cancelling: self.cancelling,
            evidence: some(self.evidence),
            waits_for,
        })
    }

    fn reasons(&self) -> Vec<Reason> {
        let own = match self.place {
            Place::Scheduled => self.due.map(|due| Reason::NotDue(self.until(due))),
            Place::AwaitsNewer => Some(Reason::Newer(self.needs.clone())),
            Place::AwaitsBatch => Some(Reason::Batch),
            Place::Suspect => Some(Reason::Suspect),
            Place::Ready => None,
            Place::Absent | Place::Leased | Place::Dead => return Vec::new(),
        };
        let mut reasons: Vec<_> = own.into_iter().collect();
        reasons.extend(self.paused.then_some(Reason::Paused));
        reasons.extend((self.workers == 0).then_some(Reason::NoWorker));
        reasons.extend(self.concurrency.filter(|limit| self.running >= *limit).map(|limit| {
            let running = self.running;
            Reason::QueueFull { running, limit }
        }));
        reasons.extend(self.queue_rate());
        reasons.extend(self.group_reason());
        if self.place == Place::Ready {
            reasons.push(match self.position {
                0 => Reason::FarBehind,
                position => Reason::Position(position),
            });
        }
        reasons
    }

    fn queue_rate(&self) -> Option<Reason> {
        let (interval, burst) = self.rate.split_once('/')?;
        let (interval, burst): (f64, f64) = (interval.parse().ok()?, burst.parse().ok()?);
        let opens_ms = (self.arrival? + (1.0 - burst) * interval) / 1000.0;
        self.after(opens_ms).map(Reason::QueueRate)
    }

    fn group_reason(&self) -> Option<Reason> {
        let until = self.parked_until?;
        if until.is_finite() {
            return self.after(until).map(Reason::GroupRate);
        }
        let own = self.group_policy.split(':').nth(1).and_then(|most| most.parse().ok());
        let limit = own.or(self.group_concurrency)?;
        Some(Reason::GroupFull { running: self.group_running, limit })
    }

    fn until(&self, time: i64) -> Duration {
        Duration::from_millis(u64::try_from(time - self.now).unwrap_or(0))
    }

    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "milliseconds since 1970")]
    fn after(&self, time: f64) -> Option<Duration> {
        (time > self.now as f64).then(|| self.until(time.ceil() as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    /// A ready job of a queue without limits.
    fn look() -> Look {
        Look {
            now: NOW,
            place: Place::Ready,
            stored: Bytes::from_static(b"\0\0payload"),
            due: None,
            lease: Vec::new(),
            marks: String::new(),
            evidence: String::new(),
            progress: String::new(),
            cancelling: false,
            needs: String::new(),
            position: 3,
            paused: false,
            workers: 1,
            running: 0,
            concurrency: None,
            rate: String::new(),
            arrival: None,
            group_concurrency: None,
            group_policy: String::new(),
            group_running: 0,
            parked_until: None,
        }
    }

    #[test]
    fn each_place_has_its_reason() {
        let of = |place| Look { place, due: Some(NOW + 1500), needs: "mail/2".into(), ..look() }.reasons();
        assert_eq!(of(Place::Scheduled), [Reason::NotDue(Duration::from_millis(1500))]);
        assert_eq!(of(Place::AwaitsNewer), [Reason::Newer("mail/2".into())]);
        assert_eq!(of(Place::AwaitsBatch), [Reason::Batch]);
        assert_eq!(of(Place::Suspect), [Reason::Suspect]);
        assert_eq!(of(Place::Ready), [Reason::Position(3)]);
        assert_eq!(Look { position: 0, ..look() }.reasons(), [Reason::FarBehind]);
        for place in [Place::Absent, Place::Leased, Place::Dead] {
            assert_eq!(of(place), []);
        }
    }

    #[test]
    fn what_holds_up_the_queue_is_told_only_while_it_does() {
        let first = |look: Look| look.reasons().remove(0);
        assert_eq!(first(Look { paused: true, ..look() }), Reason::Paused);
        assert_eq!(first(Look { workers: 0, ..look() }), Reason::NoWorker);
        let full = |running| first(Look { running, concurrency: Some(2), ..look() });
        assert_eq!(full(1), Reason::Position(3));
        assert_eq!(full(2), Reason::QueueFull { running: 2, limit: 2 });
        // One in 200 ms, three at once.
        let rate = |arrival| first(Look { rate: "200000/3".into(), arrival: Some(arrival), ..look() });
        assert_eq!(rate(1e9 + 400_000.0), Reason::Position(3), "it has just opened");
        assert_eq!(rate(1e9 + 500_000.0), Reason::QueueRate(Duration::from_millis(100)));
    }

    #[test]
    fn what_holds_up_a_group_is_told_only_while_it_does() {
        let first = |look: Look| look.reasons().remove(0);
        let parked = |until| first(Look { parked_until: Some(until), ..look() });
        assert_eq!(parked(1_000_000.0), Reason::Position(3));
        assert_eq!(parked(1_000_000.5), Reason::GroupRate(Duration::from_millis(1)));
        let full = |policy: &str| {
            let full = Look { parked_until: Some(f64::INFINITY), group_policy: policy.into(), ..look() };
            first(Look { group_running: 4, group_concurrency: Some(2), ..full })
        };
        assert_eq!(full(""), Reason::GroupFull { running: 4, limit: 2 });
        assert_eq!(full("1:4:"), Reason::GroupFull { running: 4, limit: 4 });
        assert_eq!(full("1::5/5"), Reason::GroupFull { running: 4, limit: 2 });
    }

    #[test]
    fn a_look_is_read_as_the_script_tells_it() {
        let text = |text: &str| Value::BulkString(text.into());
        let number = Value::Int;
        let answer = vec![
            number(7),
            text("leased"),
            text("\0\x062\09\0\0\0"),
            text("5"),
            text("2aaaaaaaa1"),
            text("1:2:3"),
            text("{}"),
            text("half"),
            number(1),
            text(""),
            number(4),
            text("1"),
            number(2),
            number(3),
            text("8"),
            text("9/9"),
            text("10.5"),
            text("11"),
            text(""),
            text("1:2:"),
            text("6"),
            text("inf"),
        ];
        assert!(Look::read(&answer[1..]).is_none());
        let look = Look::read(&answer).unwrap();
        assert_eq!((look.now, look.due, look.position, look.workers, look.running), (7, Some(5), 4, 2, 3));
        assert_eq!((look.concurrency, look.group_concurrency, look.group_running), (Some(8), Some(11), 6));
        assert_eq!((look.arrival, look.parked_until), (Some(10.5), Some(f64::INFINITY)));
        assert_eq!((&*look.rate, &*look.group_policy, look.paused), ("9/9", "1:2:", true));
        let view = look.view(Uuid::nil()).unwrap();
        assert_eq!((view.place, view.due, view.process.as_deref()), (Place::Leased, Some(5), Some("aaaaaaaa")));
        assert_eq!(
            (view.progress.as_deref(), view.evidence.as_deref(), view.cancelling),
            (Some("half"), Some("{}"), true)
        );
        assert_eq!(view.marks, Marks { failures: 1, deaths: 2, releases: 3 });
    }

    #[test]
    fn reasons_are_sentences() {
        assert_eq!(Reason::NotDue(Duration::from_millis(1540)).to_string(), "due in 1.5 s");
        assert_eq!(Reason::GroupFull { running: 2, limit: 3 }.to_string(), "its group runs 2 of 3");
        assert_eq!(Reason::Position(1).to_string(), "number 1 in its line");
    }
}
