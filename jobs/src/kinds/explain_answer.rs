//! Explains to a student why their answer to a question is right or wrong.

use std::time::Duration;

use bellwork_shared::ai::aids;
use bellwork_shared::ai::forms::{Explanation, ExplanationAsked};
use bellwork_shared::ids::{AidId, JobId};
use bellwork_shared::practice_tests::AnswerKey;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::aids::commission::Commission;
use crate::aids::desk;
use crate::aids::outcome::{self, Finished};
use crate::aids::plain::plain;
use crate::aids::right_answer::{given_answer, right_answer};
use crate::aids::taken::TakenQuestion;
use crate::context::Context;
use crate::failure::Failure;
use crate::job::Job;
use crate::queues::{AI, Queue};
use crate::recording::Recording;

/// In characters.
const LONGEST_EXPLANATION: usize = 4000;
/// In characters.
const LONGEST_REMEMBER: usize = 300;
const MOST_REMEMBER: usize = 4;
/// What a model writes, in characters and at most in tokens.
const USUAL: usize = 1200;
const LONGEST: u64 = 2000;

/// The payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainAnswer {
    /// The explanation to be made.
    pub aid_id: AidId,
}

impl Job for ExplainAnswer {
    const KIND: &'static str = "explain_answer";
    const QUEUE: &'static Queue = &AI;
    const MAX_ATTEMPTS: u16 = 4;
    const TIMEOUT: Duration = Duration::from_secs(300);

    /// Nothing if the aid or its attempt has vanished.
    type Output = Option<Finished<Explanation>>;

    async fn run(&self, context: Context<'_>) -> Result<Self::Output, Failure> {
        let platform = context.platform;
        let asked = aids::asked::<ExplanationAsked>(&mut *platform.database.acquire().await?, self.aid_id).await?;
        let Some((user, ExplanationAsked { attempt_id, question_id })) = asked else { return Ok(None) };
        let taken = TakenQuestion::find(platform, user, attempt_id, question_id).await?;
        let Some(taken) = taken else { return Ok(None) };
        let Some(tutor) = platform.marker.tutor() else {
            return Ok(Some(Finished::by_rules(user, by_rules(&taken))));
        };
        let written = desk::write(&context, tutor, &commission(&taken), checked).await?;
        Ok(Some(Finished::written(user, written)))
    }

    async fn record(&self, finished: Self::Output, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        outcome::record::<ExplanationAsked>(self.aid_id, finished, recording).await
    }

    async fn buried(&self, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        outcome::bury::<ExplanationAsked>(self.aid_id, recording).await
    }

    async fn cancelled(&self, _: JobId, conn: &mut PgConnection) -> sqlx::Result<()> {
        aids::mark_failed(conn, self.aid_id).await.map(drop)
    }

    async fn reopened(&self, conn: &mut PgConnection) -> sqlx::Result<()> {
        aids::mark_queued(conn, self.aid_id).await
    }
}

/// What was said when it was graded, which holds the teacher's explanation.
fn by_rules(taken: &TakenQuestion) -> Explanation {
    let question = taken.question();
    let remember = match &*question.answer_key {
        AnswerKey::Text(key) => key.key_points.iter().map(|point| point.text.clone()).collect(),
        key => vec![format!("The right answer is {}.", right_answer(key, &question.choices).trim_end_matches('.'))],
    };
    Explanation { explanation: taken.feedback.comment.clone(), remember }
}

fn commission(taken: &TakenQuestion) -> Commission<'_> {
    let question = taken.question();
    let choices: Vec<_> = question.choices.iter().map(|choice| choice.text.as_str()).collect();
    let earned = 100.0 * taken.feedback.points.as_f64() / question.points.as_f64();
    let answered = match &taken.response {
        Some(response) => given_answer(response, &question.choices),
        None => Some("nothing: they left the question out".to_owned()),
    };
    let material = json!({
        "question": question.prompt,
        "choices": choices,
        "passage": taken.passage(),
        "right_answer": right_answer(&question.answer_key, &question.choices),
        "teacher_says": question.explanation,
        "student_answered": answered,
        "earned_percent": earned.round(),
    });
    Commission {
        kind: ExplainAnswer::KIND,
        prompt: include_str!("../../prompts/explain.txt"),
        material,
        written: taken.written(),
        schema: schema(),
        readable: &["explanation", "remember"],
        usual: USUAL,
        longest: LONGEST,
    }
}

fn schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["explanation", "remember"],
        "properties": {
            "explanation": { "type": "string" },
            "remember": { "type": "array", "items": { "type": "string" } },
        },
    })
}

fn checked(said: Explanation, _: &Commission<'_>) -> Result<Explanation, String> {
    if !(1..=MOST_REMEMBER).contains(&said.remember.len()) {
        return Err(format!("has {} sentences in \"remember\", of 1 to {MOST_REMEMBER}.", said.remember.len()));
    }
    let remember = said.remember.iter().map(|sentence| plain("remember", sentence, LONGEST_REMEMBER));
    let explanation = plain("explanation", &said.explanation, LONGEST_EXPLANATION)?;
    Ok(Explanation { explanation, remember: remember.collect::<Result<_, _>>()? })
}
