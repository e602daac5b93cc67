//! One-time links that are mailed: who holds the token of one has read the mail.

use std::time::Duration;

use sqlx::PgConnection;

use crate::ids::{JobId, UserId};
use crate::tokens::Token;

/// The most mails a user gets for one purpose in [`WINDOW`], whoever asks for them.
pub const MAX_SENDS: i16 = 5;
/// See [`MAX_SENDS`].
pub const WINDOW: Duration = Duration::from_secs(3600);

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "link_purpose", rename_all = "snake_case")]
pub enum Purpose {
    /// To show that the address is the user's.
    VerifyEmail,
    /// To choose a new password without the old one.
    ResetPassword,
}

impl Purpose {
    /// How long a link for it is good.
    #[must_use]
    pub const fn lifetime(self) -> Duration {
        match self {
            Self::VerifyEmail => Duration::from_secs(48 * 3600),
            Self::ResetPassword => Duration::from_secs(3600),
        }
    }
}

/// What a job that mails a link is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Making {
    /// Mail this one.
    Made(Token),
    /// Nothing: its mail has left already, a newer link was made meanwhile, or there were too many.
    NotNeeded,
}

/// Makes the link of `user` for `purpose` that `job` mails, and voids the one before. For a second run of the same job it
/// is the same link, so that both copies of a mail are good.
///
/// # Errors
/// If the database fails.
pub async fn make(conn: &mut PgConnection, user: UserId, purpose: Purpose, job: JobId) -> sqlx::Result<Making> {
    let token = Token::random();
    let made = sqlx::query!(
        r#"
        insert into mailed_links as link (user_id, purpose, job_id, token_hash, token, expires_at)
        values ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))
        on conflict (user_id, purpose) do update
        set job_id = excluded.job_id, token_hash = excluded.token_hash, token = excluded.token, created_at = now(),
            expires_at = excluded.expires_at, used_at = null,
            sends = case when link.counted_from > now() - make_interval(secs => $7) then link.sends + 1 else 1 end,
            counted_from = case when link.counted_from > now() - make_interval(secs => $7) then link.counted_from
                                else now() end
        where link.job_id < excluded.job_id
              and (link.sends < $8 or link.counted_from <= now() - make_interval(secs => $7))
        "#,
        user as UserId,
        purpose as Purpose,
        job as JobId,
        &token.hash(),
        token.bytes(),
        purpose.lifetime().as_secs_f64(),
        WINDOW.as_secs_f64(),
        MAX_SENDS,
    )
    .execute(&mut *conn)
    .await?;
    if made.rows_affected() == 1 { Ok(Making::Made(token)) } else { made_before(conn, user, purpose, job).await }
}

async fn made_before(conn: &mut PgConnection, user: UserId, purpose: Purpose, job: JobId) -> sqlx::Result<Making> {
    let token = sqlx::query_scalar!(
        "select token from mailed_links where user_id = $1 and purpose = $2 and job_id = $3",
        user as UserId,
        purpose as Purpose,
        job as JobId,
    )
    .fetch_optional(conn)
    .await?;
    Ok(token.flatten().and_then(|bytes| Token::of_bytes(&bytes)).map_or(Making::NotNeeded, Making::Made))
}

/// Forgets the token of a link whose mail has left, or will never leave. From now on only the mail says it.
///
/// # Errors
/// If the database fails.
pub async fn forget_token(conn: &mut PgConnection, user: UserId, purpose: Purpose, job: JobId) -> sqlx::Result<()> {
    sqlx::query!(
        "update mailed_links set token = null where user_id = $1 and purpose = $2 and job_id = $3",
        user as UserId,
        purpose as Purpose,
        job as JobId,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Uses up the link with that token, and says whose it was; nothing if it is void, too old, or was used. Of several that
/// come at once, one gets it.
///
/// # Errors
/// If the database fails.
pub async fn use_up(conn: &mut PgConnection, purpose: Purpose, token: Token) -> sqlx::Result<Option<UserId>> {
    sqlx::query_scalar!(
        r#"
        update mailed_links set used_at = now(), token = null
        where token_hash = $1 and purpose = $2 and used_at is null and expires_at > now()
        returning user_id as "user_id: UserId"
        "#,
        &token.hash(),
        purpose as Purpose,
    )
    .fetch_optional(conn)
    .await
}

/// True if that token would be taken now: to be asked before dear work is done for it, and not to be relied on after.
///
/// # Errors
/// If the database fails.
pub async fn is_good(conn: &mut PgConnection, purpose: Purpose, token: Token) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        select exists (
            select from mailed_links
            where token_hash = $1 and purpose = $2 and used_at is null and expires_at > now()) as "good!"
        "#,
        &token.hash(),
        purpose as Purpose,
    )
    .fetch_one(conn)
    .await
}

/// Voids the link of `user` for `purpose`, if there is one.
///
/// # Errors
/// If the database fails.
pub async fn void(conn: &mut PgConnection, user: UserId, purpose: Purpose) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update mailed_links set used_at = now(), token = null
        where user_id = $1 and purpose = $2 and used_at is null
        "#,
        user as UserId,
        purpose as Purpose,
    )
    .execute(conn)
    .await?;
    Ok(())
}
