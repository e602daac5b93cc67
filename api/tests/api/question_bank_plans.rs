//! What PostgreSQL does with the bank's statements when it holds 200,000 questions.

use bellwork_shared::database::searching;
use bellwork_shared::ids::{QuestionId, UserId};
use bellwork_shared::practice;
use bellwork_shared::practice_tests::QuestionKind;
use bellwork_shared::question_bank::{self, Filter, Reader, Spot};
use sqlx::{Executor, PgConnection, PgPool};
use uuid::Uuid;

/// Two hundred tests of a thousand questions in twenty subjects with ten topics each.
const QUESTIONS: &str = r#"
    insert into questions (id, test_id, slug, position, kind, subject, topic, difficulty, prompt, choices, answer_key,
                           explanation, points)
    select gen_random_uuid(), test.id, 'q' || n, n,
           (enum_range(null::question_kind))[1 + n % 4], 'subject-' || test.number % 20,
           'topic-' || test.number % 20 || '-' || n % 10, 1 + n % 3,
           'Question ' || n || ' about word' || (test.number * 1000 + n) % 5000 || ' and rare' || test.number * 1000 + n
               || ' of group' || n % 20,
           '[]', '{"number": 1, "tolerance": 0}', 'So it is.', 100
    from (select id, row_number() over () as number from practice_tests) as test, generate_series(1, 1000) as n"#;

async fn fill(conn: &mut PgConnection) {
    let tests = "insert into practice_tests (id, slug, title, subject, description, max_score, source_hash)
                 select gen_random_uuid(), 'test-' || n, '', '', '', 100, '' from generate_series(1, 200) as n";
    sqlx::query(tests).execute(&mut *conn).await.unwrap();
    sqlx::query(QUESTIONS).execute(&mut *conn).await.unwrap();
    sqlx::query("vacuum analyze questions").execute(&mut *conn).await.unwrap();
}

fn filters() -> Vec<Filter> {
    let (subject, topic) = (Some("subject-3".to_owned()), Some("topic-3-4".to_owned()));
    let (difficulty, kind) = (Some(2), Some(QuestionKind::Numeric));
    let words = |words: &str| Some(words.to_owned());
    let none = Filter::default;
    vec![
        none(),
        Filter { subject: subject.clone(), ..none() },
        Filter { topic: topic.clone(), ..none() },
        Filter { difficulty, ..none() },
        Filter { kind, ..none() },
        Filter { subject: subject.clone(), topic: topic.clone(), ..none() },
        Filter { subject: subject.clone(), difficulty, kind, ..none() },
        Filter { subject, topic: topic.clone(), difficulty, kind, ..none() },
        Filter { topic: Some("no-such-topic".to_owned()), difficulty, ..none() },
        Filter { words: words("word77"), ..none() },
        Filter { words: words("rare4711"), ..none() },
        Filter { words: words("\"about word77\" -rare9"), difficulty, ..none() },
        Filter { words: words("word77 or word78"), topic, ..none() },
    ]
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn no_statement_reads_the_whole_table(database: PgPool) {
    let mut conn = database.acquire().await.unwrap();
    fill(&mut conn).await;
    let before = scans(&mut conn).await;
    let after = Some(Spot { rank: 0.05, id: QuestionId(Uuid::from_u128(u128::MAX / 2)) });
    for filter in filters() {
        let mut tx = searching(&mut conn).await.unwrap();
        for after in [None, after] {
            question_bank::search(&mut tx, &filter, Reader::Student, after, 21).await.unwrap();
        }
        question_bank::jump(&mut tx, &filter, Reader::Operator, 40, 20).await.unwrap();
        question_bank::total(&mut tx, &filter).await.unwrap();
        tx.commit().await.unwrap();
        if filter.words.is_none() {
            practice::choose(&mut conn, UserId::new(), &filter, 20).await.unwrap();
        }
        assert_eq!(scans(&mut conn).await, before, "{filter:?}");
    }
    question_bank::topics(&mut conn, None, None, 21).await.unwrap();
    assert_eq!(scans(&mut conn).await, before);
    conn.execute("select count(*) from questions where explanation = ''").await.unwrap();
    assert!(scans(&mut conn).await > before, "the server counts");
}

/// Most of what a bank holds are versions that are not listed any more.
#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn words_and_filters_narrow_each_other_down(database: PgPool) {
    let mut conn = database.acquire().await.unwrap();
    fill(&mut conn).await;
    conn.execute("update questions set listed = position <= 100").await.unwrap();
    conn.execute("vacuum analyze questions").await.unwrap();
    let filter = Filter {
        words: Some("group6".to_owned()),
        subject: Some("subject-3".to_owned()),
        difficulty: Some(1),
        kind: Some(QuestionKind::Numeric),
        ..Filter::default()
    };
    let before = rows(&mut conn).await;
    let mut tx = searching(&mut conn).await.unwrap();
    let found = question_bank::search(&mut tx, &filter, Reader::Student, None, 21).await.unwrap();
    tx.commit().await.unwrap();
    let read = rows(&mut conn).await - before;
    // A thousand listed questions hold the word.
    assert!(found.len() == 20 && read <= 200, "{read} read to find {}", found.len());
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_search_goes_through_as_many_as_it_ranks(database: PgPool) {
    let mut conn = database.acquire().await.unwrap();
    fill(&mut conn).await;
    let shared = "select pg_relation_size('questions') > pg_size_bytes(current_setting('shared_buffers')) / 4";
    let is_large: bool = sqlx::query_scalar(shared).fetch_one(&mut *conn).await.unwrap();
    assert!(is_large, "a scan of it would begin where another is");
    let before = scans(&mut conn).await;
    // Ten thousand hold the one, all the other.
    for word in ["group6", "question"] {
        let filter = Filter { words: Some(word.to_owned()), ..Filter::default() };
        let walked = walk(&mut conn, &filter).await;
        assert_eq!(walked.len(), 2_000, "{word}");
        let mut tx = searching(&mut conn).await.unwrap();
        for (skipped, count) in [(0, 20), (1_990, 10), (2_000, 0)] {
            let page = question_bank::jump(&mut tx, &filter, Reader::Operator, skipped, 20).await.unwrap();
            let ids: Vec<_> = page.iter().map(|question| question.id).collect();
            let skipped = usize::try_from(skipped).unwrap();
            assert_eq!(ids, walked[skipped..skipped + count], "{word} after {skipped}");
        }
        assert_eq!(question_bank::total(&mut tx, &filter).await.unwrap(), 2_000, "{word}");
        tx.commit().await.unwrap();
    }
    assert!(scans(&mut conn).await > before, "what all hold is found without an index");
}

/// All that a search goes through, page by page.
async fn walk(conn: &mut PgConnection, filter: &Filter) -> Vec<QuestionId> {
    let (mut walked, mut after) = (Vec::new(), None);
    loop {
        let mut tx = searching(conn).await.unwrap();
        let part = question_bank::search(&mut tx, filter, Reader::Student, after, 300).await.unwrap();
        tx.commit().await.unwrap();
        let Some(last) = part.last() else { return walked };
        after = Some(Spot { rank: last.rank, id: last.id });
        walked.extend(part.iter().map(|question| question.id));
    }
}

/// How many questions were read by an index, as the server counts.
async fn rows(conn: &mut PgConnection) -> i64 {
    conn.execute("select pg_stat_force_next_flush()").await.unwrap();
    let rows = "select coalesce(idx_tup_fetch, 0) from pg_stat_user_tables where relname = 'questions'";
    sqlx::query_scalar(rows).fetch_one(conn).await.unwrap()
}

/// How often the whole table was read, as the server counts.
async fn scans(conn: &mut PgConnection) -> i64 {
    conn.execute("select pg_stat_force_next_flush()").await.unwrap();
    let scans = "select coalesce(seq_scan, 0) from pg_stat_user_tables where relname = 'questions'";
    sqlx::query_scalar(scans).fetch_one(conn).await.unwrap()
}
