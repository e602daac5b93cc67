//! Looks after the open streams in batches: ends those whose sessions have ended, and tells each where PostgreSQL stands,
//! since pub/sub may lose an event without a trace.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bellwork_shared::ids::{SessionId, UserId};
use bellwork_shared::{notifications, sessions};
use sqlx::PgPool;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use super::Command;

/// Streams checked by one query.
const BATCH: usize = 1000;

/// Starts it. It goes its round every `period`, and at once when the returned alarm is raised.
pub(super) fn start(hub: mpsc::WeakUnboundedSender<Command>, database: PgPool, period: Duration) -> Arc<Notify> {
    let alarm = Arc::new(Notify::new());
    tokio::spawn(run(hub, database, period, Arc::clone(&alarm)));
    alarm
}

async fn run(hub: mpsc::WeakUnboundedSender<Command>, database: PgPool, period: Duration, alarm: Arc<Notify>) {
    let mut rounds = interval(period);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = rounds.tick() => {}
            () = alarm.notified() => {}
        }
        // The hub ends with its last handle, and this task with it.
        let Some(hub) = hub.upgrade() else { return };
        let (reply, roll) = oneshot::channel();
        let _ = hub.send(Command::Roll(reply));
        let roll = roll.await.unwrap_or_default();
        for batch in roll.chunks(BATCH) {
            if let Err(error) = look_after(batch, &database, &hub).await {
                tracing::debug!(%error, "the patrol comes again");
                break;
            }
        }
    }
}

async fn look_after(
    batch: &[(UserId, SessionId)],
    database: &PgPool,
    hub: &mpsc::UnboundedSender<Command>,
) -> sqlx::Result<()> {
    let (users, ids): (Vec<_>, Vec<_>) = batch.iter().copied().unzip();
    let mut conn = database.acquire().await?;
    let ended = sessions::ended(&mut conn, &ids).await?;
    let positions = notifications::last_seqs(&mut conn, &users).await?;
    let ended: HashSet<_> = ended.into_iter().collect();
    let ended: Vec<_> = batch.iter().copied().filter(|(_, session)| ended.contains(session)).collect();
    if !ended.is_empty() {
        let _ = hub.send(Command::EndSessions(ended));
    }
    let _ = hub.send(Command::Positions(positions));
    Ok(())
}
