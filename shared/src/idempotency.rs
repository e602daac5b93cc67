//! Idempotency keys (IETF draft-ietf-httpapi-idempotency-key-header): the first answer is given again to a repetition.

use serde_json::Value;
use sqlx::PgConnection;

use crate::ids::UserId;

/// A key as its owner sent it to one route.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// Whose it is.
    pub user: UserId,
    /// The method and path pattern.
    pub route: &'a str,
    /// The header's value without quotes.
    pub key: &'a str,
    /// The SHA-256 of the request's body.
    pub fingerprint: &'a [u8],
}

/// An answer as it was given.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The header `Location`.
    pub location: Option<String>,
    /// The body.
    pub body: Value,
}

/// What a key stands for at the moment.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// Nothing: it is ours until the transaction ends.
    Ours,
    /// Another request with it is being worked on.
    InProgress,
    /// This was answered to the same request.
    Answered(Answer),
    /// It was used with another body.
    OtherRequest,
}

/// Claims `key` until the transaction ends. Answers are kept for a day.
///
/// # Errors
/// If the database fails.
pub async fn claim(conn: &mut PgConnection, key: &Key<'_>) -> sqlx::Result<Claim> {
    let lock = format!("{}\n{}\n{}", key.user, key.route, key.key);
    let locked = sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as "locked!""#, lock)
        .fetch_one(&mut *conn)
        .await?;
    if !locked {
        return Ok(Claim::InProgress);
    }
    // A statement of its own: its snapshot must be younger than the lock.
    let stored = sqlx::query!(
        r#"
        select fingerprint, status, location, body from idempotency_keys
        where user_id = $1 and route = $2 and key = $3 and created_at > now() - interval '24 hours'
        "#,
        key.user as UserId,
        key.route,
        key.key,
    )
    .fetch_optional(conn)
    .await?;
    Ok(match stored {
        None => Claim::Ours,
        Some(row) if row.fingerprint != key.fingerprint => Claim::OtherRequest,
        Some(row) => {
            Claim::Answered(Answer { status: row.status.unsigned_abs(), location: row.location, body: row.body })
        }
    })
}

/// Keeps the answer to a request whose key was claimed in the same transaction.
///
/// # Errors
/// If the database fails.
pub async fn keep(conn: &mut PgConnection, key: &Key<'_>, answer: &Answer) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        insert into idempotency_keys (user_id, route, key, fingerprint, status, location, body)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (user_id, route, key) do update
        set fingerprint = excluded.fingerprint, status = excluded.status, location = excluded.location,
            body = excluded.body, created_at = now()
        "#,
        key.user as UserId,
        key.route,
        key.key,
        key.fingerprint,
        i16::try_from(answer.status).unwrap_or(i16::MAX),
        answer.location.as_deref(),
        answer.body,
    )
    .execute(conn)
    .await?;
    Ok(())
}
