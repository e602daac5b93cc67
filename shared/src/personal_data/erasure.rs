//! The erasure: what is a person's goes; what the scores of others rest on goes to a shell that names nobody.

use sqlx::{AssertSqlSafe, PgConnection};

use super::{ALL, Erasure, Holding};
use crate::ids::{JobId, UserId};
use crate::ledger::scrub::scrub;
use crate::votes::traces;

/// What others see in the place of an erased user.
const SHELL_NAME: &str = "Deleted student";
/// The domain of a shell's address; nobody can have an address there (RFC 2606).
const SHELL_DOMAIN: &str = "erased.invalid";

/// Whether a user was erased by this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erased {
    /// By this call; what had to stay belongs to this shell now. Nothing leads from the one to the other.
    Into(UserId),
    /// There is no such user.
    Unknown,
}

/// Whether there is such a user, at least until the transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// There is.
    Here,
    /// There never was, or they were erased.
    Gone,
}

/// Keeps `user` from being erased until the transaction ends. Whoever changes rows of a user, their job's row among them,
/// calls it before anything else: an erasure takes the user first too, so that neither waits for what the other holds. It
/// is a statement of its own: the next one's snapshot is then younger than an erasure that this one has waited for.
///
/// # Errors
/// If the database fails.
pub async fn hold_off(conn: &mut PgConnection, user: UserId) -> sqlx::Result<Presence> {
    let held = sqlx::query!("select from users where id = $1 for key share", user as UserId);
    Ok(presence(held.fetch_optional(conn).await?))
}

/// Takes `user` for the erasure that is to follow in this transaction: nobody begins anything for them any more, and who
/// has begun is waited for.
///
/// # Errors
/// If the database fails.
pub async fn take(conn: &mut PgConnection, user: UserId) -> sqlx::Result<Presence> {
    let taken = sqlx::query!("select from users where id = $1 for update", user as UserId);
    Ok(presence(taken.fetch_optional(conn).await?))
}

fn presence<T>(row: Option<T>) -> Presence {
    row.map_or(Presence::Gone, |_| Presence::Here)
}

/// Erases `user`. The row of the user itself goes too, so that what is written for them at the same time fails rather
/// than stays.
///
/// # Errors
/// If the database fails.
pub async fn erase(conn: &mut PgConnection, user: UserId) -> sqlx::Result<Erased> {
    if take(conn, user).await? == Presence::Gone {
        return Ok(Erased::Unknown);
    }
    let jobs = jobs(conn, user).await?;
    scrub(conn, &jobs).await?;
    let shell = make_shell(conn).await?;
    traces::anonymize(conn, user, shell).await?;
    for holding in ALL {
        hand_over(conn, holding, user, shell).await?;
    }
    sqlx::query!("delete from users where id = $1", user as UserId).execute(conn).await?;
    Ok(Erased::Into(shell))
}

/// The jobs that were done for `user`, as far as tables name them; what these led to is found from them.
async fn jobs(conn: &mut PgConnection, user: UserId) -> sqlx::Result<Vec<JobId>> {
    let select = |holding: &Holding| {
        let Holding { table, user, .. } = holding;
        holding.jobs.map(|jobs| format!("select {jobs} from {table} where {user} = $1"))
    };
    // All names are constants of the table of personal data.
    let union = ALL.iter().filter_map(select).collect::<Vec<_>>().join(" union ");
    sqlx::query_scalar(AssertSqlSafe(union)).bind(user.0).fetch_all(conn).await
}

async fn make_shell(conn: &mut PgConnection) -> sqlx::Result<UserId> {
    let shell = UserId::new();
    sqlx::query!(
        r#"
        insert into users (id, email, display_name, password_hash, created_at, erased_at)
        values ($1, $2, $3, '', date_trunc('day', now()), date_trunc('day', now()))
        "#,
        shell as UserId,
        format!("{shell}@{SHELL_DOMAIN}"),
        SHELL_NAME,
    )
    .execute(conn)
    .await?;
    Ok(shell)
}

async fn hand_over(conn: &mut PgConnection, holding: &Holding, user: UserId, shell: UserId) -> sqlx::Result<()> {
    let Holding { table, user: owner, .. } = holding;
    // All names and assignments are constants of the table of personal data.
    match holding.erasure {
        Erasure::TheUser => {}
        Erasure::Deleted => {
            let delete = AssertSqlSafe(format!("delete from {table} where {owner} = $1"));
            sqlx::query(delete).bind(user.0).execute(conn).await?;
        }
        Erasure::Anonymised(further) => {
            let further = if further.is_empty() { String::new() } else { format!(", {further}") };
            let update = AssertSqlSafe(format!("update {table} set {owner} = $2{further} where {owner} = $1"));
            sqlx::query(update).bind(user.0).bind(shell.0).execute(conn).await?;
        }
    }
    Ok(())
}
