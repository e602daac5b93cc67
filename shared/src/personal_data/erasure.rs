//! The erasure: what is a person's goes; what the scores of others rest on goes to a shell that names nobody.

use sqlx::{AssertSqlSafe, PgConnection};

use super::{ALL, Erasure, Holding};
use crate::ids::{JobId, UserId};
use crate::ledger::scrub::scrub;

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

/// Erases `user`. The row of the user itself goes too, so that what is written for them at the same time fails rather
/// than stays.
///
/// # Errors
/// If the database fails.
pub async fn erase(conn: &mut PgConnection, user: UserId) -> sqlx::Result<Erased> {
    let locked = sqlx::query!("select from users where id = $1 for update", user as UserId);
    if locked.fetch_optional(&mut *conn).await?.is_none() {
        return Ok(Erased::Unknown);
    }
    let jobs = jobs(conn, user).await?;
    scrub(conn, &jobs).await?;
    let shell = make_shell(conn).await?;
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
