//! What a run may use: the stores, the marker, the mailer, and the way to tell the student how far it is.

use std::sync::Arc;
use std::time::Duration;

use bellwork_queue::{Connection, Reporter};
use bellwork_shared::cache::{Invalidator, Scope};
use bellwork_shared::catalogue::Catalogue;
use bellwork_shared::events::{Event, Progress, channel};
use bellwork_shared::ids::{JobId, UserId};
use bellwork_shared::reading::Floors;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::time::timeout;
use url::Url;

use crate::mailer::Mailer;
use crate::marker::Marker;

/// A job waits no longer for its events to leave: streams find what they missed.
const PUBLISH_TIMEOUT: Duration = Duration::from_millis(200);

/// What all runs of a process share.
#[derive(Clone, Debug)]
pub struct Platform {
    /// PostgreSQL.
    pub database: PgPool,
    /// The practice tests.
    pub catalogue: Catalogue,
    /// Forgets what a job has changed, in all processes.
    pub cache: Invalidator,
    /// Where live events go.
    pub publisher: Publisher,
    /// Who grades free text.
    pub marker: Arc<Marker>,
    /// How mail leaves the house.
    pub mailer: Mailer,
    /// How students reach the API, for links.
    pub public_url: Url,
    /// How long finished jobs stay in the ledger.
    pub ledger_retention_days: u32,
    /// How long the history of votes is kept.
    pub vote_retention_months: u32,
}

impl Platform {
    /// Tells what a commit has changed: first the caches, since whoever hears of an event reads what it is about.
    pub async fn announce(&self, events: &[(UserId, Event)], outdated: &[Scope]) {
        let notified = events.iter().filter_map(|(user, event)| match event {
            Event::Notification(_) => Some(Scope::Notifications(*user)),
            Event::Progress(_) => None,
        });
        let scopes: Vec<_> = notified.chain(outdated.iter().copied()).collect();
        self.cache.forget(&scopes).await;
        self.publisher.publish(events).await;
    }
}

/// One run of one job.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// What all runs share.
    pub platform: &'a Platform,
    /// The job.
    pub job: JobId,
    /// The user on whose behalf it runs.
    pub submitter: Option<UserId>,
    /// Where its progress is kept while it runs.
    pub reporter: Option<&'a Reporter>,
}

/// How far a running job is, as Redis keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredProgress {
    /// In hundredths.
    pub percent: u8,
    /// What it is about to do.
    pub message: String,
}

impl Context<'_> {
    /// Tells the job's submitter how far it is, and keeps it for whoever asks later. Neither can fail the job.
    pub async fn progress(&self, percent: u8, message: &str) {
        self.note().tell(percent, message, None).await;
    }

    /// The way to tell how far the job is, for a task of its own.
    #[must_use]
    pub fn note(&self) -> Note {
        let (publisher, reporter) = (self.platform.publisher.clone(), self.reporter.cloned());
        Note { publisher, reporter, job: self.job, submitter: self.submitter }
    }
}

/// Tells how far one job is.
#[derive(Clone, Debug)]
pub struct Note {
    publisher: Publisher,
    reporter: Option<Reporter>,
    job: JobId,
    submitter: Option<UserId>,
}

impl Note {
    /// Tells the submitter, with what a model has just written, and keeps the rest for whoever asks later.
    pub async fn tell(&self, percent: u8, message: &str, text: Option<String>) {
        tokio::join!(self.publish_progress(percent, message, text), self.keep_progress(percent, message));
    }

    async fn keep_progress(&self, percent: u8, message: &str) {
        let Some(reporter) = &self.reporter else { return };
        let progress = StoredProgress { percent, message: message.to_owned() };
        let note = serde_json::to_string(&progress).expect("a number and text");
        match timeout(PUBLISH_TIMEOUT, reporter.progress(&note)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "progress was not kept"),
            Err(_) => tracing::debug!("progress was not kept in time"),
        }
    }

    async fn publish_progress(&self, percent: u8, message: &str, text: Option<String>) {
        let Some(user) = self.submitter else { return };
        let progress = Progress { job_id: self.job, percent, message: message.to_owned(), text };
        self.publisher.publish(&[(user, Event::Progress(progress))]).await;
    }
}

/// Publishes live events. At most once: what must arrive stands in a table.
#[derive(Clone)]
pub struct Publisher {
    redis: Connection,
    prefix: Arc<str>,
    /// Where replicas are read: whoever is told of something must be able to read it.
    floors: Option<(Floors<Connection>, PgPool)>,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Publisher {
    /// Publishes on channels that begin with `prefix`.
    pub fn new(redis: Connection, prefix: &str) -> Self {
        Self { redis, prefix: prefix.into(), floors: None }
    }

    /// Lets those who are told of something read nothing older than it from the replicas of `primary`.
    #[must_use]
    pub fn before_replicas(mut self, primary: PgPool) -> Self {
        self.floors = Some((Floors::new(self.redis.clone(), &self.prefix), primary));
        self
    }

    /// Publishes in one round trip. A failure is logged: streams find what they missed in the tables.
    pub async fn publish(&self, events: &[(UserId, Event)]) {
        if events.is_empty() {
            return;
        }
        self.raise_floors(events).await;
        let mut pipeline = redis::pipe();
        for (user, event) in events {
            let message = serde_json::to_vec(event).expect("an event holds only strings, numbers and JSON");
            pipeline.publish(channel(&self.prefix, *user), message).ignore();
        }
        let mut redis = self.redis.clone();
        match timeout(PUBLISH_TIMEOUT, pipeline.query_async::<()>(&mut redis)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, events = events.len(), "live events were not published"),
            Err(_) => tracing::warn!(events = events.len(), "live events were not published in time"),
        }
    }

    async fn raise_floors(&self, events: &[(UserId, Event)]) {
        let Some((floors, primary)) = &self.floors else { return };
        let stored = |event: &Event| matches!(event, Event::Notification(_));
        let told: Vec<_> = events.iter().filter(|(_, event)| stored(event)).map(|(user, _)| *user).collect();
        if !told.is_empty() {
            floors.raise(primary, &told).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwork_shared::cache::{Key, Layers, NOTIFICATIONS, Value};
    use bellwork_shared::ids::NotificationId;
    use bellwork_shared::notifications::Notification;
    use bytes::Bytes;
    use chrono::Utc;

    use super::*;
    use crate::marker::Marker;
    use crate::rehearsal::{Stage, redis};

    #[derive(Debug, PartialEq)]
    struct Body(Bytes);

    impl Value for Body {
        fn encode(&self) -> Bytes {
            self.0.clone()
        }

        fn decode(bytes: Bytes) -> Option<Self> {
            Some(Self(bytes))
        }

        fn weight(&self) -> usize {
            self.0.len()
        }

        fn is_same(&self, other: &Self) -> bool {
            self == other
        }
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_told_notification_is_read_anew_by_the_api(database: PgPool) {
        let stage = Stage::new(&database, Marker::Rubric);
        let layers = Layers::start(crate::cache::redis(&redis()), &stage.prefix);
        while !layers.hears() {
            tokio::task::yield_now().await;
        }
        let shelf = layers.shelf::<Body>(&NOTIFICATIONS);
        let user = UserId::new();
        let read = async |text: &'static str| {
            let key = Key { scope: Scope::Notifications(user), name: "20".into() };
            let load = async move || Ok(Some(Body(Bytes::from_static(text.as_bytes()))));
            shelf.get(key, load).await.unwrap().value.unwrap().0.clone()
        };
        assert_eq!(read("none").await, "none");
        assert_eq!(read("one").await, "none");
        let (id, data, kind) = (NotificationId::new(), serde_json::json!({}), "greeting".to_owned());
        let (title, body, read_at, created_at) = ("Hello".to_owned(), String::new(), None, Utc::now());
        let told = Notification { id, seq: 1, kind, title, body, data, read_at, created_at };
        stage.platform.announce(&[(user, Event::Notification(told))], &[]).await;
        while read("one").await != "one" {
            tokio::task::yield_now().await;
        }
    }
}
