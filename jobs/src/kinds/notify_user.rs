//! Tells a student something: a stored notification, and at once an event on their live stream.

use std::time::Duration;

use bellwork_queue::Priority;
use bellwork_shared::events::Event;
use bellwork_shared::ids::{JobId, UserId};
use bellwork_shared::notifications::{self, NewNotification};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;

use crate::context::Context;
use crate::failure::Failure;
use crate::job::Job;
use crate::queues::{NOTIFICATION, Queue};
use crate::recording::Recording;

/// The payload: what is told whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotifyUser {
    /// Who is told.
    pub user_id: UserId,
    /// What happened, for programs.
    pub kind: String,
    /// What happened, for people.
    pub title: String,
    /// More about it.
    pub body: String,
    /// Ids to go on with.
    pub data: Value,
}

impl Job for NotifyUser {
    const KIND: &'static str = "notify_user";
    const QUEUE: &'static Queue = &NOTIFICATION;
    const PRIORITY: Priority = Priority::High;
    const TIMEOUT: Duration = Duration::from_secs(10);

    type Output = ();

    async fn run(&self, _context: Context<'_>) -> Result<(), Failure> {
        Ok(())
    }

    async fn record(&self, (): (), recording: &mut Recording<'_>) -> anyhow::Result<()> {
        let (kind, title, body) = (self.kind.as_str(), self.title.as_str(), self.body.as_str());
        let new = NewNotification { user: self.user_id, kind, title, body, data: &self.data, job: recording.job };
        match notifications::insert(recording.transaction().await?, &new).await? {
            Some(notification) => recording.announce(self.user_id, Event::Notification(notification)),
            None => tracing::warn!(job = %recording.job, "the user to be notified has vanished"),
        }
        Ok(())
    }

    async fn announced(job: JobId, conn: &mut PgConnection) -> sqlx::Result<Vec<(UserId, Event)>> {
        let written = notifications::written_by(conn, job).await?;
        Ok(written.map(|(user, notification)| (user, Event::Notification(notification))).into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sqlx::PgPool;

    use super::*;
    use crate::marker::Marker;
    use crate::rehearsal::{Stage, register};

    fn news(user_id: UserId) -> NotifyUser {
        let (kind, title, body) = ("attempt_graded".to_owned(), "Your result".to_owned(), "Nine points.".to_owned());
        NotifyUser { user_id, kind, title, body, data: json!({ "score": 9 }) }
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_notification_is_stored_with_the_next_number_and_announced(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let (stage, user) = (Stage::new(&database, Marker::Rubric), register(&mut conn, "Zoe").await);
        for seq in 1..=2 {
            let performed = stage.perform(&news(user)).await.unwrap();
            let [(reader, Event::Notification(notification))] = performed.aftermath.events.as_slice() else {
                panic!("{:?}", performed.aftermath.events)
            };
            assert_eq!((*reader, notification.seq, notification.title.as_str()), (user, seq, "Your result"));
            assert_eq!(notification.data, json!({ "score": 9 }));
            let again = NotifyUser::announced(performed.job, &mut conn).await.unwrap();
            let [(reader, Event::Notification(stored))] = again.as_slice() else { panic!("{again:?}") };
            assert_eq!((reader, stored), (&user, notification));
        }
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_vanished_user_is_a_success(database: PgPool) {
        let performed = Stage::new(&database, Marker::Rubric).perform(&news(UserId::new())).await.unwrap();
        assert!(performed.aftermath.events.is_empty());
        let again = NotifyUser::announced(performed.job, &mut database.acquire().await.unwrap()).await.unwrap();
        assert!(again.is_empty());
    }

    #[test]
    fn the_stored_shape_is_read() {
        let user_id = "0199a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b";
        let stored = format!(
            r#"{{"user_id":"{user_id}","kind":"attempt_graded","title":"Your result","body":"Nine points.","data":{{"score":9}}}}"#
        );
        assert_eq!(serde_json::from_str::<NotifyUser>(&stored).unwrap(), news(user_id.parse().unwrap()));
    }
}
