//! Study aids, the rows: what a student asked for and, once its job is done, the result.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::forms::{Aid, AidKind};
use crate::ids::{AidId, JobId, UserId};

/// How far a study aid has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "aid_status", rename_all = "snake_case")]
pub enum AidStatus {
    /// Accepted; its job says more.
    Queued,
    /// The result is there.
    Ready,
    /// It was given up or cancelled.
    Failed,
}

/// Who made a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "aid_maker", rename_all = "snake_case")]
pub enum AidMaker {
    /// A model wrote it; our code has checked its form, not its truth.
    Ai,
    /// Our code, from what teachers wrote.
    Rules,
}

/// A study aid to be stored.
#[derive(Clone, Copy, Debug)]
pub struct NewAid<'a, A> {
    /// Its id.
    pub id: AidId,
    /// Whose it is.
    pub user: UserId,
    /// The job that makes it.
    pub job: JobId,
    /// What is asked.
    pub asked: &'a A,
}

/// Stores a study aid as queued.
///
/// # Errors
/// If the database fails.
pub async fn insert<A: Aid>(conn: &mut PgConnection, new: &NewAid<'_, A>) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into study_aids (id, user_id, kind, job_id, asked) values ($1, $2, $3, $4, $5)",
        new.id as AidId,
        new.user as UserId,
        A::KIND as AidKind,
        new.job as JobId,
        Json(new.asked) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What was asked, and by whom, unless the aid has vanished.
///
/// # Errors
/// If the database fails.
pub async fn asked<A: Aid>(conn: &mut PgConnection, id: AidId) -> sqlx::Result<Option<(UserId, A)>> {
    let row = sqlx::query!(
        r#"select user_id as "user_id: UserId", asked from study_aids where id = $1 and kind = $2"#,
        id as AidId,
        A::KIND as AidKind,
    );
    let Some(row) = row.fetch_optional(conn).await? else { return Ok(None) };
    Ok(Some((row.user_id, read(row.asked)?)))
}

/// A result to be stored.
#[derive(Clone, Debug)]
pub struct Made<R> {
    /// What was made.
    pub result: R,
    /// Who made it.
    pub made_by: AidMaker,
    /// The model that wrote it.
    pub model: Option<String>,
}

/// What came of storing a result or a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marked {
    /// It is there.
    Now,
    /// The aid has vanished, or has a result already.
    NotAnyMore,
}

impl Marked {
    fn of(rows: u64) -> Self {
        if rows == 0 { Self::NotAnyMore } else { Self::Now }
    }
}

/// Stores the result, unless there is one.
///
/// # Errors
/// If the database fails.
pub async fn mark_ready<R: Serialize + Sync>(
    conn: &mut PgConnection,
    id: AidId,
    made: &Made<R>,
) -> sqlx::Result<Marked> {
    let updated = sqlx::query!(
        r#"
        update study_aids set status = 'ready', made_by = $2, model = $3, result = $4, finished_at = now()
        where id = $1 and status <> 'ready'
        "#,
        id as AidId,
        made.made_by as AidMaker,
        made.model,
        Json(&made.result) as _,
    );
    updated.execute(conn).await.map(|done| Marked::of(done.rows_affected()))
}

/// Shows the aid as failed, unless it has a result.
///
/// # Errors
/// If the database fails.
pub async fn mark_failed(conn: &mut PgConnection, id: AidId) -> sqlx::Result<Marked> {
    let updated =
        sqlx::query!("update study_aids set status = 'failed' where id = $1 and status = 'queued'", id as AidId);
    updated.execute(conn).await.map(|done| Marked::of(done.rows_affected()))
}

/// Shows a failed aid as queued again.
///
/// # Errors
/// If the database fails.
pub async fn mark_queued(conn: &mut PgConnection, id: AidId) -> sqlx::Result<()> {
    sqlx::query!("update study_aids set status = 'queued' where id = $1 and status = 'failed'", id as AidId)
        .execute(conn)
        .await?;
    Ok(())
}

/// A study aid, as it goes out over HTTP.
#[derive(Clone, Debug, Serialize)]
pub struct StudyAid<A, R> {
    /// Its id.
    pub id: AidId,
    /// The job that makes it.
    pub job_id: JobId,
    /// How far it has come.
    pub status: AidStatus,
    /// What was asked.
    pub asked: A,
    /// Who made the result; a result by rules cost nothing.
    pub made_by: Option<AidMaker>,
    /// The model that wrote it.
    pub model: Option<String>,
    /// What was made, once it is ready.
    pub result: Option<R>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When the result was stored.
    pub finished_at: Option<DateTime<Utc>>,
}

/// The aid, if it is `user`'s.
///
/// # Errors
/// If the database fails.
pub async fn find<A: Aid>(
    conn: &mut PgConnection,
    user: UserId,
    id: AidId,
) -> sqlx::Result<Option<StudyAid<A, A::Result>>> {
    Ok(between(conn, user, id, id, 1).await?.pop())
}

/// Up to `limit` aids of `user`, the newest first, older than `before`.
///
/// # Errors
/// If the database fails.
pub async fn list<A: Aid>(
    conn: &mut PgConnection,
    user: UserId,
    before: Option<AidId>,
    limit: i64,
) -> sqlx::Result<Vec<StudyAid<A, A::Result>>> {
    let newest = before.map_or(Uuid::max(), |id| Uuid::from_u128(id.0.as_u128().saturating_sub(1)));
    between(conn, user, AidId(Uuid::nil()), AidId(newest), limit).await
}

/// Both bounds are included.
async fn between<A: Aid>(
    conn: &mut PgConnection,
    user: UserId,
    oldest: AidId,
    newest: AidId,
    limit: i64,
) -> sqlx::Result<Vec<StudyAid<A, A::Result>>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select id as "id: AidId", job_id as "job_id: JobId", status as "status: AidStatus", asked,
               made_by as "made_by: AidMaker", model, result, created_at, finished_at
        from study_aids where user_id = $1 and kind = $2 and id between $3 and $4 order by id desc limit $5
        "#,
        user as UserId,
        A::KIND as AidKind,
        oldest as AidId,
        newest as AidId,
        limit,
    );
    let aid = |row: Row| {
        Ok(StudyAid {
            id: row.id,
            job_id: row.job_id,
            status: row.status,
            asked: read(row.asked)?,
            made_by: row.made_by,
            model: row.model,
            result: row.result.map(read).transpose()?,
            created_at: row.created_at,
            finished_at: row.finished_at,
        })
    };
    rows.fetch_all(conn).await?.into_iter().map(aid).collect()
}

/// A row of any kind.
struct Row {
    id: AidId,
    job_id: JobId,
    status: AidStatus,
    asked: Value,
    made_by: Option<AidMaker>,
    model: Option<String>,
    result: Option<Value>,
    created_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
}

fn read<T: DeserializeOwned>(stored: Value) -> sqlx::Result<T> {
    serde_json::from_value(stored).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// What a job leaves behind: the same as its resource.
///
/// # Errors
/// If the result is no JSON, which no result is.
pub fn job_result<R: Serialize>(id: AidId, made: &Made<R>) -> serde_json::Result<Value> {
    Ok(serde_json::json!({
        "id": id, "made_by": made.made_by, "model": made.model, "result": serde_json::to_value(&made.result)?,
    }))
}
