//! The task that owns the registry and the one Redis connection that brings events to this process.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bellwork_queue::Server;
use bellwork_shared::events::{Event, channel};
use bellwork_shared::ids::UserId;
use futures_util::StreamExt;
use redis::aio::{PubSubSink, PubSubStream};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::registry::{Registry, TRANSPORT};
use super::{Command, Signal, frame};

/// A server that is there answers within this time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause before a further attempt to connect, in milliseconds; random, so that not all processes come at once.
const RECONNECT_MS: std::ops::Range<u64> = 100..1_000;
/// How often the connection is asked whether it still works.
const PING_EVERY: Duration = Duration::from_secs(5);
/// Commands executed, and channels subscribed to, in one step.
const BATCH: usize = 500;

pub(super) fn start(
    server: Server,
    prefix: &str,
    commands: mpsc::UnboundedReceiver<Command>,
    counted: watch::Sender<usize>,
    patrol: Arc<Notify>,
) {
    // So that a process without streams shows none, rather than nothing.
    metrics::gauge!("bellwork_streams", "transport" => TRANSPORT).increment(0);
    let switchboard = Switchboard {
        server,
        prefix: prefix.to_owned(),
        counted,
        patrol,
        registry: Registry::default(),
        connection: None,
        due: Instant::now(),
        down_since: None,
        subscribed: HashSet::new(),
        epoch: "".into(),
    };
    tokio::spawn(switchboard.run(commands));
}

struct Switchboard {
    server: Server,
    prefix: String,
    counted: watch::Sender<usize>,
    /// Wakes the patrol when events may have been lost.
    patrol: Arc<Notify>,
    registry: Registry,
    connection: Option<(PubSubSink, PubSubStream)>,
    /// When to ask whether the connection still works, or to try to connect.
    due: Instant,
    /// Set while events do not come, so that the log says so once.
    down_since: Option<Instant>,
    /// The students whose channels the connection is subscribed to.
    subscribed: HashSet<UserId>,
    /// The installation's, as streams bring it with them.
    epoch: Arc<str>,
}

impl Switchboard {
    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut batch = Vec::new();
        loop {
            let done = tokio::select! {
                count = commands.recv_many(&mut batch, BATCH) => {
                    if count == 0 { return }
                    self.execute(&mut batch).await
                }
                event = next_event(&mut self.connection) => event.map(|event| self.deliver(&event)),
                () = sleep_until(self.due) => self.check().await,
            };
            if let Err(error) = done {
                self.hang_up(&error);
            }
        }
    }

    /// Does a batch of commands, then brings the subscriptions in line with the registry in one round trip each way, then
    /// tells those who joined.
    async fn execute(&mut self, batch: &mut Vec<Command>) -> redis::RedisResult<()> {
        let mut touched = HashSet::new();
        let mut joined = Vec::new();
        for command in batch.drain(..) {
            self.apply(command, &mut touched, &mut joined);
        }
        self.publish_count();
        if let Some((sink, _)) = &mut self.connection {
            let (wanted, unwanted): (Vec<_>, Vec<_>) = touched.into_iter().partition(|user| self.registry.has(*user));
            let wanted: Vec<_> = wanted.into_iter().filter(|user| self.subscribed.insert(*user)).collect();
            let unwanted: Vec<_> = unwanted.into_iter().filter(|user| self.subscribed.remove(user)).collect();
            subscribe(sink, &self.prefix, &wanted).await?;
            if !unwanted.is_empty() {
                answered(sink.unsubscribe(channels(&self.prefix, &unwanted))).await?;
            }
        }
        for joined in joined {
            // A client that has gone away meanwhile does not want to know.
            let _ = joined.send(());
        }
        Ok(())
    }

    fn apply(&mut self, command: Command, touched: &mut HashSet<UserId>, joined: &mut Vec<oneshot::Sender<()>>) {
        match command {
            Command::Join { user, seat, epoch, joined: reply } => {
                self.epoch = epoch;
                self.registry.add(user, seat);
                touched.insert(user);
                joined.push(reply);
            }
            Command::Leave { user, seat, reason } => {
                self.registry.remove(user, seat, reason);
                touched.insert(user);
            }
            Command::EndSessions(sessions) => {
                for (user, session) in sessions {
                    self.registry.end_session(user, session);
                    touched.insert(user);
                }
            }
            Command::Positions(positions) => {
                positions.into_iter().for_each(|(user, seq)| self.registry.position(user, seq));
            }
            Command::Roll(reply) => {
                let _ = reply.send(self.registry.roll());
            }
            Command::Drain(window) => self.registry.drain(window),
        }
    }

    fn publish_count(&self) {
        let count = self.registry.count();
        self.counted.send_if_modified(|published| std::mem::replace(published, count) != count);
    }

    /// Asks whether the connection still works, since one whose other end is gone may stay silent for ever; or connects.
    async fn check(&mut self) -> redis::RedisResult<()> {
        match &mut self.connection {
            Some((sink, _)) => answered(sink.ping::<redis::Value>()).await.map(drop)?,
            None => self.connect().await?,
        }
        self.due = Instant::now() + PING_EVERY;
        Ok(())
    }

    async fn connect(&mut self) -> redis::RedisResult<()> {
        let (mut sink, events) = answered(self.server.pubsub()).await?.split();
        let users: Vec<_> = self.registry.users().collect();
        subscribe(&mut sink, &self.prefix, &users).await?;
        if let Some(since) = self.down_since.take() {
            tracing::info!(seconds = since.elapsed().as_secs(), students = users.len(), "live events come again");
        }
        self.subscribed = users.into_iter().collect();
        self.connection = Some((sink, events));
        self.patrol.notify_one();
        Ok(())
    }

    fn hang_up(&mut self, error: &redis::RedisError) {
        if self.down_since.is_none() {
            tracing::warn!(%error, streams = self.registry.count(), "no live events until Redis is back; rows are read instead");
            self.down_since = Some(Instant::now());
        }
        self.connection = None;
        self.subscribed.clear();
        self.due = Instant::now() + Duration::from_millis(rand::random_range(RECONNECT_MS));
    }

    fn deliver(&mut self, message: &redis::Msg) {
        let user = message.get_channel_name().rsplit(':').next().and_then(|user| user.parse().ok());
        let event: Option<Event> = serde_json::from_slice(message.get_payload_bytes()).ok();
        let (Some(user), Some(event)) = (user, event) else {
            return tracing::warn!(channel = message.get_channel_name(), "an event that this version does not know");
        };
        let signal = match event {
            Event::Notification(notification) => Signal::Notification {
                seq: notification.seq,
                created_at: notification.created_at,
                frame: frame::notification(&self.epoch, &notification),
            },
            Event::Progress(progress) => Signal::Progress(frame::progress(&progress)),
        };
        self.registry.deliver(user, &Arc::new(signal));
        self.publish_count();
    }
}

/// The next message; never without a connection.
async fn next_event(connection: &mut Option<(PubSubSink, PubSubStream)>) -> redis::RedisResult<redis::Msg> {
    match connection {
        Some((_, events)) => events.next().await.ok_or_else(|| std::io::Error::from(ErrorKind::ConnectionReset).into()),
        None => std::future::pending().await,
    }
}

async fn subscribe(sink: &mut PubSubSink, prefix: &str, users: &[UserId]) -> redis::RedisResult<()> {
    for users in users.chunks(BATCH) {
        answered(sink.subscribe(channels(prefix, users))).await?;
    }
    Ok(())
}

fn channels(prefix: &str, users: &[UserId]) -> Vec<String> {
    users.iter().map(|user| channel(prefix, *user)).collect()
}

async fn answered<T>(answer: impl Future<Output = redis::RedisResult<T>>) -> redis::RedisResult<T> {
    match timeout(ANSWER_TIMEOUT, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(std::io::Error::from(ErrorKind::TimedOut).into()),
    }
}
