//! Public figures. Small tables are counted; the size of large ones is what PostgreSQL's own statistics say, so that no
//! visitor makes it read millions of rows.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

/// How much Bellwork is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Figures {
    /// Accounts; an estimate above 100,000.
    pub students: i64,
    /// Attempts with a result; an estimate above 100,000.
    pub attempts_graded: i64,
    /// Those of them that were handed in since midnight UTC; never more than 100,000.
    pub attempts_graded_today: i64,
    /// Practice tests.
    pub tests: i64,
    /// Questions of all tests; an estimate above 100,000.
    pub questions: i64,
    /// Votes on AI models; an estimate above 100,000.
    pub votes: i64,
    /// When this was counted: up to a minute ago.
    pub counted_at: DateTime<Utc>,
}

/// Counts now.
///
/// # Errors
/// If the database fails.
pub async fn figures(conn: &mut PgConnection) -> sqlx::Result<Figures> {
    let figures = sqlx::query_as!(
        Figures,
        r#"
        with large as (
            select relname, reltuples::bigint as rows from pg_class
            where oid in ('users'::regclass, 'attempts'::regclass, 'questions'::regclass, 'votes'::regclass)
                  and reltuples > 100000
        )
        select coalesce((select rows from large where relname = 'users'),
                        (select count(*) from (select from users where role = 'student' limit 200000) as few)
               ) as "students!",
               coalesce((select rows from large where relname = 'attempts'),
                        (select count(*) from (select from attempts where status = 'graded' limit 200000) as few)
               ) as "attempts_graded!",
               (select count(*) from (
                    select from attempts
                    where id >= uuid7_floor(date_trunc('day', now() at time zone 'UTC') at time zone 'UTC')
                          and status = 'graded'
                    limit 100000) as few) as "attempts_graded_today!",
               (select count(*) from practice_tests) as "tests!",
               coalesce((select rows from large where relname = 'questions'),
                        (select count(*) from (select from questions limit 200000) as few)) as "questions!",
               coalesce((select rows from large where relname = 'votes'),
                        (select count(*) from (select from votes limit 200000) as few)) as "votes!",
               now() as "counted_at!"
        "#
    );
    figures.fetch_one(conn).await
}
