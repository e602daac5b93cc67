//! Users and their roles.

pub mod change;

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::ids::UserId;
use crate::schemas;

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "user_role", rename_all = "snake_case")]
pub enum Role {
    /// Takes tests.
    Student,
    /// Sees and steers every queue.
    Admin,
}

/// A user, as it goes out over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// Lower-cased.
    pub email: String,
    /// What others see.
    pub display_name: String,
    /// What they may do.
    pub role: Role,
    /// Whether they have shown that the address is theirs.
    pub email_verified: bool,
}

/// The longest address, in bytes (RFC 5321, 4.5.3.1.3 without its brackets).
pub const MAX_EMAIL: usize = 254;
/// The longest part before the @ or between two dots of it, in bytes (RFC 5321, 4.5.3.1.1).
const MAX_ATOM: usize = 64;
/// The longest part of a domain between two dots, in bytes.
const MAX_LABEL: usize = 63;
/// The longest name, in characters.
pub const MAX_DISPLAY_NAME: usize = 80;
/// The shortest password, in characters (NIST SP 800-63B).
pub const MIN_PASSWORD: usize = 8;
/// The longest password, in characters; hashing time grows with it.
pub const MAX_PASSWORD: usize = 256;

/// An address that mail can be sent to, lower-cased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

/// A name that others see: trimmed, not empty, printable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplayName(String);

/// A password that may be set. Never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct NewPassword(String);

/// Why a part of a registration cannot be used. Its message is a sentence for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Not of the form that HTML calls a valid e-mail address, or too long.
    #[error("This is no e-mail address.")]
    Email,
    /// Empty, too long, or with control characters.
    #[error("A name has 1 to {MAX_DISPLAY_NAME} printable characters.")]
    DisplayName,
    /// Too short or too long.
    #[error("A password has {MIN_PASSWORD} to {MAX_PASSWORD} characters, and no NUL.")]
    Password,
}

impl Email {
    /// Reads an address.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        let (local, domain) = text.rsplit_once('@').ok_or(Unusable::Email)?;
        if text.len() <= MAX_EMAIL && local.split('.').all(is_atom) && domain.split('.').all(is_label) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(Unusable::Email)
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_atom(part: &str) -> bool {
    (1..=MAX_ATOM).contains(&part.len())
        && part.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~-".contains(c))
}

fn is_label(part: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (1..=MAX_LABEL).contains(&part.len()) && part.chars().all(inner) && !part.starts_with('-') && !part.ends_with('-')
}

impl DisplayName {
    /// Reads a name; white space around it is dropped.
    ///
    /// # Errors
    /// If it is blank, too long with that white space, or holds control characters.
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        let name = text.trim();
        if !name.is_empty() && text.chars().count() <= MAX_DISPLAY_NAME && !text.chars().any(char::is_control) {
            return Ok(Self(name.to_owned()));
        }
        Err(Unusable::DisplayName)
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl NewPassword {
    /// Reads a password.
    ///
    /// # Errors
    /// If it is too short or too long.
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        if (MIN_PASSWORD..=MAX_PASSWORD).contains(&text.chars().count()) && !text.contains('\0') {
            return Ok(Self(text.to_owned()));
        }
        Err(Unusable::Password)
    }

    /// As text, to be hashed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialSchema for Email {
    fn schema() -> RefOr<Schema> {
        let atom = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}";
        let label = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
        schemas::patterned(3..=MAX_EMAIL, &format!(r"^{atom}(\.{atom})*@{label}(\.{label})*$"))
    }
}

impl PartialSchema for DisplayName {
    fn schema() -> RefOr<Schema> {
        schemas::line(MAX_DISPLAY_NAME)
    }
}

impl PartialSchema for NewPassword {
    fn schema() -> RefOr<Schema> {
        schemas::text(MIN_PASSWORD..=MAX_PASSWORD)
    }
}

impl ToSchema for Email {}
impl ToSchema for DisplayName {}
impl ToSchema for NewPassword {}

/// Without the password.
impl std::fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewPassword(…)")
    }
}

/// A user to be stored.
#[derive(Clone, Debug)]
pub struct NewUser<'a> {
    /// Their address.
    pub email: &'a Email,
    /// Their name.
    pub display_name: &'a DisplayName,
    /// What they may do.
    pub role: Role,
    /// Of [`crate::passwords::hash`].
    pub password_hash: &'a str,
}

/// What became of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registration {
    /// The user is stored.
    New(User),
    /// Somebody has that address; nothing was stored.
    EmailTaken,
}

/// Stores a user, unless the address is taken.
///
/// # Errors
/// If the database fails.
pub async fn insert(conn: &mut PgConnection, new: &NewUser<'_>) -> sqlx::Result<Registration> {
    let stored = sqlx::query_as!(
        User,
        r#"
        insert into users (id, email, display_name, role, password_hash) values ($1, $2, $3, $4, $5)
        on conflict (email) do nothing
        returning id as "id: UserId", email, display_name, role as "role: Role", false as "email_verified!"
        "#,
        UserId::new() as UserId,
        new.email.as_str(),
        new.display_name.as_str(),
        new.role as Role,
        new.password_hash,
    )
    .fetch_optional(conn)
    .await?;
    Ok(stored.map_or(Registration::EmailTaken, Registration::New))
}

/// The user, unless they are gone.
///
/// # Errors
/// If the database fails.
pub async fn find(conn: &mut PgConnection, id: UserId) -> sqlx::Result<Option<User>> {
    sqlx::query_as!(
        User,
        r#"
        select id as "id: UserId", email, display_name, role as "role: Role",
               email_verified_at is not null as "email_verified!"
        from users where id = $1 and erased_at is null
        "#,
        id as UserId,
    )
    .fetch_optional(conn)
    .await
}

/// The user with that address and the hash of their password, if there is one.
///
/// # Errors
/// If the database fails.
pub async fn find_with_password(conn: &mut PgConnection, email: &Email) -> sqlx::Result<Option<(User, String)>> {
    let row = sqlx::query!(
        r#"
        select id as "id: UserId", email, display_name, role as "role: Role",
               email_verified_at is not null as "email_verified!", password_hash
        from users where email = $1 and erased_at is null
        "#,
        email.as_str(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let (id, email, display_name, role) = (row.id, row.email, row.display_name, row.role);
        (User { id, email, display_name, role, email_verified: row.email_verified }, row.password_hash)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_lower_cased_and_has_a_local_part_and_a_domain() {
        assert_eq!(Email::parse("Ada.Lovelace+x@Example.COM").unwrap().as_str(), "ada.lovelace+x@example.com");
        assert!(Email::parse("a@localhost").is_ok());
        let long = format!("{}@example.com", "a".repeat(65));
        for text in ["", "a", "a@", "@b", "a b@c", "a@b@c", "a..b@c", ".a@b", "a@-b", "a@b..c", "ä@b", "a\0@b", &long]
        {
            assert_eq!(Email::parse(text), Err(Unusable::Email), "{text:?}");
        }
    }

    #[test]
    fn a_name_is_trimmed_and_printable() {
        assert_eq!(DisplayName::parse("  Ada  ").unwrap().as_str(), "Ada");
        assert!(DisplayName::parse(&"ä".repeat(80)).is_ok());
        for text in ["", "   ", "a\0b", "a\nb", &"a".repeat(81)] {
            assert_eq!(DisplayName::parse(text), Err(Unusable::DisplayName), "{text:?}");
        }
    }

    #[test]
    fn a_password_is_long_enough_and_not_endless() {
        assert!(NewPassword::parse("12345678").is_ok());
        assert!(NewPassword::parse(&"ä".repeat(256)).is_ok());
        assert_eq!(NewPassword::parse("1234567"), Err(Unusable::Password));
        assert_eq!(NewPassword::parse(&"x".repeat(257)), Err(Unusable::Password));
    }
}
