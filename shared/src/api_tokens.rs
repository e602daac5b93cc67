//! Personal API tokens: what a student's own programs sign in with. They can do no more than their scopes say.

pub mod scopes;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::ids::{ApiTokenId, SessionId, UserId};
use crate::sessions::{self, Standing};
use crate::tokens::Token;
use crate::users::{Role, User};
use scopes::Scope;

/// Begins every token, so that people and scanners of leaked secrets recognise one.
const PREFIX: &str = "bwk_";
/// A user has no more tokens than these that have not expired.
pub const MAX_PER_USER: i64 = 25;
/// The longest life of a token.
pub const MAX_LIFE: TimeDelta = TimeDelta::days(366);
/// A token's use is noted at most this often: reading shall not cost a write.
const NOTED_EVERY: TimeDelta = TimeDelta::minutes(10);

/// As a client sends it.
#[must_use]
pub fn reveal(token: Token) -> String {
    format!("{PREFIX}{}", token.reveal())
}

/// True if `text` has the form of an API token rather than of a session's.
#[must_use]
pub fn is_meant(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Reads one as a client sends it; what cannot be one opens nothing.
#[must_use]
pub fn parse(text: &str) -> Option<Token> {
    Token::parse(text.strip_prefix(PREFIX)?)
}

/// A token, as its owner sees it after it was made.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ApiToken {
    /// Its id.
    pub id: ApiTokenId,
    /// What its owner calls it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// When it was last used, to ten minutes.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A token to be stored.
#[derive(Clone, Debug)]
pub struct NewApiToken<'a> {
    /// Whose it is.
    pub user: UserId,
    /// The session in which they ask for it.
    pub session: SessionId,
    /// See [`ApiToken::name`].
    pub name: &'a str,
    /// See [`ApiToken::scopes`].
    pub scopes: &'a [Scope],
    /// See [`ApiToken::expires_at`].
    pub expires_at: DateTime<Utc>,
}

/// What became of a new token.
#[derive(Clone, Debug)]
pub enum Issue {
    /// It is stored.
    Issued(ApiToken),
    /// The user has as many as they may; nothing was stored.
    TooMany,
    /// The session in which it was asked for has ended; nothing was stored.
    SessionEnded,
}

/// Stores a token. Holds the user's row until the transaction ends, so that two cannot both be the last that fits, and
/// none outlives a new password that ends the session and revokes all tokens.
///
/// # Errors
/// If the database fails.
pub async fn insert(conn: &mut PgConnection, token: Token, new: &NewApiToken<'_>) -> sqlx::Result<Issue> {
    sqlx::query!("select from users where id = $1 for no key update", new.user as UserId).execute(&mut *conn).await?;
    // A statement of its own sees what was committed while the row was waited for.
    if sessions::standing(&mut *conn, new.user, new.session).await? == Standing::Ended {
        return Ok(Issue::SessionEnded);
    }
    let row = sqlx::query!(
        r#"
        insert into api_tokens (id, user_id, token_hash, name, scopes, expires_at)
        select $1, $2, $3, $4, $5, $6
        where (select count(*) from api_tokens where user_id = $2 and expires_at > now()) < $7
        returning id as "id: ApiTokenId", name, scopes, created_at, expires_at, last_used_at
        "#,
        ApiTokenId::new() as ApiTokenId,
        new.user as UserId,
        &token.hash(),
        new.name,
        &scopes::names(new.scopes),
        new.expires_at,
        MAX_PER_USER,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map_or(Issue::TooMany, |row| {
        let (id, name, scopes) = (row.id, row.name, scopes::known(&row.scopes));
        let (created_at, expires_at, last_used_at) = (row.created_at, row.expires_at, row.last_used_at);
        Issue::Issued(ApiToken { id, name, scopes, created_at, expires_at, last_used_at })
    }))
}

/// Up to `limit` tokens of `user`, expired ones too, the newest first, those before `before`.
///
/// # Errors
/// If the database fails.
pub async fn list(
    conn: &mut PgConnection,
    user: UserId,
    before: Option<ApiTokenId>,
    limit: i64,
) -> sqlx::Result<Vec<ApiToken>> {
    let rows = sqlx::query!(
        r#"
        select id as "id: ApiTokenId", name, scopes, created_at, expires_at, last_used_at
        from api_tokens where user_id = $1 and id < $2 order by id desc limit $3
        "#,
        user as UserId,
        before.map_or(Uuid::max(), |id| id.0),
        limit,
    )
    .fetch_all(conn)
    .await?;
    let token = rows.into_iter().map(|row| {
        let (id, name, scopes) = (row.id, row.name, scopes::known(&row.scopes));
        let (created_at, expires_at, last_used_at) = (row.created_at, row.expires_at, row.last_used_at);
        ApiToken { id, name, scopes, created_at, expires_at, last_used_at }
    });
    Ok(token.collect())
}

/// Whether a token was revoked by this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// By this call.
    Revoked,
    /// The user has no such token.
    Unknown,
}

/// Revokes a token of `user`.
///
/// # Errors
/// If the database fails.
pub async fn revoke(conn: &mut PgConnection, user: UserId, id: ApiTokenId) -> sqlx::Result<Revocation> {
    let revoked =
        sqlx::query!("delete from api_tokens where id = $1 and user_id = $2", id as ApiTokenId, user as UserId);
    let rows = revoked.execute(conn).await?.rows_affected();
    Ok(if rows == 0 { Revocation::Unknown } else { Revocation::Revoked })
}

/// Revokes all tokens of `user`.
///
/// # Errors
/// If the database fails.
pub async fn revoke_all(conn: &mut PgConnection, user: UserId) -> sqlx::Result<()> {
    sqlx::query!("delete from api_tokens where user_id = $1", user as UserId).execute(conn).await?;
    Ok(())
}

/// Who a valid token belongs to, and what it may do.
#[derive(Clone, Debug)]
pub struct Presented {
    /// The token.
    pub id: ApiTokenId,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When its use was last noted.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Whose it is.
    pub user: User,
}

impl Presented {
    /// True if this use is to be noted, by [`touch`].
    #[must_use]
    pub fn is_unnoted(&self, now: DateTime<Utc>) -> bool {
        self.last_used_at.is_none_or(|last| now - last > NOTED_EVERY)
    }
}

/// The owner of `token`, unless it was revoked or has expired.
///
/// # Errors
/// If the database fails.
pub async fn authenticate(conn: &mut PgConnection, token: Token) -> sqlx::Result<Option<Presented>> {
    let row = sqlx::query!(
        r#"
        select api_tokens.id as "token: ApiTokenId", scopes, last_used_at, users.id as "id: UserId", email,
               display_name, role as "role: Role", email_verified_at is not null as "email_verified!"
        from api_tokens join users on users.id = user_id
        where token_hash = $1 and expires_at > now()
        "#,
        &token.hash(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let (id, email, display_name, role) = (row.id, row.email, row.display_name, row.role);
        let user = User { id, email, display_name, role, email_verified: row.email_verified };
        Presented { id: row.token, scopes: scopes::known(&row.scopes), last_used_at: row.last_used_at, user }
    }))
}

/// Notes that a token was used, unless that was noted lately.
///
/// # Errors
/// If the database fails.
pub async fn touch(conn: &mut PgConnection, id: ApiTokenId) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update api_tokens set last_used_at = now()
        where id = $1 and (last_used_at is null or last_used_at < now() - make_interval(secs => $2))
        "#,
        id as ApiTokenId,
        NOTED_EVERY.as_seconds_f64(),
    )
    .execute(conn)
    .await?;
    Ok(())
}
