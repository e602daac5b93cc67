//! Waiting for the result on the stream, across its ends.

use std::time::{Duration, Instant};

use bellwork_shared::events::Progress;
use bellwork_shared::ids::{AttemptId, JobId};
use bellwork_shared::notifications::Notification;
use bellwork_shared::server_events::{ServerEvent, StreamError};
use serde_json::Value;
use uuid::Uuid;

use super::api::{Accepted, Api, Events};
use super::report::Report;
use crate::advice::advised;

/// The kind of notification that says that grading was given up.
const FAILED: &str = "attempt_failed";
/// Before connecting anew, unless the server says otherwise; and the most that this program is told to wait.
const RECONNECT_DELAY: Duration = Duration::from_millis(500);
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(3);
/// How often the passing time is shown.
const TICK: Duration = Duration::from_millis(100);

/// An accepted submission whose result is to come.
pub(super) struct Wait {
    pub(super) accepted: Accepted,
    pub(super) key: Uuid,
    /// When the submission was sent.
    pub(super) began: Instant,
    /// How long its acceptance took.
    pub(super) took: Duration,
    /// The longest wait.
    pub(super) patience: Duration,
}

/// The notification about the attempt, arrived on the stream.
pub(super) struct Arrival {
    pub(super) attempt: AttemptId,
    pub(super) job: JobId,
    pub(super) key: Uuid,
    pub(super) accepted: Duration,
    /// How long after the submission was sent it arrived.
    pub(super) notified: Duration,
    pub(super) progress_events: u32,
    pub(super) event_id: String,
    pub(super) notification: Notification,
}

/// Shows what arrives until it is the notification about the attempt.
pub(super) async fn wait(api: &Api, wait: Wait, stream: Events, report: &mut Report<'_>) -> anyhow::Result<Arrival> {
    let mut watch = Watch { api, stream, last_id: None, progress_events: 0 };
    loop {
        let Some(event) = next_event(&mut watch, &wait, report).await? else {
            return Err(not_arrived(api, &wait).await);
        };
        let after = wait.began.elapsed();
        match event.kind.as_str() {
            "progress" => watch.progress(&event, after, report)?,
            "notification" => {
                let notification: Notification = serde_json::from_str(&event.data)?;
                let ours = mentions(&notification.data, &wait.accepted.id.to_string());
                report.notification(&notification, ours, after, &event.last_id)?;
                if ours {
                    return arrival(wait, watch.progress_events, event, notification, after);
                }
            }
            _ => {}
        }
    }
}

/// The next event, or nothing when patience has ended.
async fn next_event(
    watch: &mut Watch<'_>,
    wait: &Wait,
    report: &mut Report<'_>,
) -> anyhow::Result<Option<ServerEvent>> {
    let mut next = std::pin::pin!(watch.next());
    loop {
        match tokio::time::timeout(TICK, &mut next).await {
            Ok(event) => return event.map(Some),
            Err(_) if wait.began.elapsed() > wait.patience => return Ok(None),
            Err(_) => report.waiting("for the result", wait.began.elapsed())?,
        }
    }
}

struct Watch<'a> {
    api: &'a Api,
    stream: Events,
    last_id: Option<String>,
    progress_events: u32,
}

impl Watch<'_> {
    /// The next event. A stream that ended is opened again where it ended, as a browser does it, until it opens.
    async fn next(&mut self) -> anyhow::Result<ServerEvent> {
        loop {
            match self.stream.next().await {
                Ok(Some(event)) => return Ok(event),
                Ok(None) | Err(StreamError::Broken(_)) => {
                    // A stream that is turned away says nothing, not even where it stands.
                    self.last_id = self.stream.last_id().map(str::to_owned).or(self.last_id.take());
                    let delay = self.stream.retry().unwrap_or(RECONNECT_DELAY).min(MAX_RECONNECT_DELAY);
                    tokio::time::sleep(delay).await;
                    if let Ok(stream) = self.api.open_stream(self.last_id.as_deref()).await {
                        self.stream = stream;
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn progress(&mut self, event: &ServerEvent, after: Duration, report: &mut Report<'_>) -> anyhow::Result<()> {
        self.progress_events += 1;
        let progress: Progress = serde_json::from_str(&event.data)?;
        report.progress(&progress, after)
    }
}

/// True if one of the values in `data` is `id`.
fn mentions(data: &Value, id: &str) -> bool {
    match data {
        Value::String(text) => text == id,
        Value::Object(fields) => fields.values().any(|value| mentions(value, id)),
        _ => false,
    }
}

fn arrival(
    wait: Wait,
    progress_events: u32,
    event: ServerEvent,
    notification: Notification,
    notified: Duration,
) -> anyhow::Result<Arrival> {
    let Accepted { id: attempt, job_id: job } = wait.accepted;
    if notification.kind == FAILED {
        let next = format!("`bellwork jobs show {job}` says why, `bellwork jobs retry {job}` tries again.");
        return Err(advised("The notification arrived, and says that grading was given up.", next));
    }
    Ok(Arrival {
        attempt,
        job,
        key: wait.key,
        accepted: wait.took,
        notified,
        progress_events,
        event_id: event.last_id,
        notification,
    })
}

async fn not_arrived(api: &Api, wait: &Wait) -> anyhow::Error {
    let seconds = wait.patience.as_secs();
    let state = match api.attempt(wait.accepted.id).await {
        Ok(attempt) => format!(" The attempt is {}.", word(&attempt.status)),
        Err(_) => String::new(),
    };
    let job = wait.accepted.job_id;
    advised(
        format!("No notification about the attempt arrived on the stream within {seconds} s.{state}"),
        format!(
            "Is start-workers running? `bellwork queues list` counts workers, `bellwork jobs show {job}` shows the job."
        ),
    )
}

/// The word that the API uses.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
