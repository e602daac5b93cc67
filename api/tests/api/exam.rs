//! A small test with a question of every kind.

use bellwork_shared::ids::{QuestionId, TestId};
use serde_json::{Value, json};
use sqlx::PgPool;

/// Its ids.
pub(crate) struct Exam {
    pub(crate) id: TestId,
    pub(crate) single: QuestionId,
    pub(crate) multiple: QuestionId,
    pub(crate) numeric: QuestionId,
    pub(crate) text: QuestionId,
}

impl Exam {
    pub(crate) async fn seed(database: &PgPool) -> Self {
        let id = TestId::new();
        sqlx::query(
            "insert into practice_tests (id, slug, title, subject, description, passage, max_score, source_hash)
             values ($1, $2, 'Everything', 'logic', 'One of each.', 'A text.', 500, '')",
        )
        .bind(id.0)
        .bind(format!("everything-{id}"))
        .execute(database)
        .await
        .unwrap();
        sqlx::query(
            "insert into test_versions (test_id, version, title, subject, description, passage, max_score, source_hash)
             select id, version, title, subject, description, passage, max_score, source_hash from practice_tests
             where id = $1",
        )
        .bind(id.0)
        .execute(database)
        .await
        .unwrap();
        let choices = json!([{ "id": "a", "text": "A" }, { "id": "b", "text": "B" }, { "id": "c", "text": "C" }]);
        let text_key = json!({ "model_answer": "Because.", "key_points": [
            { "id": "k", "text": "A reason.", "terms": [["because"]] }] });
        let [single, multiple, numeric, text] = [
            (1, "single_choice", &choices, json!({ "choice_ids": ["b"] }), 100),
            (2, "multiple_choice", &choices, json!({ "choice_ids": ["a", "c"] }), 100),
            (3, "numeric", &json!([]), json!({ "number": 42.0, "tolerance": 0.5 }), 100),
            (4, "free_text", &json!([]), text_key, 200),
        ]
        .map(|(position, kind, choices, key, points)| {
            question(database, id, position, kind, choices.clone(), key, points)
        });
        Self { id, single: single.await, multiple: multiple.await, numeric: numeric.await, text: text.await }
    }

    /// A good answer to every question.
    pub(crate) fn submission(&self) -> Value {
        json!({ "test_id": self.id, "answers": [
            { "question_id": self.single, "choice_ids": ["b"] },
            { "question_id": self.multiple, "choice_ids": ["a", "c"] },
            { "question_id": self.numeric, "number": 42 },
            { "question_id": self.text, "text": "Because I say so." },
        ] })
    }
}

async fn question(
    database: &PgPool,
    test: TestId,
    position: i16,
    kind: &'static str,
    choices: Value,
    key: Value,
    points: i32,
) -> QuestionId {
    let id = QuestionId::new();
    sqlx::query(
        "insert into questions (id, test_id, slug, position, kind, subject, topic, difficulty, prompt, choices, answer_key,
                                explanation, points)
         values ($1, $2, $3, $4, $3::text::question_kind, 'logic', 'logic', 1, 'Why?', $5, $6, 'The secret reason.', $7)",
    )
    .bind(id.0)
    .bind(test.0)
    .bind(kind)
    .bind(position)
    .bind(choices)
    .bind(key)
    .bind(points)
    .execute(database)
    .await
    .unwrap();
    id
}
