//! The live streams of this process.
//!
//! One task ([`subscription`]) owns the registry of streams and one Redis connection that is subscribed to the channels of
//! the students who have a stream here. A stream ([`stream`]) is polled by its own HTTP connection, so a client that does not
//! read fills its bounded queue and is cut off. What is lost on the way is found again: a stream that sees a gap, or is
//! told by the [`patrol`] that it is behind, reads the rows.

mod frame;
mod patrol;
mod registry;
mod stream;
mod subscription;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bellwork_queue::Server;
use bellwork_shared::ids::{SessionId, UserId};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

pub(crate) use stream::{Opening, come_back, open};

/// Signals that wait for a stream that is not being read; with the next one it is cut off.
const QUEUE: usize = 64;
/// How long a stream waits for its subscription. Without one it starts anyway, and catches up once Redis is back.
const JOIN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the last streams may take to end after the window of a drain.
const DRAIN_GRACE: Duration = Duration::from_secs(2);

/// Why a stream ended, for its metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// The client went away.
    Client,
    /// The client did not read, and its queue was full.
    Slow,
    /// It was old enough; the next one may go elsewhere.
    Lifetime,
    /// This process stops.
    Drain,
    /// Its session has ended.
    Session,
    /// Its student opened too many.
    Evicted,
}

impl Reason {
    const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Slow => "slow",
            Self::Lifetime => "lifetime",
            Self::Drain => "drain",
            Self::Session => "session",
            Self::Evicted => "evicted",
        }
    }
}

/// What a stream is told. Shared by all streams of a student.
#[derive(Debug)]
enum Signal {
    /// A notification was published.
    Notification { seq: i64, created_at: DateTime<Utc>, frame: Bytes },
    /// A running job reports.
    Progress(Bytes),
    /// The number of the student's last notification, as PostgreSQL says.
    Position(i64),
    /// End at a random instant of this window.
    Drain(Duration),
    /// End now.
    End(Reason),
}

/// What the task that owns the registry is told.
#[derive(Debug)]
enum Command {
    Join { user: UserId, seat: registry::Seat, epoch: Arc<str>, joined: oneshot::Sender<()> },
    Leave { user: UserId, seat: SeatId, reason: Reason },
    EndSessions(Vec<(UserId, SessionId)>),
    Positions(Vec<(UserId, i64)>),
    Roll(oneshot::Sender<Vec<(UserId, SessionId)>>),
    Drain(Duration),
}

/// Tells the streams of this process apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SeatId(u64);

/// The live streams of this process. Cheap to clone; its tasks end with the last clone and the last stream.
#[derive(Clone, Debug)]
pub(crate) struct Hub {
    commands: mpsc::UnboundedSender<Command>,
    count: watch::Receiver<usize>,
    seats: Arc<AtomicU64>,
    heartbeat: Duration,
}

impl Hub {
    /// Starts its tasks on the current runtime. Events come over the Redis `server`, on channels under `prefix`.
    pub(crate) fn start(server: Server, prefix: &str, database: PgPool, heartbeat: Duration) -> Self {
        let (commands, received) = mpsc::unbounded_channel();
        let (counted, count) = watch::channel(0);
        let alarm = patrol::start(commands.downgrade(), database, heartbeat);
        subscription::start(server, prefix, received, counted, alarm);
        Self { commands, count, seats: Arc::default(), heartbeat }
    }

    /// How many streams are open.
    #[must_use]
    pub(crate) fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// Ends the streams of a session of `user`.
    pub(crate) fn end_session(&self, user: UserId, session: SessionId) {
        self.tell(Command::EndSessions(vec![(user, session)]));
    }

    /// Ends the streams of several sessions of `user`.
    pub(crate) fn end_sessions(&self, user: UserId, sessions: Vec<SessionId>) {
        self.tell(Command::EndSessions(sessions.into_iter().map(|session| (user, session)).collect()));
    }

    /// Ends all streams at random instants within `window`, and new ones too. Returns when all have ended, at the latest a
    /// little after it.
    pub(crate) async fn drain(&self, window: Duration) {
        self.tell(Command::Drain(window));
        let mut count = self.count.clone();
        // The commands before this one are done when the roll is answered, so that a stream just opened is counted.
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Roll(reply));
        let ended = async {
            let _ = answer.await;
            let _ = count.wait_for(|count| *count == 0).await;
        };
        if timeout(window + DRAIN_GRACE, ended).await.is_err() {
            tracing::warn!(streams = self.count(), "some streams did not end in time");
        }
    }

    /// Takes a seat for a stream: from now on it is told what happens to `user`.
    async fn join(&self, user: UserId, session: SessionId, epoch: &Arc<str>) -> SeatHolder {
        let id = SeatId(self.seats.fetch_add(1, Ordering::Relaxed));
        let (signals, received) = mpsc::channel(QUEUE);
        let (joined, confirmed) = oneshot::channel();
        let seat = registry::Seat { id, session, signals };
        self.tell(Command::Join { user, seat, epoch: Arc::clone(epoch), joined });
        let holder = SeatHolder { user, id, signals: received, reason: Reason::Client, hub: self.clone() };
        if timeout(JOIN_TIMEOUT, confirmed).await.is_err() {
            tracing::debug!("a stream starts before its subscription");
        }
        holder
    }

    fn tell(&self, command: Command) {
        // Its receiver lives as long as any hub.
        let _ = self.commands.send(command);
    }
}

/// A stream's place in the registry; leaves it when dropped.
#[derive(Debug)]
struct SeatHolder {
    user: UserId,
    id: SeatId,
    signals: mpsc::Receiver<Arc<Signal>>,
    /// Why it will have left.
    reason: Reason,
    hub: Hub,
}

impl Drop for SeatHolder {
    fn drop(&mut self) {
        self.hub.tell(Command::Leave { user: self.user, seat: self.id, reason: self.reason });
    }
}
