//! Makes flashcards from questions that a student has answered, those that went worst first.

use std::collections::HashSet;
use std::time::Duration;

use bellwork_shared::ai::aids;
use bellwork_shared::ai::forms::{Flashcard, Flashcards, FlashcardsAsked, Name};
use bellwork_shared::ai::seen_questions::{self, Choosing, SeenQuestion};
use bellwork_shared::ids::{AidId, JobId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::aids::commission::Commission;
use crate::aids::desk;
use crate::aids::outcome::{self, Finished};
use crate::aids::plain::plain;
use crate::aids::right_answer::right_answer;
use crate::context::Context;
use crate::failure::Failure;
use crate::job::Job;
use crate::queues::{AI, Queue};
use crate::recording::Recording;

/// In characters.
const LONGEST_FRONT: usize = 400;
/// In characters.
const LONGEST_BACK: usize = 800;
/// What a model writes on one card, in characters and at most in tokens.
const USUAL_CARD: usize = 160;
const LONGEST_CARD: u64 = 200;
/// And around the cards.
const LONGEST_REST: u64 = 200;

/// The payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakeFlashcards {
    /// The cards to be made.
    pub aid_id: AidId,
}

impl Job for MakeFlashcards {
    const KIND: &'static str = "make_flashcards";
    const QUEUE: &'static Queue = &AI;
    const MAX_ATTEMPTS: u16 = 4;
    const TIMEOUT: Duration = Duration::from_secs(300);

    /// Nothing if the aid or the questions it is about have vanished.
    type Output = Option<Finished<Flashcards>>;

    async fn run(&self, context: Context<'_>) -> Result<Self::Output, Failure> {
        let mut conn = context.platform.database.acquire().await?;
        let asked = aids::asked::<FlashcardsAsked>(&mut conn, self.aid_id).await?;
        let Some((user, asked)) = asked else { return Ok(None) };
        let (subject, topic) = (asked.subject.as_ref().map(Name::as_str), asked.topic.as_ref().map(Name::as_str));
        let choosing = Choosing { attempt: asked.attempt_id, subject, topic };
        let questions = seen_questions::worst(&mut conn, user, choosing, asked.count.get().into()).await?;
        drop(conn);
        if questions.is_empty() {
            return Ok(None);
        }
        let Some(tutor) = context.platform.marker.tutor() else {
            return Ok(Some(Finished::by_rules(user, by_rules(&questions))));
        };
        let written = desk::write(&context, tutor, &commission(&questions, asked.count.get().into()), checked).await?;
        Ok(Some(Finished::written(user, written)))
    }

    async fn record(&self, finished: Self::Output, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        outcome::record::<FlashcardsAsked>(self.aid_id, finished, recording).await
    }

    async fn buried(&self, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        outcome::bury::<FlashcardsAsked>(self.aid_id, recording).await
    }

    async fn cancelled(&self, _: JobId, conn: &mut PgConnection) -> sqlx::Result<()> {
        aids::mark_failed(conn, self.aid_id).await.map(drop)
    }

    async fn reopened(&self, conn: &mut PgConnection) -> sqlx::Result<()> {
        aids::mark_queued(conn, self.aid_id).await
    }
}

/// The questions themselves, with what a right answer says and why.
fn by_rules(questions: &[SeenQuestion]) -> Flashcards {
    let card = |question: &SeenQuestion| {
        let choices = question.choices.iter().map(|choice| format!("\n– {}", choice.text));
        let right = right_answer(&question.answer_key, &question.choices);
        let back = format!("{right}\n\n{}", question.explanation).trim_end().to_owned();
        Flashcard { front: question.prompt.clone() + &choices.collect::<String>(), back }
    };
    Flashcards { cards: questions.iter().map(card).collect() }
}

fn commission(questions: &[SeenQuestion], count: u32) -> Commission<'static> {
    let question = |question: &SeenQuestion| {
        json!({
            "topic": question.topic,
            "question": question.prompt,
            "right_answer": right_answer(&question.answer_key, &question.choices),
            "teacher_says": question.explanation,
        })
    };
    let questions: Vec<_> = questions.iter().map(question).collect();
    Commission {
        kind: MakeFlashcards::KIND,
        prompt: include_str!("../../prompts/cards.txt"),
        material: json!({ "questions": questions, "count": count }),
        written: None,
        schema: schema(),
        readable: &["front", "back"],
        usual: USUAL_CARD * count as usize,
        longest: LONGEST_CARD * u64::from(count) + LONGEST_REST,
    }
}

fn schema() -> Value {
    let card = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["front", "back"],
        "properties": { "front": { "type": "string" }, "back": { "type": "string" } },
    });
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["cards"],
        "properties": { "cards": { "type": "array", "items": card } },
    })
}

fn checked(said: Flashcards, commission: &Commission<'_>) -> Result<Flashcards, String> {
    let most = commission.material["count"].as_u64().unwrap_or_default();
    if said.cards.is_empty() || said.cards.len() as u64 > most {
        return Err(format!("has {} cards, of 1 to {most}.", said.cards.len()));
    }
    let side = |card: Flashcard| {
        let (front, back) = (plain("front", &card.front, LONGEST_FRONT)?, plain("back", &card.back, LONGEST_BACK)?);
        Ok(Flashcard { front, back })
    };
    let cards: Vec<_> = said.cards.into_iter().map(side).collect::<Result<_, String>>()?;
    let fronts: HashSet<_> = cards.iter().map(|card| card.front.to_lowercase()).collect();
    if fronts.len() < cards.len() {
        return Err("has two cards with the same front.".to_owned());
    }
    Ok(Flashcards { cards })
}
