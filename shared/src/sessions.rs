//! Sessions: opaque tokens of 256 bits, of which only the SHA-256 is stored.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use crate::ids::{SessionId, UserId};
use crate::users::{Role, User};

/// What a client holds to prove who it is. Never logged.
#[derive(Clone, Copy)]
pub struct Token([u8; 32]);

impl Token {
    /// A new one that nobody can guess.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// Reads one as a client sends it; what cannot be one is no session's.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// As a client sends it.
    #[must_use]
    pub fn reveal(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    fn hash(self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

/// Without the token.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
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
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
}

/// Opens a session of `user` for `lifetime`.
///
/// # Errors
/// If the database fails.
pub async fn insert(
    conn: &mut PgConnection,
    user: UserId,
    token: Token,
    user_agent: &str,
    lifetime: Duration,
) -> sqlx::Result<Session> {
    sqlx::query_as!(
        Session,
        r#"
        insert into sessions (id, user_id, token_hash, user_agent, expires_at)
        values ($1, $2, $3, $4, now() + make_interval(secs => $5))
        returning id as "id: SessionId", user_agent, created_at, expires_at
        "#,
        SessionId::new() as SessionId,
        user as UserId,
        &token.hash(),
        user_agent,
        lifetime.as_secs_f64(),
    )
    .fetch_one(conn)
    .await
}

/// Who a valid token belongs to.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The session.
    pub session: SessionId,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// Whose it is.
    pub user: User,
}

/// The owner of `token`, unless its session has ended.
///
/// # Errors
/// If the database fails.
pub async fn authenticate(conn: &mut PgConnection, token: Token) -> sqlx::Result<Option<SignedIn>> {
    let row = sqlx::query!(
        r#"
        select sessions.id as "session: SessionId", expires_at, users.id as "id: UserId", email, display_name,
               role as "role: Role"
        from sessions join users on users.id = user_id
        where token_hash = $1 and expires_at > now()
        "#,
        &token.hash(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let (id, email, display_name, role) = (row.id, row.email, row.display_name, row.role);
        let user = User { id, email, display_name, role };
        SignedIn { session: row.session, expires_at: row.expires_at, user }
    }))
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
        select id as "id: SessionId", user_agent, created_at, expires_at
        from sessions where user_id = $1 and id < $2 and expires_at > now() order by id desc limit $3
        "#,
        user as UserId,
        before.map_or(uuid::Uuid::max(), |id| id.0),
        limit,
    )
    .fetch_all(conn)
    .await
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

/// Those of `ids` whose sessions have ended.
///
/// # Errors
/// If the database fails.
pub async fn ended(conn: &mut PgConnection, ids: &[SessionId]) -> sqlx::Result<Vec<SessionId>> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    sqlx::query_scalar!(
        r#"
        select id as "id!: SessionId" from unnest($1::uuid[]) as asked (id)
        where not exists (select from sessions where sessions.id = asked.id and expires_at > now())
        "#,
        &ids,
    )
    .fetch_all(conn)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_hides_itself() {
        let token = Token::random();
        assert_eq!(Token::parse(&token.reveal()).unwrap().0, token.0);
        assert_eq!(format!("{token:?}"), "Token(…)");
        for text in ["", "abc", &"A".repeat(44), &format!("{}\0", token.reveal())] {
            assert!(Token::parse(text).is_none(), "{text:?}");
        }
    }
}
