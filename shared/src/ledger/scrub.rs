//! What rows say of a person is taken out of them; that there was a job stays.

use std::collections::BTreeSet;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::ids::JobId;

/// Empties payloads, results and errors of `jobs` and of all that they led to, cancels those that are open, and takes out
/// whose they were: the rows of a shell still name them. A run that is under way finds its row closed and leaves nothing
/// behind.
///
/// # Errors
/// If the database fails.
pub async fn scrub(conn: &mut PgConnection, jobs: &[JobId]) -> sqlx::Result<()> {
    let family = lock_family(conn, jobs).await?;
    sqlx::query!(
        r#"
        update jobs set payload = '{}', result = null, last_error = null, submitter = null, group_key = null,
                        trace_parent = null, state = case when finished_at is null then 'cancelled' else state end,
                        finished_at = coalesce(finished_at, now())
        where id = any($1)
        "#,
        &family,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("delete from job_failures where job_id = any($1)", &family).execute(conn).await?;
    Ok(())
}

/// Locks the rows of `jobs` and of all that they led to, generation by generation. A row's children are read once it is
/// locked: a run that was about to add some has committed them by then, or adds none.
async fn lock_family(conn: &mut PgConnection, jobs: &[JobId]) -> sqlx::Result<Vec<Uuid>> {
    let mut family: BTreeSet<_> = jobs.iter().map(|id| id.0).collect();
    let mut youngest: Vec<_> = family.iter().copied().collect();
    while !youngest.is_empty() {
        let children =
            sqlx::query_scalar!("select children from jobs where id = any($1) order by id for update", &youngest,);
        let children = children.fetch_all(&mut *conn).await?.into_iter().flatten();
        youngest = children.filter(|id| family.insert(*id)).collect();
    }
    Ok(family.into_iter().collect())
}

/// Empties the payload of a job that is being closed: it held what is no longer needed.
///
/// # Errors
/// If the database fails.
pub async fn empty_payload(conn: &mut PgConnection, job: JobId) -> sqlx::Result<()> {
    sqlx::query!("update jobs set payload = '{}' where id = $1", job as JobId).execute(conn).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use bellwork_testkit::within;
    use chrono::Utc;
    use serde_json::json;
    use sqlx::PgPool;

    use super::super::{NewJob, close_dead_with, close_done, insert};
    use super::*;
    use crate::ids::UserId;

    fn job(parent: Option<JobId>) -> NewJob {
        let submitter = UserId::new();
        NewJob {
            id: JobId::new(),
            kind: "kind",
            version: 1,
            queue: "maintenance",
            priority: 2,
            group: Some(submitter.to_string()),
            payload: json!({ "user_id": submitter }),
            max_attempts: 1,
            run_at: Utc::now(),
            trace_parent: Some("00-1-2-01".to_owned()),
            submitter: Some(submitter),
            parent,
        }
    }

    /// Rows that say something of somebody.
    async fn telling(database: &PgPool) -> i64 {
        let telling = "select count(*) from jobs where payload <> '{}' or submitter is not null
                       or group_key is not null or trace_parent is not null or finished_at is null";
        sqlx::query_scalar(telling).fetch_one(database).await.unwrap()
    }

    async fn accept(database: &PgPool) -> JobId {
        let accepted = job(None);
        insert(&mut database.acquire().await.unwrap(), std::slice::from_ref(&accepted)).await.unwrap();
        accepted.id
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn all_generations_say_nothing_more_of_anybody(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let first = accept(&database).await;
        let second = job(Some(first));
        close_done(&mut conn, first, Some(&json!({ "score": 1 })), std::slice::from_ref(&second)).await.unwrap();
        close_dead_with(&mut conn, second.id, "it broke", &[job(Some(second.id))]).await.unwrap();
        scrub(&mut conn, &[first]).await.unwrap();
        assert_eq!(telling(&database).await, 0);
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn what_a_run_leads_to_while_it_is_waited_for_is_scrubbed_too(database: PgPool) {
        let first = accept(&database).await;
        let mut recording = database.begin().await.unwrap();
        close_done(&mut recording, first, None, &[job(Some(first))]).await.unwrap();
        tokio::join!(
            async {
                scrub(&mut database.acquire().await.unwrap(), &[first]).await.unwrap();
            },
            async {
                let waits = "select exists (select from pg_locks join pg_stat_activity using (pid)
                                            where not granted and datname = current_database())";
                within("the scrubbing waits for the run", async {
                    while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&database).await.unwrap() {
                        tokio::task::yield_now().await;
                    }
                })
                .await;
                recording.commit().await.unwrap();
            }
        );
        assert_eq!(telling(&database).await, 0);
    }
}
