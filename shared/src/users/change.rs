//! What changes about a user: the name, the password, whether the address was proved to be theirs.

use sqlx::PgConnection;

use super::{DisplayName, Email, Role, User};
use crate::ids::UserId;

/// Whether a password was changed by this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordChange {
    /// By this call.
    Changed,
    /// Somebody else changed it meanwhile, or the user is gone.
    Outrun,
}

/// The hash of the user's password, unless the user is gone.
///
/// # Errors
/// If the database fails.
pub async fn password_hash(conn: &mut PgConnection, user: UserId) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("select password_hash from users where id = $1", user as UserId).fetch_optional(conn).await
}

/// The hash of the user's password, unless the user is gone. Nobody changes it until the transaction ends: what is written
/// on the strength of a password comes before its change, or is not written.
///
/// # Errors
/// If the database fails.
pub async fn hold_password_hash(conn: &mut PgConnection, user: UserId) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("select password_hash from users where id = $1 for share", user as UserId)
        .fetch_optional(conn)
        .await
}

/// Replaces the hash `old` of the user's password by `new`. Of two that saw the same `old`, one wins.
///
/// # Errors
/// If the database fails.
pub async fn replace_password(
    conn: &mut PgConnection,
    user: UserId,
    old: &str,
    new: &str,
) -> sqlx::Result<PasswordChange> {
    let replaced = sqlx::query!(
        "update users set password_hash = $3 where id = $1 and password_hash = $2",
        user as UserId,
        old,
        new,
    );
    let rows = replaced.execute(conn).await?.rows_affected();
    Ok(if rows == 0 { PasswordChange::Outrun } else { PasswordChange::Changed })
}

/// Sets the user's password, whatever it was: for who has proved to be the user otherwise, by the mailbox. That proves
/// the address too, which is returned.
///
/// # Errors
/// If the database fails.
pub async fn reset_password(conn: &mut PgConnection, user: UserId, new: &str) -> sqlx::Result<String> {
    sqlx::query_scalar!(
        r#"
        update users set password_hash = $2, email_verified_at = coalesce(email_verified_at, now())
        where id = $1 returning email
        "#,
        user as UserId,
        new,
    )
    .fetch_one(conn)
    .await
}

/// Changes what others see of the user, unless the user is gone.
///
/// # Errors
/// If the database fails.
pub async fn rename(conn: &mut PgConnection, user: UserId, name: &DisplayName) -> sqlx::Result<Option<User>> {
    sqlx::query_as!(
        User,
        r#"
        update users set display_name = $2 where id = $1
        returning id as "id: UserId", email, display_name, role as "role: Role",
                  email_verified_at is not null as "email_verified!"
        "#,
        user as UserId,
        name.as_str(),
    )
    .fetch_optional(conn)
    .await
}

/// Notes that the user's address was proved to be theirs.
///
/// # Errors
/// If the database fails.
pub async fn verify_email(conn: &mut PgConnection, user: UserId) -> sqlx::Result<()> {
    sqlx::query!(
        "update users set email_verified_at = coalesce(email_verified_at, now()) where id = $1",
        user as UserId
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The user with that address, if there is one.
///
/// # Errors
/// If the database fails.
pub async fn find_by_email(conn: &mut PgConnection, email: &Email) -> sqlx::Result<Option<UserId>> {
    sqlx::query_scalar!(
        r#"select id as "id: UserId" from users where email = $1 and erased_at is null"#,
        email.as_str(),
    )
    .fetch_optional(conn)
    .await
}
