//! The question bank: the questions of all open tests without a time limit, filtered, searched and counted.
//!
//! Each filter is a clause of its own: a statement that holds all of them with `is null or` is planned once for every
//! combination, and then reads the whole table for some. Whoever searches does it in [`searching`](crate::database::searching):
//! a statement that is planned without its words parses them anew for each question.

use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use sqlx::{PgConnection, Postgres, QueryBuilder};

use crate::ids::{QuestionId, TestId};
use crate::points::Points;
use crate::practice_tests::{AnswerKey, Choice, QuestionKind};

/// Questions that a search for words goes through at most: each has to be read to be ranked, and words of which more are
/// found say little.
const MOST_RANKED: i64 = 2_000;

/// Which questions are meant; what is not there matters not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// What the test is about, such as `mathematics`.
    pub subject: Option<String>,
    /// What the question is about, such as `linear-equations`.
    pub topic: Option<String>,
    /// From 1 (easy) to 3.
    pub difficulty: Option<i16>,
    /// How it is asked and answered.
    pub kind: Option<QuestionKind>,
    /// Words, quoted phrases, `or` and `-`, as in a web search; found in prompts, topics and choices.
    pub words: Option<String>,
}

/// Who reads the bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Somebody who must not see answers.
    Student,
    /// Somebody who may.
    Operator,
}

/// A question of the bank.
#[derive(Clone, Debug, Serialize, sqlx::FromRow, utoipa::ToSchema)]
pub struct BankQuestion {
    /// Its id.
    pub id: QuestionId,
    /// The test that asks it.
    pub test_id: TestId,
    /// What the test is about.
    pub subject: String,
    /// What it is about.
    pub topic: String,
    /// From 1 (easy) to 3.
    pub difficulty: i16,
    /// How it is asked and answered.
    pub kind: QuestionKind,
    /// What the student reads.
    pub prompt: String,
    /// For single and multiple choice; otherwise empty.
    #[schema(value_type = Vec<Choice>)]
    pub choices: Json<Vec<Choice>>,
    /// What a right answer earns.
    pub points: Points,
    /// What a right answer is; for operators alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AnswerKey>)]
    pub answer_key: Option<Json<AnswerKey>>,
    /// Why it is right; for operators alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
    /// How well it fits the words; 0 without words.
    #[serde(skip)]
    pub rank: f32,
}

/// Where a list goes on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spot {
    /// Of the last question seen.
    pub rank: f32,
    /// The last question seen.
    pub id: QuestionId,
}

/// Adds the clauses of `filter` to a statement that has a `where`.
pub(crate) fn narrow(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    if let Some(subject) = &filter.subject {
        query.push(" and subject = ").push_bind(subject.clone());
    }
    if let Some(topic) = &filter.topic {
        query.push(" and topic = ").push_bind(topic.clone());
    }
    if let Some(difficulty) = filter.difficulty {
        query.push(" and difficulty = ").push_bind(difficulty);
    }
    if let Some(kind) = filter.kind {
        query.push(" and kind = ").push_bind(kind);
    }
    if let Some(words) = &filter.words {
        query.push(" and search @@ ");
        push_words(query, words);
    }
}

fn push_words(query: &mut QueryBuilder<Postgres>, words: &str) {
    query.push("websearch_to_tsquery('english', ").push_bind(words.to_owned()).push(")");
}

fn selection(reader: Reader) -> QueryBuilder<Postgres> {
    let mut query =
        QueryBuilder::new("select id, test_id, subject, topic, difficulty, kind, prompt, choices, points, rank, ");
    query.push(match reader {
        Reader::Student => "null::jsonb as answer_key, null::text as explanation from ",
        Reader::Operator => "answer_key, explanation from ",
    });
    query
}

/// Adds the questions that are meant, with their ranks: with words the first 2,000.
fn push_found(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    query.push("(select *, ");
    match &filter.words {
        Some(words) => {
            query.push("ts_rank(search, ");
            push_words(query, words);
            query.push(")");
        }
        None => {
            query.push("0::real");
        }
    }
    query.push(" as rank from questions where listed");
    narrow(query, filter);
    if filter.words.is_some() {
        query.push(" limit ").push_bind(MOST_RANKED);
    }
    query.push(") as questions");
}

fn order(filter: &Filter) -> &'static str {
    if filter.words.is_some() { " order by rank desc, id" } else { " order by id" }
}

/// Up to `limit` questions after `after`: with words the best first, of the first 2,000 that hold them; otherwise
/// the oldest.
///
/// # Errors
/// If the database fails.
pub async fn search(
    conn: &mut PgConnection,
    filter: &Filter,
    reader: Reader,
    after: Option<Spot>,
    limit: i64,
) -> sqlx::Result<Vec<BankQuestion>> {
    let mut query = selection(reader);
    push_found(&mut query, filter);
    match (after, &filter.words) {
        (Some(spot), None) => {
            query.push(" where id > ").push_bind(spot.id);
        }
        (Some(spot), Some(_)) => {
            query.push(" where (-rank, id) > (").push_bind(-spot.rank).push(", ").push_bind(spot.id).push(")");
        }
        (None, _) => {}
    }
    query.push(order(filter)).push(" limit ").push_bind(limit);
    query.build_query_as().fetch_all(conn).await
}

/// Up to `limit` questions after the first `skipped` of those that [`search`] goes through. Only ids are read of what is
/// skipped without words.
///
/// # Errors
/// If the database fails.
pub async fn jump(
    conn: &mut PgConnection,
    filter: &Filter,
    reader: Reader,
    skipped: i64,
    limit: i64,
) -> sqlx::Result<Vec<BankQuestion>> {
    let mut query = selection(reader);
    if filter.words.is_some() {
        push_found(&mut query, filter);
        query.push(order(filter)).push(" offset ").push_bind(skipped).push(" limit ").push_bind(limit);
    } else {
        query.push("(select *, 0::real as rank from questions) as questions");
        query.push(" where id in (select id from questions where listed");
        narrow(&mut query, filter);
        query.push(" order by id offset ").push_bind(skipped).push(" limit ").push_bind(limit).push(")");
        query.push(order(filter));
    }
    query.build_query_as().fetch_all(conn).await
}

/// How many questions are meant; with words 2,000 at the most, as many as can be reached.
///
/// # Errors
/// If the database fails.
pub async fn total(conn: &mut PgConnection, filter: &Filter) -> sqlx::Result<i64> {
    let mut query = QueryBuilder::new("select ");
    if filter.words.is_some() {
        query.push("count(*) from ");
        push_found(&mut query, filter);
    } else {
        query.push("coalesce(sum(questions), 0)::bigint from question_bank_counts where true");
        narrow(&mut query, filter);
    }
    query.build_query_scalar().fetch_one(conn).await
}

/// A topic of the bank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BankTopic {
    /// The subject, such as `mathematics`.
    pub subject: String,
    /// The topic, such as `linear-equations`.
    pub topic: String,
    /// How many questions there are.
    pub questions: i64,
}

/// Up to `limit` topics by subject and topic, after `after`.
///
/// # Errors
/// If the database fails.
pub async fn topics(
    conn: &mut PgConnection,
    subject: Option<&str>,
    after: Option<(String, String)>,
    limit: i64,
) -> sqlx::Result<Vec<BankTopic>> {
    let (after_subject, after_topic) = after.unwrap_or_default();
    sqlx::query_as!(
        BankTopic,
        r#"
        select subject, topic, sum(questions)::bigint as "questions!" from question_bank_counts
        where questions > 0 and ($1::text is null or subject = $1) and (subject, topic) > ($2, $3)
        group by subject, topic order by subject, topic limit $4
        "#,
        subject,
        after_subject,
        after_topic,
        limit,
    )
    .fetch_all(conn)
    .await
}
