//! Practice: sets of the questions of the bank that a student knows least. A set is a sitting of no test.

use sqlx::types::Json;
use sqlx::{PgConnection, QueryBuilder};
use uuid::Uuid;

use crate::ids::{QuestionId, SittingId, TestId, UserId};
use crate::points::Points;
use crate::practice_tests::{AnswerKey, Choice, PracticeTest, Question, QuestionKind};
use crate::question_bank::{Filter, narrow};
use crate::sittings::GRACE_SECONDS;

/// How long a set can be answered, in days.
const OPEN_DAYS: i32 = 7;

/// The newest results in which a question counts as met; one met longer ago is new again.
const REMEMBERED_ATTEMPTS: i64 = 50;

/// Up to `count` questions for `user`: first those they have not met, the oldest first; then those of which they earned the
/// smallest share. The same results give the same questions.
///
/// # Errors
/// If the database fails.
pub async fn choose(
    conn: &mut PgConnection,
    user: UserId,
    filter: &Filter,
    count: usize,
) -> sqlx::Result<Vec<QuestionId>> {
    let met = met(conn, user).await?;
    let mut chosen = unmet(conn, filter, &met, count).await?;
    if chosen.len() < count {
        chosen.extend(worst(conn, filter, &met, count - chosen.len()).await?);
    }
    Ok(chosen)
}

/// The lineages of what the student has met, the worst known first, then the one met least often.
async fn met(conn: &mut PgConnection, user: UserId) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        select lineage
        from (select feedback from attempts where user_id = $1 and status = 'graded' order by id desc limit $2) as newest
        cross join lateral jsonb_to_recordset(feedback) as graded (question_id uuid, points numeric)
        join questions on questions.id = question_id
        group by lineage order by avg(graded.points / questions.points), count(*), lineage
        "#,
        user as UserId,
        REMEMBERED_ATTEMPTS,
    )
    .fetch_all(conn)
    .await
}

async fn unmet(conn: &mut PgConnection, filter: &Filter, met: &[Uuid], count: usize) -> sqlx::Result<Vec<QuestionId>> {
    let mut query = QueryBuilder::new("select id from questions where listed and standalone");
    narrow(&mut query, filter);
    query.push(" and lineage <> all(").push_bind(met.to_vec()).push(") order by id limit ").push_bind(bound(count));
    query.build_query_scalar().fetch_all(conn).await
}

async fn worst(conn: &mut PgConnection, filter: &Filter, met: &[Uuid], count: usize) -> sqlx::Result<Vec<QuestionId>> {
    let mut query = QueryBuilder::new("select id from questions where listed and standalone and lineage = any(");
    query.push_bind(met.to_vec()).push(")");
    narrow(&mut query, filter);
    query.push(" order by array_position(").push_bind(met.to_vec()).push(", lineage) limit ").push_bind(bound(count));
    query.build_query_scalar().fetch_all(conn).await
}

fn bound(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Starts a set of these questions.
///
/// # Errors
/// If the database fails.
pub async fn start(
    conn: &mut PgConnection,
    user: UserId,
    title: &str,
    questions: &[QuestionId],
) -> sqlx::Result<SittingId> {
    let ids: Vec<_> = questions.iter().map(|question| question.0).collect();
    sqlx::query_scalar!(
        r#"
        insert into sittings (id, user_id, test_id, title, questions, max_score, deadline, closes_at, late_accepted)
        select $1, $2, $1, $3, $4, sum(points), now() + make_interval(days => $5),
               now() + make_interval(days => $5, secs => $6), false
        from questions where id = any($4)
        returning id as "id: SittingId"
        "#,
        SittingId::new() as SittingId,
        user as UserId,
        title,
        &ids,
        OPEN_DAYS,
        f64::from(GRACE_SECONDS),
    )
    .fetch_one(conn)
    .await
}

/// The heading of a set, if there is one.
///
/// # Errors
/// If the database fails.
pub async fn heading(conn: &mut PgConnection, id: SittingId) -> sqlx::Result<Option<PracticeTest>> {
    let row = sqlx::query!(
        r#"select title, max_score as "max_score: Points" from sittings where id = $1 and test_version is null"#,
        id as SittingId,
    );
    Ok(row.fetch_optional(conn).await?.map(|row| PracticeTest {
        id: TestId(id.0),
        version: None,
        title: row.title,
        passage: None,
        time_limit: None,
        max_score: row.max_score,
    }))
}

/// The questions of a set in their order.
///
/// # Errors
/// If the database fails.
pub async fn questions(conn: &mut PgConnection, id: SittingId) -> sqlx::Result<Vec<Question>> {
    sqlx::query_as!(
        Question,
        r#"
        select question.id as "id: QuestionId", kind as "kind: QuestionKind", prompt,
               choices as "choices: Json<Vec<Choice>>", answer_key as "answer_key: Json<AnswerKey>", explanation,
               points as "points: Points"
        from sittings
        cross join lateral unnest(sittings.questions) with ordinality as chosen (question_id, place)
        join questions as question on question.id = question_id
        where sittings.id = $1 order by place
        "#,
        id as SittingId,
    )
    .fetch_all(conn)
    .await
}
