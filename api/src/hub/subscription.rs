//! The task that owns the registry and the one Redis connection that brings events to this process.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

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
/// So many commands are done, and so many channels subscribed to, at once.
const BATCH: usize = 500;

pub(super) fn start(
    client: redis::Client,
    prefix: &str,
    commands: mpsc::UnboundedReceiver<Command>,
    counted: watch::Sender<usize>,
    patrol: Arc<Notify>,
) {
    // So that a process without streams shows none, rather than nothing.
    metrics::gauge!("bellwork_streams", "transport" => TRANSPORT).increment(0);
    let switchboard = Switchboard {
        client,
        prefix: prefix.to_owned(),
        counted,
        patrol,
        registry: Registry::default(),
        subscribed: HashSet::new(),
        epoch: "".into(),
    };
    tokio::spawn(switchboard.run(commands));
}

struct Switchboard {
    client: redis::Client,
    prefix: String,
    counted: watch::Sender<usize>,
    /// Wakes the patrol when events may have been lost.
    patrol: Arc<Notify>,
    registry: Registry,
    /// The students whose channels the connection is subscribed to.
    subscribed: HashSet<UserId>,
    /// The installation's, as streams bring it with them.
    epoch: Arc<str>,
}

/// The connection to Redis.
enum Line {
    Up(PubSubSink, PubSubStream),
    Down { until: Instant },
}

impl Line {
    fn down() -> Self {
        Self::Down { until: Instant::now() + Duration::from_millis(rand::random_range(RECONNECT_MS)) }
    }
}

impl Switchboard {
    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut line = Line::Down { until: Instant::now() };
        let mut batch = Vec::new();
        loop {
            line = match line {
                Line::Up(mut sink, mut events) => tokio::select! {
                    count = commands.recv_many(&mut batch, BATCH) => {
                        if count == 0 { return }
                        match self.execute(&mut batch, Some(&mut sink)).await {
                            Ok(()) => Line::Up(sink, events),
                            Err(error) => self.hang_up(&error.to_string()),
                        }
                    }
                    event = events.next() => match event {
                        Some(event) => {
                            self.deliver(&event);
                            Line::Up(sink, events)
                        }
                        None => self.hang_up("the connection broke"),
                    },
                },
                Line::Down { until } => tokio::select! {
                    count = commands.recv_many(&mut batch, BATCH) => {
                        if count == 0 { return }
                        let _ = self.execute(&mut batch, None).await;
                        Line::Down { until }
                    }
                    () = sleep_until(until) => self.connect().await,
                },
            };
        }
    }

    /// Does a batch of commands, then brings the subscriptions in line with the registry in one round trip each way, then
    /// tells those who joined.
    async fn execute(&mut self, batch: &mut Vec<Command>, sink: Option<&mut PubSubSink>) -> redis::RedisResult<()> {
        let mut touched = HashSet::new();
        let mut joined = Vec::new();
        for command in batch.drain(..) {
            self.apply(command, &mut touched, &mut joined);
        }
        self.counted.send_replace(self.registry.count());
        if let Some(sink) = sink {
            let (wanted, unwanted): (Vec<_>, Vec<_>) = touched.into_iter().partition(|user| self.registry.has(*user));
            let wanted: Vec<_> = wanted.into_iter().filter(|user| self.subscribed.insert(*user)).collect();
            let unwanted: Vec<_> = unwanted.into_iter().filter(|user| self.subscribed.remove(user)).collect();
            self.subscribe(sink, &wanted).await?;
            if !unwanted.is_empty() {
                answered(sink.unsubscribe(self.channels(&unwanted))).await?;
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
            Command::EndSessions(sessions) => self.registry.end_sessions(&sessions),
            Command::Positions(positions) => {
                positions.into_iter().for_each(|(user, seq)| self.registry.position(user, seq));
            }
            Command::Roll(reply) => {
                let _ = reply.send(self.registry.roll());
            }
            Command::Drain(window) => self.registry.drain(window),
        }
    }

    async fn connect(&mut self) -> Line {
        match self.try_connect().await {
            Ok((sink, events)) => {
                tracing::debug!(students = self.subscribed.len(), "subscribed to live events");
                self.patrol.notify_one();
                Line::Up(sink, events)
            }
            Err(error) => self.hang_up(&error.to_string()),
        }
    }

    async fn try_connect(&mut self) -> redis::RedisResult<(PubSubSink, PubSubStream)> {
        let (mut sink, events) = answered(self.client.get_async_pubsub()).await?.split();
        let users: Vec<_> = self.registry.users().collect();
        self.subscribe(&mut sink, &users).await?;
        self.subscribed = users.into_iter().collect();
        Ok((sink, events))
    }

    async fn subscribe(&self, sink: &mut PubSubSink, users: &[UserId]) -> redis::RedisResult<()> {
        for users in users.chunks(BATCH) {
            answered(sink.subscribe(self.channels(users))).await?;
        }
        Ok(())
    }

    fn channels(&self, users: &[UserId]) -> Vec<String> {
        users.iter().map(|user| channel(&self.prefix, *user)).collect()
    }

    fn hang_up(&mut self, reason: &str) -> Line {
        tracing::warn!(reason, streams = self.registry.count(), "no live events until Redis is back");
        self.subscribed.clear();
        Line::down()
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
        self.counted.send_replace(self.registry.count());
    }
}

async fn answered<T>(answer: impl Future<Output = redis::RedisResult<T>>) -> redis::RedisResult<T> {
    match timeout(ANSWER_TIMEOUT, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}
