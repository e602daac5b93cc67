//! The forms of study aids: what is asked for each kind, and what is made.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::ids::{AttemptId, QuestionId};
use crate::schemas::{self, Text, Whole};

/// What there is to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "aid_kind", rename_all = "snake_case")]
pub enum AidKind {
    /// Of one answer.
    Explanation,
    /// For the days to come.
    StudyPlan,
    /// To be learnt by heart.
    Flashcards,
}

/// A study aid of one kind: what was asked, what comes of it.
pub trait Aid: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Which.
    const KIND: AidKind;
    /// What is made.
    type Result: Serialize + DeserializeOwned + Send + Sync + 'static;
}

/// A subject or a topic, as a request names it.
pub type Name = Text<1, 100>;
/// How many days a plan covers: one for longer would be outdated before its end.
pub type PlanDays = Whole<1, 30>;
/// From a short break to a working day.
pub type PlanMinutes = Whole<10, 480>;
/// How many cards there may be: more at once are not learnt.
pub type CardCount = Whole<1, 30>;

/// An explanation of one's answer to a question of a graded attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplanationAsked {
    /// The attempt.
    pub attempt_id: AttemptId,
    /// The question.
    pub question_id: QuestionId,
}

/// Why an answer is right or wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    /// Plain text in paragraphs.
    pub explanation: String,
    /// What is worth remembering, a sentence each.
    pub remember: Vec<String>,
}

/// A plan that begins with what the student knows least.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StudyPlanAsked {
    /// Only this one; none: all that the student has been tested in.
    #[serde(default)]
    pub subject: Option<Name>,
    /// How many days the plan covers.
    pub days: PlanDays,
    /// The most time on each day, in minutes.
    pub minutes_per_day: PlanMinutes,
}

/// What to do on each of some days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StudyPlan {
    /// The idea of the plan in some sentences.
    pub summary: String,
    /// One entry a day, in order.
    pub days: Vec<StudyDay>,
}

/// One day of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StudyDay {
    /// From 1.
    pub day: u32,
    /// What to do, in order.
    pub tasks: Vec<StudyTask>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StudyTask {
    /// The topic, as questions name it.
    pub topic: String,
    /// What to do.
    pub activity: String,
    /// For how long.
    pub minutes: u32,
}

/// Flashcards about an attempt, or about a subject or one of its topics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlashcardsAsked {
    /// A graded attempt; what went wrong there comes first.
    #[serde(default)]
    pub attempt_id: Option<AttemptId>,
    /// A subject.
    #[serde(default)]
    pub subject: Option<Name>,
    /// A topic of the subject.
    #[serde(default)]
    pub topic: Option<Name>,
    /// The most cards to make.
    pub count: CardCount,
}

impl PartialSchema for FlashcardsAsked {
    fn schema() -> RefOr<Schema> {
        let (name, count) = (Name::schema(), CardCount::schema());
        let attempt = [
            ("attempt_id", AttemptId::schema()),
            ("subject", schemas::null()),
            ("topic", schemas::null()),
            ("count", count.clone()),
        ];
        let subject = [
            ("attempt_id", schemas::null()),
            ("subject", name.clone()),
            ("topic", schemas::nullable(name)),
            ("count", count),
        ];
        schemas::one_of([
            schemas::closed(&["attempt_id", "count"], attempt).into(),
            schemas::closed(&["subject", "count"], subject).into(),
        ])
    }
}

impl ToSchema for FlashcardsAsked {}

/// A set of flashcards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Flashcards {
    /// At least one.
    pub cards: Vec<Flashcard>,
}

/// One card, both sides plain text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Flashcard {
    /// The question.
    pub front: String,
    /// The answer.
    pub back: String,
}

impl Aid for ExplanationAsked {
    const KIND: AidKind = AidKind::Explanation;
    type Result = Explanation;
}

impl Aid for StudyPlanAsked {
    const KIND: AidKind = AidKind::StudyPlan;
    type Result = StudyPlan;
}

impl Aid for FlashcardsAsked {
    const KIND: AidKind = AidKind::Flashcards;
    type Result = Flashcards;
}
