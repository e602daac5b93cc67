//! Notifications: what a student is told, in the order of a sequence number of their own.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;

use crate::ids::{JobId, NotificationId, UserId};

/// A stored notification, as it goes out over HTTP and on the stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Notification {
    /// Its id.
    pub id: NotificationId,
    /// Its place among the student's notifications, from 1 without gaps.
    pub seq: i64,
    /// What happened, for programs: `attempt_graded`, `attempt_failed` …
    pub kind: String,
    /// What happened, for people.
    pub title: String,
    /// More about it.
    pub body: String,
    /// Ids to go on with.
    pub data: Value,
    /// When the student read it.
    pub read_at: Option<DateTime<Utc>>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
}

/// A notification to be written.
#[derive(Clone, Debug)]
pub struct NewNotification<'a> {
    /// Who is told.
    pub user: UserId,
    /// See [`Notification::kind`].
    pub kind: &'a str,
    /// See [`Notification::title`].
    pub title: &'a str,
    /// See [`Notification::body`].
    pub body: &'a str,
    /// See [`Notification::data`].
    pub data: &'a Value,
    /// The job that writes it.
    pub job: JobId,
}

/// Writes `new` with the student's next sequence number, unless the student has vanished. Holds the student's row of `notification_streams` until the
/// transaction ends, so that numbers are committed in their order and without gaps.
///
/// # Errors
/// If the database fails.
pub async fn insert(conn: &mut PgConnection, new: &NewNotification<'_>) -> sqlx::Result<Option<Notification>> {
    sqlx::query_as!(
        Notification,
        r#"
        with reader as (
            select id from users where id = $2 for key share
        ), next as (
            insert into notification_streams (user_id, last_seq) select id, 1 from reader
            on conflict (user_id) do update set last_seq = notification_streams.last_seq + 1
            returning last_seq
        )
        insert into notifications (id, user_id, seq, kind, title, body, data, job_id)
        select $1, $2, last_seq, $3, $4, $5, $6, $7 from next
        returning id as "id: NotificationId", seq, kind, title, body, data, read_at, created_at
        "#,
        NotificationId::new() as NotificationId,
        new.user as UserId,
        new.kind,
        new.title,
        new.body,
        new.data,
        new.job as JobId,
    )
    .fetch_optional(conn)
    .await
}

/// The notification that `job` wrote, with its reader, if it did.
///
/// # Errors
/// If the database fails.
pub async fn written_by(conn: &mut PgConnection, job: JobId) -> sqlx::Result<Option<(UserId, Notification)>> {
    let row = sqlx::query!(
        r#"
        select user_id as "user_id: UserId", id as "id: NotificationId", seq, kind, title, body, data, read_at, created_at
        from notifications where job_id = $1
        "#,
        job as JobId,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let (id, seq, kind, title, body) = (row.id, row.seq, row.kind, row.title, row.body);
        let (data, read_at, created_at) = (row.data, row.read_at, row.created_at);
        (row.user_id, Notification { id, seq, kind, title, body, data, read_at, created_at })
    }))
}

/// Up to `limit` notifications of `user` before the number `before`, the newest first.
///
/// # Errors
/// If the database fails.
pub async fn list(conn: &mut PgConnection, user: UserId, before: i64, limit: i64) -> sqlx::Result<Vec<Notification>> {
    sqlx::query_as!(
        Notification,
        r#"
        select id as "id: NotificationId", seq, kind, title, body, data, read_at, created_at
        from notifications where user_id = $1 and seq < $2 order by seq desc limit $3
        "#,
        user as UserId,
        before,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Up to `limit` notifications of `user` after the number `after`, in their order.
///
/// # Errors
/// If the database fails.
pub async fn after(conn: &mut PgConnection, user: UserId, after: i64, limit: i64) -> sqlx::Result<Vec<Notification>> {
    sqlx::query_as!(
        Notification,
        r#"
        select id as "id: NotificationId", seq, kind, title, body, data, read_at, created_at
        from notifications where user_id = $1 and seq > $2 order by seq limit $3
        "#,
        user as UserId,
        after,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// The number of the last notification of `user`; 0 before the first.
///
/// # Errors
/// If the database fails.
pub async fn last_seq(conn: &mut PgConnection, user: UserId) -> sqlx::Result<i64> {
    let last = sqlx::query_scalar!("select last_seq from notification_streams where user_id = $1", user as UserId);
    Ok(last.fetch_optional(conn).await?.unwrap_or(0))
}

/// The numbers of the last notifications of those of `users` who have some.
///
/// # Errors
/// If the database fails.
pub async fn last_seqs(conn: &mut PgConnection, users: &[UserId]) -> sqlx::Result<Vec<(UserId, i64)>> {
    let users: Vec<_> = users.iter().map(|user| user.0).collect();
    let rows = sqlx::query!(
        r#"select user_id as "user_id: UserId", last_seq from notification_streams where user_id = any($1)"#,
        &users
    );
    Ok(rows.fetch_all(conn).await?.into_iter().map(|row| (row.user_id, row.last_seq)).collect())
}

/// Notes that `user` has read a notification, unless it was noted before; nothing if the user has no such notification.
///
/// # Errors
/// If the database fails.
pub async fn mark_read(
    conn: &mut PgConnection,
    user: UserId,
    id: NotificationId,
) -> sqlx::Result<Option<Notification>> {
    sqlx::query_as!(
        Notification,
        r#"
        update notifications set read_at = coalesce(read_at, now()) where id = $1 and user_id = $2
        returning id as "id: NotificationId", seq, kind, title, body, data, read_at, created_at
        "#,
        id as NotificationId,
        user as UserId,
    )
    .fetch_optional(conn)
    .await
}

/// Notes that `user` has read everything, and says how many were unread.
///
/// # Errors
/// If the database fails.
pub async fn mark_all_read(conn: &mut PgConnection, user: UserId) -> sqlx::Result<u64> {
    let unread =
        sqlx::query!("update notifications set read_at = now() where user_id = $1 and read_at is null", user as UserId);
    Ok(unread.execute(conn).await?.rows_affected())
}
