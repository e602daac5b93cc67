//! A stored test as a whole, to be written as a file.

use sqlx::PgConnection;
use sqlx::types::Json;

use crate::content::{QuestionEntry, TestFile};
use crate::ids::TestId;
use crate::points::Points;
use crate::practice_tests::{AnswerKey, Choice, QuestionKind};

/// The test with its questions and keys, if there is one.
///
/// # Errors
/// If the database fails.
pub async fn find(conn: &mut PgConnection, id: TestId) -> sqlx::Result<Option<TestFile>> {
    let test = sqlx::query!(
        "select slug, title, subject, description, passage from practice_tests where id = $1",
        id as TestId,
    );
    let Some(test) = test.fetch_optional(&mut *conn).await? else { return Ok(None) };
    let (slug, title, subject) = (test.slug, test.title, test.subject);
    let questions = questions(conn, id).await?;
    Ok(Some(TestFile { slug, title, subject, description: test.description, passage: test.passage, questions }))
}

async fn questions(conn: &mut PgConnection, test: TestId) -> sqlx::Result<Vec<QuestionEntry>> {
    let rows = sqlx::query!(
        r#"
        select slug, kind as "kind: QuestionKind", topic, difficulty, prompt, points as "points: Points",
               choices as "choices: Json<Vec<Choice>>", answer_key as "answer: Json<AnswerKey>", explanation
        from questions where test_id = $1 order by position
        "#,
        test as TestId,
    )
    .fetch_all(conn)
    .await?;
    let entry = rows.into_iter().map(|row| QuestionEntry {
        slug: row.slug,
        kind: row.kind,
        topic: row.topic,
        difficulty: row.difficulty,
        prompt: row.prompt,
        points: row.points,
        choices: row.choices.0,
        answer: row.answer.0,
        explanation: row.explanation,
    });
    Ok(entry.collect())
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::content::{self, OnDifference};

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn what_was_imported_is_found_whole(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let biology = content::read(include_str!("../../content/biology.json")).unwrap();
        content::import(&mut conn, &biology, OnDifference::Refuse).await.unwrap();
        let id = sqlx::query_scalar("select id from practice_tests").fetch_one(&mut *conn).await.unwrap();
        assert_eq!(find(&mut conn, id).await.unwrap(), Some(biology));
        assert_eq!(find(&mut conn, TestId::new()).await.unwrap(), None);
    }
}
