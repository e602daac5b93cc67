//! Results of AI servers, kept by the hash of all they depend on, and the claims of those who are asking for one.

use serde_json::Value;
use sqlx::PgConnection;

use crate::ids::JobId;

/// A claim outlives every run of a job: a job that is lost is run again, and takes its own claim back.
const CLAIM_SECONDS: f64 = 600.0;
/// Results unused for this many days make room.
const UNUSED_DAYS: i32 = 90;
/// Old results deleted when a new one comes, so that their number falls as long as there are any.
const EVICTIONS: i64 = 10;

/// The SHA-256 of all that a result depends on: never of whose it is.
pub type ResultKey = [u8; 32];

/// A result that was asked for before.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// As it was validated.
    pub result: Value,
    /// Who wrote it.
    pub model: String,
}

/// What a key stands for at the moment.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// A result is there.
    Kept(Kept),
    /// It is this job's to ask for.
    Ours,
    /// Another job is asking.
    SomebodyAsks,
}

/// The result of `key`, or the claim to ask for it.
///
/// # Errors
/// If the database fails.
pub async fn find_or_claim(conn: &mut PgConnection, key: &ResultKey, job: JobId) -> sqlx::Result<Lookup> {
    if let Some(kept) = find(&mut *conn, key).await? {
        return Ok(Lookup::Kept(kept));
    }
    if !claim(&mut *conn, key, job).await? {
        return Ok(Lookup::SomebodyAsks);
    }
    // Its last holder may have kept a result between the two statements above.
    Ok(match find(&mut *conn, key).await? {
        Some(kept) => {
            release(conn, key, job).await?;
            Lookup::Kept(kept)
        }
        None => Lookup::Ours,
    })
}

async fn find(conn: &mut PgConnection, key: &ResultKey) -> sqlx::Result<Option<Kept>> {
    sqlx::query_as!(
        Kept,
        "update ai_results set hits = hits + 1, last_used_at = now() where key = $1 returning result, model",
        key.as_slice(),
    )
    .fetch_optional(conn)
    .await
}

/// True if the claim is this job's: nobody's before, its own, or one that has lapsed.
async fn claim(conn: &mut PgConnection, key: &ResultKey, job: JobId) -> sqlx::Result<bool> {
    let claimed = sqlx::query!(
        r#"
        insert into ai_claims as claim (key, job_id, expires_at) values ($1, $2, now() + make_interval(secs => $3))
        on conflict (key) do update set job_id = excluded.job_id, expires_at = excluded.expires_at
        where claim.job_id = excluded.job_id or claim.expires_at < now()
        "#,
        key.as_slice(),
        job as JobId,
        CLAIM_SECONDS,
    );
    Ok(claimed.execute(conn).await?.rows_affected() == 1)
}

/// Gives a claim back, if it is this job's.
///
/// # Errors
/// If the database fails.
pub async fn release(conn: &mut PgConnection, key: &ResultKey, job: JobId) -> sqlx::Result<()> {
    sqlx::query!("delete from ai_claims where key = $1 and job_id = $2", key.as_slice(), job as JobId)
        .execute(conn)
        .await?;
    Ok(())
}

/// Keeps a result for all who ask for the same. The first one stays.
///
/// # Errors
/// If the database fails.
pub async fn keep(conn: &mut PgConnection, key: &ResultKey, kind: &str, kept: &Kept) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into ai_results (key, kind, model, result) values ($1, $2, $3, $4) on conflict (key) do nothing",
        key.as_slice(),
        kind,
        kept.model,
        kept.result,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        r#"
        delete from ai_results where key = any(array(
            select key from ai_results where last_used_at < now() - make_interval(days => $1)
            order by last_used_at limit $2 for update skip locked
        ))
        "#,
        UNUSED_DAYS,
        EVICTIONS,
    )
    .execute(conn)
    .await?;
    Ok(())
}
