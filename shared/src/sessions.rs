//! Sessions: opened by a password, ended by their owner, by their age, or by not being used.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use crate::ids::{SessionId, UserId};
use crate::tokens::Token;
use crate::users::Role;

/// A session's use is noted at most this often: reading shall not cost a write.
const NOTED_EVERY: Duration = Duration::from_secs(600);

/// How long a session lasts.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime {
    /// However much it is used.
    pub absolute: Duration,
    /// Without being used.
    pub idle: Duration,
}

/// A session, as its owner sees it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// The client that opened it, by its own account.
    pub user_agent: String,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When it was last used, to ten minutes.
    pub last_seen_at: DateTime<Utc>,
    /// When it ends by itself, however much it is used.
    pub expires_at: DateTime<Utc>,
}

/// Opens a session of `user`.
///
/// # Errors
/// If the database fails.
pub async fn insert(
    conn: &mut PgConnection,
    user: UserId,
    token: Token,
    user_agent: &str,
    lifetime: Lifetime,
) -> sqlx::Result<Session> {
    sqlx::query_as!(
        Session,
        r#"
        insert into sessions (id, user_id, token_hash, user_agent, expires_at, idle_at)
        values ($1, $2, $3, $4, now() + make_interval(secs => $5), now() + make_interval(secs => $6))
        returning id as "id: SessionId", user_agent, created_at, last_seen_at, expires_at
        "#,
        SessionId::new() as SessionId,
        user as UserId,
        &token.hash(),
        user_agent,
        lifetime.absolute.as_secs_f64(),
        lifetime.idle.as_secs_f64(),
    )
    .fetch_one(conn)
    .await
}

/// Who somebody is and what they may do, and nothing else of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Their id.
    pub id: UserId,
    /// What they may do.
    pub role: Role,
}

/// Who a valid token belongs to.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The session.
    pub session: SessionId,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// When it ends if it is not used.
    pub idle_at: DateTime<Utc>,
    /// When its use was last noted.
    pub last_seen_at: DateTime<Utc>,
    /// Whose it is.
    pub user: Identity,
}

impl SignedIn {
    /// True if this use is to be noted, by [`touch`].
    #[must_use]
    pub fn is_unnoted(&self, now: DateTime<Utc>) -> bool {
        (now - self.last_seen_at).to_std().is_ok_and(|age| age > NOTED_EVERY)
    }
}

/// The owner of `token`, unless its session has ended.
///
/// # Errors
/// If the database fails.
pub async fn authenticate(conn: &mut PgConnection, token: Token) -> sqlx::Result<Option<SignedIn>> {
    let row = sqlx::query!(
        r#"
        select sessions.id as "session: SessionId", expires_at, idle_at, last_seen_at, users.id as "id: UserId",
               role as "role: Role"
        from sessions join users on users.id = user_id
        where token_hash = $1 and least(expires_at, idle_at) > now()
        "#,
        &token.hash(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let (session, expires_at, idle_at, last_seen_at) = (row.session, row.expires_at, row.idle_at, row.last_seen_at);
        SignedIn { session, expires_at, idle_at, last_seen_at, user: Identity { id: row.id, role: row.role } }
    }))
}

/// Notes that a session was used, unless that was noted lately: it goes on for another `idle`.
///
/// # Errors
/// If the database fails.
pub async fn touch(conn: &mut PgConnection, id: SessionId, idle: Duration) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update sessions set last_seen_at = now(), idle_at = now() + make_interval(secs => $2)
        where id = $1 and last_seen_at < now() - make_interval(secs => $3) and idle_at > now()
        "#,
        id as SessionId,
        idle.as_secs_f64(),
        NOTED_EVERY.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Up to `limit` sessions of `user` that have not ended, the newest first, those before `before`.
///
/// # Errors
/// If the database fails.
pub async fn list(
    conn: &mut PgConnection,
    user: UserId,
    before: Option<SessionId>,
    limit: i64,
) -> sqlx::Result<Vec<Session>> {
    sqlx::query_as!(
        Session,
        r#"
        select id as "id: SessionId", user_agent, created_at, last_seen_at, expires_at
        from sessions where user_id = $1 and id < $2 and least(expires_at, idle_at) > now() order by id desc limit $3
        "#,
        user as UserId,
        before.map_or(uuid::Uuid::max(), |id| id.0),
        limit,
    )
    .fetch_all(conn)
    .await
}

/// What their users may do, of those of `ids` whose sessions have not ended.
///
/// # Errors
/// If the database fails.
pub async fn roles(conn: &mut PgConnection, ids: &[SessionId]) -> sqlx::Result<HashMap<SessionId, Role>> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"
        select sessions.id as "id: SessionId", role as "role: Role"
        from sessions join users on users.id = user_id
        where sessions.id = any($1) and least(expires_at, idle_at) > now()
        "#,
        &ids,
    );
    Ok(rows.fetch_all(conn).await?.into_iter().map(|row| (row.id, row.role)).collect())
}

/// The hashes of the tokens of all sessions of `user`.
///
/// # Errors
/// If the database fails.
pub async fn token_hashes(conn: &mut PgConnection, user: UserId) -> sqlx::Result<Vec<[u8; 32]>> {
    let hashes = sqlx::query_scalar!("select token_hash from sessions where user_id = $1", user as UserId);
    Ok(hashes.fetch_all(conn).await?.into_iter().filter_map(|hash| hash.try_into().ok()).collect())
}

/// Whether a session was ended by this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By this call.
    Ended,
    /// The user has no such session.
    Unknown,
}

/// Ends a session of `user`.
///
/// # Errors
/// If the database fails.
pub async fn end(conn: &mut PgConnection, user: UserId, id: SessionId) -> sqlx::Result<Ending> {
    let ended = sqlx::query!("delete from sessions where id = $1 and user_id = $2", id as SessionId, user as UserId)
        .execute(conn)
        .await?;
    Ok(if ended.rows_affected() == 0 { Ending::Unknown } else { Ending::Ended })
}

/// Ends all sessions of `user`, and says which.
///
/// # Errors
/// If the database fails.
pub async fn end_all(conn: &mut PgConnection, user: UserId) -> sqlx::Result<Vec<SessionId>> {
    sqlx::query_scalar!(r#"delete from sessions where user_id = $1 returning id as "id: SessionId""#, user as UserId)
        .fetch_all(conn)
        .await
}

/// Ends all sessions of `user` but `kept`, and says which.
///
/// # Errors
/// If the database fails.
pub async fn end_others(conn: &mut PgConnection, user: UserId, kept: SessionId) -> sqlx::Result<Vec<SessionId>> {
    sqlx::query_scalar!(
        r#"delete from sessions where user_id = $1 and id <> $2 returning id as "id: SessionId""#,
        user as UserId,
        kept as SessionId,
    )
    .fetch_all(conn)
    .await
}

/// Puts a session under a new token; the old one opens nothing from the commit on. Returns when the session ends, unless
/// it has ended.
///
/// # Errors
/// If the database fails.
pub async fn renew(conn: &mut PgConnection, id: SessionId, token: Token) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar!(
        "update sessions set token_hash = $2 where id = $1 returning expires_at",
        id as SessionId,
        &token.hash(),
    )
    .fetch_optional(conn)
    .await
}

/// Whether a session still stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Open,
    /// It has ended, or there never was one.
    Ended,
}

/// Whether session `id` of `user` still stands.
///
/// # Errors
/// If the database fails.
pub async fn standing(conn: &mut PgConnection, user: UserId, id: SessionId) -> sqlx::Result<Standing> {
    let open = sqlx::query_scalar!(
        r#"
        select exists (
            select from sessions
            where id = $1 and user_id = $2 and least(expires_at, idle_at) > now()) as "open!"
        "#,
        id as SessionId,
        user as UserId,
    );
    Ok(if open.fetch_one(conn).await? { Standing::Open } else { Standing::Ended })
}

/// Those of `ids` whose sessions have ended.
///
/// # Errors
/// If the database fails.
pub async fn ended(conn: &mut PgConnection, ids: &[SessionId]) -> sqlx::Result<Vec<SessionId>> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    sqlx::query_scalar!(
        r#"
        select id as "id!: SessionId" from unnest($1::uuid[]) as asked (id)
        where not exists (
            select from sessions where sessions.id = asked.id and least(expires_at, idle_at) > now())
        "#,
        &ids,
    )
    .fetch_all(conn)
    .await
}
