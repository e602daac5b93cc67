use sqlx::PgPool;
use uuid::Uuid;

use super::*;
use crate::content::read;

fn algebra() -> TestFile {
    read(include_str!("../../../../content/algebra.json")).unwrap()
}

async fn prompts(conn: &mut PgConnection) -> Vec<(String, i16, String)> {
    let rows = sqlx::query_as("select slug, position, prompt from questions order by position");
    rows.fetch_all(conn).await.unwrap()
}

async fn take_a_test(conn: &mut PgConnection) {
    let user = Uuid::now_v7();
    sqlx::query("insert into users (id, email, display_name, password_hash) values ($1, 'a@b.c', 'A', '')")
        .bind(user)
        .execute(&mut *conn)
        .await
        .unwrap();
    sqlx::query(
        "insert into attempts (id, user_id, test_id, job_id, answers, max_score)
         select $1, $2, id, $1, '[]', max_score from practice_tests",
    )
    .bind(Uuid::now_v7())
    .bind(user)
    .execute(conn)
    .await
    .unwrap();
}

#[test]
fn the_three_seed_tests_are_valid() {
    let files = [
        include_str!("../../../../content/algebra.json"),
        include_str!("../../../../content/biology.json"),
        include_str!("../../../../content/reading.json"),
    ];
    for file in files {
        let test = read(file).unwrap_or_else(|findings| panic!("{findings:#?}"));
        assert_eq!(test.questions.len(), 20, "{}", test.slug);
    }
}

#[sqlx::test(migrator = "crate::database::MIGRATIONS")]
async fn a_second_import_changes_nothing(database: PgPool) {
    let mut conn = database.acquire().await.unwrap();
    let test = algebra();
    assert_eq!(import(&mut conn, &test, OnDifference::Refuse).await.unwrap(), Imported::Created);
    let before = prompts(&mut conn).await;
    assert_eq!(before.len(), 20);
    assert_eq!(import(&mut conn, &test, OnDifference::Refuse).await.unwrap(), Imported::Unchanged);
    assert_eq!(import(&mut conn, &test, OnDifference::Replace).await.unwrap(), Imported::Unchanged);
    assert_eq!(prompts(&mut conn).await, before);
}

#[sqlx::test(migrator = "crate::database::MIGRATIONS")]
async fn other_content_is_refused_unless_it_is_to_replace(database: PgPool) {
    let mut conn = database.acquire().await.unwrap();
    import(&mut conn, &algebra(), OnDifference::Refuse).await.unwrap();
    take_a_test(&mut conn).await;
    let mut other = algebra();
    other.questions.reverse();
    other.questions[0].prompt = "A better prompt?".to_owned();
    let refused = import(&mut conn, &other, OnDifference::Refuse).await.unwrap_err();
    assert_eq!(refused.to_string(), "the test \"algebra\" exists with other content");
    assert_eq!(import(&mut conn, &other, OnDifference::Replace).await.unwrap(), Imported::Replaced);
    let after = prompts(&mut conn).await;
    assert_eq!((after.len(), &after[0]), (20, &("alg-20".to_owned(), 1, "A better prompt?".to_owned())));
    assert_eq!(import(&mut conn, &other, OnDifference::Refuse).await.unwrap(), Imported::Unchanged);
}

#[sqlx::test(migrator = "crate::database::MIGRATIONS")]
async fn what_attempts_rely_on_is_not_replaced(database: PgPool) {
    let mut conn = database.acquire().await.unwrap();
    import(&mut conn, &algebra(), OnDifference::Refuse).await.unwrap();
    let mut other = algebra();
    other.questions[0].points = Points(500);
    other.questions.pop();
    let before = prompts(&mut conn).await;
    take_a_test(&mut conn).await;
    match import(&mut conn, &other, OnDifference::Replace).await {
        Err(ImportError::InUse { questions, .. }) => assert_eq!(questions, ["alg-01", "alg-20"]),
        unexpected => panic!("{unexpected:?}"),
    }
    assert_eq!(prompts(&mut conn).await, before);
    sqlx::query("delete from attempts").execute(&mut *conn).await.unwrap();
    assert_eq!(import(&mut conn, &other, OnDifference::Replace).await.unwrap(), Imported::Replaced);
    assert_eq!(prompts(&mut conn).await.len(), 19);
}
