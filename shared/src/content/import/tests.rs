use sqlx::PgPool;

use super::*;
use crate::content::{export, read};
use crate::practice_tests::{LateAnswers, TimeLimit};

fn algebra() -> TestFile {
    read(include_str!("../../../../content/algebra.json")).unwrap()
}

async fn id(conn: &mut PgConnection) -> TestId {
    TestId(sqlx::query_scalar("select id from practice_tests").fetch_one(conn).await.unwrap())
}

/// Slug, place and prompt of what students get.
async fn prompts(conn: &mut PgConnection) -> Vec<(String, i16, String)> {
    let rows = sqlx::query_as(
        "select questions.slug, position, prompt from questions
         join practice_tests as test on (test.id, test.version) = (test_id, questions.version) order by position",
    );
    rows.fetch_all(conn).await.unwrap()
}

async fn listed(conn: &mut PgConnection) -> (i64, i64) {
    let counts = "select (select count(*) from questions where listed),
                         (select coalesce(sum(questions), 0)::bigint from question_bank_counts)";
    sqlx::query_as(counts).fetch_one(conn).await.unwrap()
}

#[test]
fn the_seed_tests_are_valid() {
    let timed = read(include_str!("../../../../content/mental-arithmetic.json")).unwrap();
    assert_eq!((timed.questions.len(), timed.time_limit.map(|limit| limit.minutes)), (10, Some(8)));
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
async fn other_content_is_refused_unless_it_is_to_be_the_next_version(database: PgPool) {
    let mut conn = database.acquire().await.unwrap();
    import(&mut conn, &algebra(), OnDifference::Refuse).await.unwrap();
    let mut other = algebra();
    other.questions.reverse();
    other.questions[0].prompt = "A better prompt?".to_owned();
    other.questions.pop();
    let refused = import(&mut conn, &other, OnDifference::Refuse).await.unwrap_err();
    assert_eq!(refused.to_string(), "the test \"algebra\" exists with other content");
    assert_eq!(import(&mut conn, &other, OnDifference::Replace).await.unwrap(), Imported::Replaced);
    let after = prompts(&mut conn).await;
    assert_eq!((after.len(), &after[0]), (19, &("alg-20".to_owned(), 1, "A better prompt?".to_owned())));
    assert_eq!(listed(&mut conn).await, (19, 19), "the bank moves on with the version");
    assert_eq!(import(&mut conn, &other, OnDifference::Refuse).await.unwrap(), Imported::Unchanged);
    let id = id(&mut conn).await;
    assert_eq!(export(&mut conn, id, 1).await.unwrap(), Some(algebra()), "the first version says what it said");
    assert_eq!(export(&mut conn, id, 2).await.unwrap(), Some(other));
}

#[sqlx::test(migrator = "crate::database::MIGRATIONS")]
async fn a_question_keeps_its_lineage_and_never_its_row(database: PgPool) {
    let mut conn = database.acquire().await.unwrap();
    import(&mut conn, &algebra(), OnDifference::Refuse).await.unwrap();
    let mut other = algebra();
    other.questions[3].slug = "alg-new".to_owned();
    import(&mut conn, &other, OnDifference::Replace).await.unwrap();
    let counts = "select count(*), count(distinct id), count(distinct lineage) from questions";
    let counts: (i64, i64, i64) = sqlx::query_as(counts).fetch_one(&mut *conn).await.unwrap();
    assert_eq!(counts, (40, 40, 21));
}

#[sqlx::test(migrator = "crate::database::MIGRATIONS")]
async fn what_was_published_cannot_be_changed_by_any_statement(database: PgPool) {
    let mut conn = database.acquire().await.unwrap();
    import(&mut conn, &algebra(), OnDifference::Refuse).await.unwrap();
    for change in [
        "update questions set prompt = 'Another?' where slug = 'alg-01'",
        "update questions set answer_key = '{}'",
        "update test_versions set title = 'Other'",
    ] {
        let refused = sqlx::query(change).execute(&mut *conn).await.unwrap_err();
        assert!(refused.to_string().contains("never change"), "{refused}");
    }
}

#[sqlx::test(migrator = "crate::database::MIGRATIONS")]
async fn a_timed_test_is_not_in_the_bank(database: PgPool) {
    let mut conn = database.acquire().await.unwrap();
    import(&mut conn, &algebra(), OnDifference::Refuse).await.unwrap();
    assert_eq!(listed(&mut conn).await, (20, 20));
    let time_limit = Some(TimeLimit { minutes: 30, late: LateAnswers::Mark });
    let timed = TestFile { time_limit, ..algebra() };
    import(&mut conn, &timed, OnDifference::Replace).await.unwrap();
    assert_eq!(listed(&mut conn).await, (0, 0));
    let id = id(&mut conn).await;
    assert_eq!(export(&mut conn, id, 2).await.unwrap(), Some(timed));
}
