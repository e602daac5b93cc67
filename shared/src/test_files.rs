//! A stored test as a whole, to be written as a file.

use sqlx::PgConnection;

use crate::content::{self, TestFile};
use crate::ids::TestId;

/// The version of the test that students get, with its questions and keys; none if there is none.
///
/// # Errors
/// If the database fails.
pub async fn find(conn: &mut PgConnection, id: TestId) -> sqlx::Result<Option<TestFile>> {
    let version = sqlx::query_scalar!("select version from practice_tests where id = $1", id as TestId);
    let Some(version) = version.fetch_optional(&mut *conn).await?.flatten() else { return Ok(None) };
    content::export(conn, id, version).await
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use sqlx::PgPool;

    use super::*;
    use crate::authoring::{self, Expected};
    use crate::content::bounds::{
        DIFFICULTY, MAX_CHOICES, MAX_GROUPS, MAX_KEY_POINTS, MAX_MINUTES, MAX_QUESTIONS, MAX_TERMS, MAX_TEXT, POINTS,
    };
    use crate::content::{Imported, OnDifference};
    use crate::formats::{self, Label, Naming};
    use crate::ids::UserId;
    use crate::schemas::MAX_NUMBER;
    use crate::slugs::{MAX_SLUG, numbered};

    /// A text as long as may be, of characters of all lengths, among them some that no editor shows.
    fn longest() -> String {
        " é\u{7f}\u{feff}\u{1}\u{85}\u{ffff}😀\r".chars().cycle().take(MAX_TEXT).collect()
    }

    fn question(number: usize, kind: &str, choices: &Value, answer: &Value) -> Value {
        let slug = numbered(&"q".repeat(MAX_SLUG), number);
        json!({
            "slug": slug, "kind": kind, "topic": "t".repeat(MAX_SLUG), "difficulty": DIFFICULTY.end(),
            "prompt": if number < 3 { longest() } else { "Why?".to_owned() }, "points": POINTS.end(),
            "choices": choices, "answer": answer, "explanation": if number < 3 { longest() } else { "So.".to_owned() },
        })
    }

    /// A test that nothing could be added to.
    fn fullest() -> Value {
        let ids: Vec<_> = (0..MAX_CHOICES).map(|index| numbered(&"c".repeat(MAX_SLUG), index)).collect();
        let text = |index| if index == 0 { longest() } else { format!("choice {index}") };
        let choices: Value = ids.iter().zip(0..).map(|(id, index)| json!({ "id": id, "text": text(index) })).collect();
        let groups = vec![["a"]; MAX_GROUPS];
        let point = |index| json!({ "id": format!("k{index}"), "text": "It says a.", "terms": groups });
        let mut points: Vec<_> = (0..MAX_KEY_POINTS).map(point).collect();
        points[0]["terms"][0] = json!([longest(), longest()]);
        points[1]["terms"][0] = json!(vec!["b"; MAX_TERMS]);
        let number = json!({ "number": -MAX_NUMBER, "tolerance": MAX_NUMBER });
        let mut questions = vec![
            question(0, "multiple_choice", &choices, &json!({ "choice_ids": ids })),
            question(1, "free_text", &json!([]), &json!({ "model_answer": longest(), "key_points": points })),
        ];
        questions.extend((2..MAX_QUESTIONS).map(|index| question(index, "numeric", &json!([]), &number)));
        json!({
            "slug": "s".repeat(MAX_SLUG), "title": longest(), "subject": "s".repeat(MAX_SLUG), "description": longest(),
            "passage": longest(), "time_limit": { "minutes": MAX_MINUTES, "late": "mark" }, "questions": questions,
        })
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn the_fullest_test_of_an_author_comes_through_our_json(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let author = UserId::new();
        let insert = "insert into users (id, email, display_name, password_hash) values ($1, 'a@example.org', '', '')";
        sqlx::query(insert).bind(author.0).execute(&mut *conn).await.unwrap();
        let test = content::check(&fullest()).unwrap_or_else(|findings| panic!("{:?}", &findings[0]));
        let id = authoring::create(&mut conn, &test, author).await.unwrap().unwrap();
        authoring::publish(&mut conn, id, &Expected::Any).await.unwrap();
        let exported = find(&mut conn, id).await.unwrap().unwrap();
        assert!(exported == test, "what is published is not what was saved");

        let written = formats::write(&exported, formats::find("json").unwrap());
        let reading = formats::read(written.text.as_bytes(), Label::default());
        assert_eq!((written.problems.len(), reading.problems.len()), (0, 0), "{:?}", reading.problems.first());
        let again = reading.test(Naming::default()).unwrap();
        assert!(again == test, "what is imported is not what was exported");
        let imported = content::import(&mut conn, &again, OnDifference::Refuse).await.unwrap();
        assert_eq!(imported, Imported::Unchanged);
    }

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
