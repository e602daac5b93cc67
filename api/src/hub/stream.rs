//! One student's stream: what was missed, then what happens, each notification once and in order.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bellwork_shared::notifications::{self, Notification};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::stream::unfold;
use tokio::time::{Instant, sleep_until};

use super::frame::{self, EventId, HEARTBEAT, Hello};
use super::{Hub, Reason, SeatHolder, Signal};
use crate::auth::caller::InSession;
use crate::overload::Database;

/// Missed notifications read by one query.
const PAGE: i64 = 100;
/// A stream ends after a random time of this range, so that streams wander to new processes without a crowd.
const LIFETIME: Range<Duration> = Duration::from_secs(600)..Duration::from_secs(900);
/// The pause before missed notifications are read again after the database failed.
const READ_AGAIN: Range<Duration> = Duration::from_secs(1)..Duration::from_secs(3);
/// When a client is to come back whose stream ended in the ordinary course.
const SOON: Range<Duration> = Duration::from_millis(200)..Duration::from_secs(2);
/// When a client is to come back that did not keep up or has too many streams.
const LATER: Range<Duration> = Duration::from_secs(5)..Duration::from_secs(30);
/// The least window in which clients come back to another process.
const DRAIN_RETRY: Range<Duration> = Duration::from_secs(1)..Duration::from_secs(3);

/// What a stream is opened with.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    /// Whose it is.
    pub(crate) caller: &'a InSession,
    /// The installation's epoch.
    pub(crate) epoch: &'a str,
    /// The id of the last event that the client has seen, if it names one; what cannot be read counts as unknown.
    pub(crate) last_event_id: Option<&'a str>,
}

/// Opens a stream: joins the hub first and reads the rows then, so that nothing falls between.
///
/// # Errors
/// If the database fails.
pub(crate) async fn open(
    hub: &Hub,
    database: &Database,
    opening: Opening<'_>,
) -> sqlx::Result<impl futures_util::Stream<Item = Result<Bytes, Infallible>> + use<>> {
    let epoch: Arc<str> = opening.epoch.into();
    let seat = hub.join(opening.caller.user.id, opening.caller.session, &epoch).await;
    let heartbeat = hub.heartbeat;
    let session_left = (opening.caller.expires_at - Utc::now()).to_std().unwrap_or_default();
    let lifetime = rand::random_range(LIFETIME);
    let mut stream = Box::new(Stream {
        seat,
        database: database.clone(),
        epoch,
        outgoing: VecDeque::new(),
        last: 0,
        behind: None,
        heartbeat,
        next_heartbeat: Instant::now(),
        ends: Instant::now() + lifetime.min(session_left),
        ends_why: if session_left < lifetime { Reason::Session } else { Reason::Lifetime },
        retry: SOON,
        phase: Phase::Open,
    });
    stream.start(opening.last_event_id).await?;
    Ok(unfold(stream, async |mut stream| stream.next().await.map(|frame| (Ok(frame), stream))))
}

struct Stream {
    seat: SeatHolder,
    database: Database,
    epoch: Arc<str>,
    /// Encoded and not written yet.
    outgoing: VecDeque<Bytes>,
    /// The number of the last notification written, or about to be.
    last: i64,
    /// Set while rows must be read.
    behind: Option<Behind>,
    heartbeat: Duration,
    next_heartbeat: Instant,
    ends: Instant,
    ends_why: Reason,
    /// When the client is to come back after the end.
    retry: Range<Duration>,
    phase: Phase,
}

/// What must be read.
struct Behind {
    /// Not before.
    at: Instant,
    /// At least up to this number.
    target: i64,
}

#[derive(PartialEq, Eq)]
enum Phase {
    Open,
    /// What is outgoing is still written.
    Ending,
}

impl Stream {
    /// Finds the position to go on from, and greets.
    async fn start(&mut self, last_event_id: Option<&str>) -> sqlx::Result<()> {
        let mut conn = self.database.acquire().await?;
        let top = notifications::last_seq(&mut conn, self.seat.user).await?;
        let mut missed = Vec::new();
        let asked = last_event_id.map(|id| {
            let id = EventId::parse(id).filter(|id| *id.epoch == *self.epoch && id.seq <= top);
            id.map(|id| id.seq)
        });
        if let Some(Some(seq)) = asked
            && seq < top
        {
            missed = notifications::after(&mut conn, self.seat.user, seq, PAGE).await?;
        }
        let resumes_at =
            asked.flatten().filter(|seq| *seq == top || missed.first().is_some_and(|first| first.seq == seq + 1));
        self.last = resumes_at.unwrap_or(top);
        let from = format!("{}-{}", self.epoch, self.last);
        let heartbeat_seconds = self.heartbeat.as_secs();
        self.outgoing.push_back(frame::hello(&Hello { resumed: resumes_at.is_some(), from: &from, heartbeat_seconds }));
        match resumes_at {
            Some(_) => self.append(&missed, top),
            None if asked.is_some() => self.outgoing.push_back(frame::reset(&self.epoch, self.last)),
            None => {}
        }
        Ok(())
    }

    /// The next frame to write; none at the end of the body.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.outgoing.pop_front() {
                self.next_heartbeat = Instant::now() + self.heartbeat.mul_f64(rand::random_range(0.75..1.0));
                return Some(frame);
            }
            if self.phase == Phase::Ending {
                return None;
            }
            let next = self.behind.as_ref().map_or(self.next_heartbeat, |behind| behind.at.min(self.next_heartbeat));
            tokio::select! {
                signal = self.seat.signals.recv() => match signal {
                    Some(signal) => self.hear(&signal),
                    // The hub has cut it off, and counted it.
                    None => self.end(Reason::Slow),
                },
                () = sleep_until(next.min(self.ends)) => self.wake().await,
            }
        }
    }

    fn hear(&mut self, signal: &Signal) {
        match signal {
            Signal::Notification { seq, created_at, frame } => self.hear_notification(*seq, *created_at, frame),
            Signal::Progress(frame) => self.write(frame.clone()),
            Signal::Position(seq) if *seq > self.last => self.fall_behind(*seq),
            Signal::Position(_) => {}
            Signal::Drain(window) => {
                self.ends = self.ends.min(Instant::now() + window.mul_f64(rand::random()));
                self.ends_why = Reason::Drain;
                self.retry = DRAIN_RETRY.start..DRAIN_RETRY.end.max(*window);
            }
            Signal::End(reason) => self.end(*reason),
        }
    }

    fn hear_notification(&mut self, seq: i64, created_at: DateTime<Utc>, frame: &Bytes) {
        if seq == self.last + 1 {
            self.last = seq;
            self.write(frame.clone());
            let age = (Utc::now() - created_at).to_std().unwrap_or_default();
            metrics::histogram!("bellwork_publish_to_write_seconds").record(age);
        } else if seq > self.last {
            self.fall_behind(seq);
        }
    }

    fn fall_behind(&mut self, target: i64) {
        match &mut self.behind {
            Some(behind) => behind.target = behind.target.max(target),
            None => self.behind = Some(Behind { at: Instant::now(), target }),
        }
    }

    /// Something is due.
    async fn wake(&mut self) {
        let now = Instant::now();
        if now >= self.ends {
            return self.end(self.ends_why);
        }
        if let Some(behind) = &self.behind
            && now >= behind.at
        {
            let target = behind.target;
            // On the heap, since a stream spends its life without it.
            return Box::pin(self.catch_up(target)).await;
        }
        if now >= self.next_heartbeat {
            self.outgoing.push_back(HEARTBEAT);
        }
    }

    async fn catch_up(&mut self, target: i64) {
        match self.missed().await {
            Ok(missed) => self.append(&missed, target),
            Err(error) => {
                tracing::debug!(%error, "missed notifications are read again later");
                self.behind = Some(Behind { at: Instant::now() + rand::random_range(READ_AGAIN), target });
            }
        }
    }

    async fn missed(&self) -> sqlx::Result<Vec<Notification>> {
        let mut conn = self.database.acquire().await?;
        notifications::after(&mut conn, self.seat.user, self.last, PAGE).await
    }

    /// Writes a page of rows. Rows that are gone cannot be replayed: the client is told, and goes on from `target`.
    fn append(&mut self, missed: &[Notification], target: i64) {
        self.behind = None;
        for notification in missed {
            if notification.seq != self.last + 1 {
                return self.reset(target);
            }
            self.last = notification.seq;
            self.write(frame::notification(&self.epoch, notification));
        }
        match self.last < target {
            true if missed.is_empty() => self.reset(target),
            true => self.fall_behind(target),
            false => {}
        }
    }

    fn reset(&mut self, target: i64) {
        self.last = self.last.max(target);
        self.outgoing.push_back(frame::reset(&self.epoch, self.last));
    }

    fn write(&mut self, frame: Bytes) {
        self.outgoing.push_back(frame);
        metrics::counter!("bellwork_stream_events_total").increment(1);
    }

    fn end(&mut self, reason: Reason) {
        let retry = match reason {
            Reason::Slow | Reason::Evicted => LATER,
            _ => self.retry.clone(),
        };
        self.outgoing.push_back(frame::retry(retry));
        self.seat.reason = reason;
        self.phase = Phase::Ending;
    }
}

/// The body of a stream that is not opened: tells the client when to come back. Any other status than 200 would make a
/// browser give up for good.
#[must_use]
pub(crate) fn come_back(window: Duration) -> Bytes {
    frame::retry(DRAIN_RETRY.start..DRAIN_RETRY.end.max(window))
}
