//! Makes a study plan from what a student knows least.

use std::time::Duration;

use bellwork_shared::ai::aids;
use bellwork_shared::ai::forms::{Name, StudyDay, StudyPlan, StudyPlanAsked, StudyTask};
use bellwork_shared::ids::{AidId, JobId};
use bellwork_shared::topics::{self, TopicStanding};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::aids::commission::Commission;
use crate::aids::outcome::{self, Finished};
use crate::aids::plain::plain;
use crate::aids::{desk, planner};
use crate::context::Context;
use crate::failure::Failure;
use crate::job::Job;
use crate::queues::{AI, Queue};
use crate::recording::Recording;

/// A plan turns on no more topics.
const TOPICS: i64 = 12;
/// Shares are told in such steps: so exact a plan is nobody's own, and a kept one serves more students.
const STEP_PERCENT: f64 = 10.0;
/// In characters.
const LONGEST_SUMMARY: usize = 800;
/// In characters.
const LONGEST_ACTIVITY: usize = 400;
const MOST_TASKS: usize = 6;
const LEAST_MINUTES: u32 = 5;
/// What a model writes about one day, in characters and at most in tokens.
const USUAL_DAY: usize = 250;
const LONGEST_DAY: u64 = 300;
/// And about the whole.
const LONGEST_REST: u64 = 600;

/// The payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStudy {
    /// The plan to be made.
    pub aid_id: AidId,
}

impl Job for PlanStudy {
    const KIND: &'static str = "plan_study";
    const QUEUE: &'static Queue = &AI;
    const MAX_ATTEMPTS: u16 = 4;
    const TIMEOUT: Duration = Duration::from_secs(300);

    /// Nothing if the aid or all graded attempts have vanished.
    type Output = Option<Finished<StudyPlan>>;

    async fn run(&self, context: Context<'_>) -> Result<Self::Output, Failure> {
        let mut conn = context.platform.database.acquire().await?;
        let asked = aids::asked::<StudyPlanAsked>(&mut conn, self.aid_id).await?;
        let Some((user, asked)) = asked else { return Ok(None) };
        let topics = topics::weakest(&mut conn, user, asked.subject.as_ref().map(Name::as_str), TOPICS).await?;
        drop(conn);
        if topics.is_empty() {
            return Ok(None);
        }
        let Some(tutor) = context.platform.marker.tutor() else {
            return Ok(Some(Finished::by_rules(
                user,
                planner::plan(&topics, asked.days.get().into(), asked.minutes_per_day.get().into()),
            )));
        };
        let written = desk::write(&context, tutor, &commission(&topics, &asked), checked).await?;
        Ok(Some(Finished::written(user, written)))
    }

    async fn record(&self, finished: Self::Output, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        outcome::record::<StudyPlanAsked>(self.aid_id, finished, recording).await
    }

    async fn buried(&self, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        outcome::bury::<StudyPlanAsked>(self.aid_id, recording).await
    }

    async fn cancelled(&self, _: JobId, conn: &mut PgConnection) -> sqlx::Result<()> {
        aids::mark_failed(conn, self.aid_id).await.map(drop)
    }

    async fn reopened(&self, conn: &mut PgConnection) -> sqlx::Result<()> {
        aids::mark_queued(conn, self.aid_id).await
    }
}

fn commission(topics: &[TopicStanding], asked: &StudyPlanAsked) -> Commission<'static> {
    let percent = |topic: &TopicStanding| (100.0 * topic.share / STEP_PERCENT).round() * STEP_PERCENT;
    let topic = |topic: &TopicStanding| json!({ "subject": topic.subject, "topic": topic.topic, "right_percent": percent(topic) });
    let topics: Vec<_> = topics.iter().map(topic).collect();
    Commission {
        kind: PlanStudy::KIND,
        prompt: include_str!("../../prompts/plan.txt"),
        material: json!({ "topics": topics, "days": asked.days, "minutes_per_day": asked.minutes_per_day }),
        written: None,
        schema: schema(),
        readable: &["summary", "activity"],
        usual: USUAL_DAY * usize::from(asked.days.get()),
        longest: LONGEST_DAY * u64::from(asked.days.get()) + LONGEST_REST,
    }
}

fn schema() -> Value {
    let task = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["topic", "activity", "minutes"],
        "properties": {
            "topic": { "type": "string" }, "activity": { "type": "string" }, "minutes": { "type": "integer" },
        },
    });
    let day = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["day", "tasks"],
        "properties": { "day": { "type": "integer" }, "tasks": { "type": "array", "items": task } },
    });
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["summary", "days"],
        "properties": { "summary": { "type": "string" }, "days": { "type": "array", "items": day } },
    })
}

fn checked(said: StudyPlan, commission: &Commission<'_>) -> Result<StudyPlan, String> {
    let asked = &commission.material;
    if Some(said.days.len() as u64) != asked["days"].as_u64() {
        return Err(format!("plans {} days instead of {}.", said.days.len(), asked["days"]));
    }
    let summary = plain("summary", &said.summary, LONGEST_SUMMARY)?;
    let days = (1..).zip(said.days).map(|(number, day)| checked_day(number, day, asked));
    Ok(StudyPlan { summary, days: days.collect::<Result<_, _>>()? })
}

fn checked_day(number: u32, said: StudyDay, asked: &Value) -> Result<StudyDay, String> {
    if said.day != number {
        return Err(format!("has day {} in the place of day {number}.", said.day));
    }
    if !(1..=MOST_TASKS).contains(&said.tasks.len()) {
        return Err(format!("has {} tasks on day {number}, of 1 to {MOST_TASKS}.", said.tasks.len()));
    }
    let minutes: u64 = said.tasks.iter().map(|task| u64::from(task.minutes)).sum();
    if asked["minutes_per_day"].as_u64().is_some_and(|most| minutes > most) {
        return Err(format!("plans {minutes} minutes on day {number}, of at most {}.", asked["minutes_per_day"]));
    }
    let tasks = said.tasks.into_iter().map(|task| checked_task(task, asked));
    Ok(StudyDay { day: number, tasks: tasks.collect::<Result<_, _>>()? })
}

fn checked_task(said: StudyTask, asked: &Value) -> Result<StudyTask, String> {
    let known = asked["topics"].as_array().is_some_and(|topics| topics.iter().any(|one| one["topic"] == said.topic));
    if !known {
        let topic: String = said.topic.chars().take(LONGEST_NAME).collect();
        return Err(format!("names the topic \"{topic}\", which was not given."));
    }
    if said.minutes < LEAST_MINUTES {
        return Err(format!("has a task of {} minutes, of at least {LEAST_MINUTES}.", said.minutes));
    }
    Ok(StudyTask { activity: plain("activity", &said.activity, LONGEST_ACTIVITY)?, ..said })
}

/// Characters of an unknown topic that are repeated.
const LONGEST_NAME: usize = 60;
