//! Closes a sitting whose time is over: what its student had saved is handed in for them.
//!
//! It waits for the end of the sitting's time, and may come late: no answer is taken after that time anyway.

use std::time::Duration;

use bellwork_queue::Priority;
use bellwork_shared::ids::{JobId, SittingId};
use bellwork_shared::ledger::NewJob;
use bellwork_shared::sittings::{self, Closing};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::grade_attempt::GradeAttempt;
use crate::context::Context;
use crate::failure::Failure;
use crate::job::Job;
use crate::queues::{MAINTENANCE, Queue};
use crate::recording::Recording;
use crate::submit::{Options, new_job};

/// How long after the end of its time a sitting is looked at again.
const MARGIN: Duration = Duration::from_millis(100);

/// The payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseSitting {
    /// The sitting.
    pub sitting_id: SittingId,
}

impl Job for CloseSitting {
    const KIND: &'static str = "close_sitting";
    const QUEUE: &'static Queue = &MAINTENANCE;
    const PRIORITY: Priority = Priority::High;

    type Output = ();

    /// The clock of Redis, which woke the job, may be ahead of the one that counts.
    async fn run(&self, context: Context<'_>) -> Result<(), Failure> {
        let mut conn = context.platform.database.acquire().await?;
        match sittings::time_left(&mut conn, self.sitting_id).await? {
            Some(left) if !left.is_zero() => Err(Failure::Snooze(left + MARGIN)),
            _ => Ok(()),
        }
    }

    async fn record(&self, (): (), recording: &mut Recording<'_>) -> anyhow::Result<()> {
        let grading = JobId::new();
        let closing = sittings::close(recording.transaction().await?, self.sitting_id, grading).await?;
        if let Closing::HandedIn(attempt_id, user) = closing {
            recording.submit_as(grading, user, &GradeAttempt { attempt_id });
        }
        recording.result(json!({ "closing": word(closing) }));
        Ok(())
    }
}

fn word(closing: Closing) -> &'static str {
    match closing {
        Closing::Ended => "ended_before",
        Closing::NotYet => "not_yet",
        Closing::Expired => "expired",
        Closing::HandedIn(..) => "handed_in",
    }
}

/// The job that closes `sitting`, which takes answers until `closes_at`. Nobody but an operator can cancel it. It does not
/// say whose sitting it is: no row leads to it when its student is erased.
#[must_use]
pub fn closing(sitting_id: SittingId, closes_at: DateTime<Utc>, trace_parent: Option<String>) -> NewJob {
    let options =
        Options { run_at: Some(closes_at), group: Some(sitting_id.to_string()), trace_parent, ..Options::default() };
    new_job(&CloseSitting { sitting_id }, options)
}

#[cfg(test)]
mod tests {
    use bellwork_shared::answers::Answer;
    use bellwork_shared::attempts::{self, AttemptStatus};
    use bellwork_shared::ids::UserId;
    use bellwork_shared::practice_tests::{LateAnswers, TimeLimit};
    use bellwork_shared::versions;
    use sqlx::PgPool;

    use super::*;
    use crate::marker::Marker;
    use crate::rehearsal::{PracticeTest, Stage, publish_test, register, responses};

    struct Scene {
        stage: Stage,
        user: UserId,
        test: PracticeTest,
        sitting_id: SittingId,
    }

    async fn scene(database: &PgPool, late: LateAnswers) -> Scene {
        let mut conn = database.acquire().await.unwrap();
        let (user, test) = (register(&mut conn, "Zoe").await, publish_test(&mut conn).await);
        let edition = versions::find(&mut conn, test.id, 1).await.unwrap().unwrap();
        let limit = TimeLimit { minutes: 10, late };
        let sitting_id = sittings::start(&mut conn, user, &edition, limit).await.unwrap().unwrap();
        Scene { stage: Stage::new(database, Marker::Rubric), user, test, sitting_id }
    }

    impl Scene {
        fn job(&self) -> CloseSitting {
            CloseSitting { sitting_id: self.sitting_id }
        }

        async fn save_answers(&self) {
            let questions = self.test.questions.iter().copied();
            let answers = questions.zip(responses("The mill failed.", "The market grew."));
            let answers: Vec<_> = answers.map(|(question_id, response)| Answer { question_id, response }).collect();
            let mut conn = self.stage.platform.database.acquire().await.unwrap();
            sittings::save(&mut conn, self.sitting_id, &answers).await.unwrap();
        }

        /// As if `minutes` had gone by.
        async fn let_pass(&self, minutes: i32) {
            let back = "update sittings set started_at = started_at - make_interval(mins => $2), \
                        deadline = deadline - make_interval(mins => $2), \
                        closes_at = closes_at - make_interval(mins => $2), \
                        saved_at = saved_at - make_interval(mins => $2) where id = $1";
            let back = sqlx::query(back).bind(self.sitting_id.0).bind(minutes);
            back.execute(&self.stage.platform.database).await.unwrap();
        }
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn what_was_saved_is_handed_in_once_and_graded(database: PgPool) {
        let scene = scene(&database, LateAnswers::Refuse).await;
        scene.save_answers().await;
        let early = scene.stage.perform(&scene.job()).await.unwrap_err();
        assert!(matches!(early, Failure::Snooze(left) if left > Duration::from_secs(600)), "{early:?}");
        scene.let_pass(11).await;
        let performed = scene.stage.perform(&scene.job()).await.unwrap();
        assert_eq!(performed.result(), &json!({ "closing": "handed_in" }));
        let [grading] = performed.aftermath.children.as_slice() else { panic!("{performed:?}") };
        assert_eq!((grading.kind, grading.submitter), ("grade_attempt", Some(scene.user)));
        let job: GradeAttempt = serde_json::from_value(grading.payload.clone()).unwrap();
        scene.stage.perform_as(grading.id, Some(scene.user), &job).await.unwrap();
        let mut conn = database.acquire().await.unwrap();
        let attempt = attempts::find(&mut conn, scene.user, job.attempt_id).await.unwrap().unwrap();
        assert_eq!((attempt.status, attempt.late), (AttemptStatus::Graded, false));
        let again = scene.stage.perform(&scene.job()).await.unwrap();
        assert_eq!(again.result(), &json!({ "closing": "ended_before" }));
        assert!(again.children().is_empty());
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_sitting_without_answers_expires_and_a_vanished_one_is_a_success(database: PgPool) {
        let scene = scene(&database, LateAnswers::Refuse).await;
        scene.let_pass(11).await;
        let performed = scene.stage.perform(&scene.job()).await.unwrap();
        assert_eq!((performed.result(), performed.children().len()), (&json!({ "closing": "expired" }), 0));
        let gone = CloseSitting { sitting_id: SittingId::new() };
        assert_eq!(scene.stage.perform(&gone).await.unwrap().result(), &json!({ "closing": "ended_before" }));
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn what_was_saved_late_is_late_and_told_without_a_rank(database: PgPool) {
        let scene = scene(&database, LateAnswers::Mark).await;
        scene.let_pass(11).await;
        scene.save_answers().await;
        scene.let_pass(24 * 60).await;
        let performed = scene.stage.perform(&scene.job()).await.unwrap();
        let job = serde_json::from_value(performed.aftermath.children[0].payload.clone());
        let job: GradeAttempt = job.unwrap();
        let graded = scene.stage.perform(&job).await.unwrap();
        let kinds: Vec<_> = graded.children().into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, ["notify_user", "send_email"]);
        let mut conn = database.acquire().await.unwrap();
        let attempt = attempts::find(&mut conn, scene.user, job.attempt_id).await.unwrap().unwrap();
        assert!(attempt.late);
    }

    #[test]
    fn the_stored_shape_is_read() {
        let stored = r#"{"sitting_id":"0199a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b"}"#;
        let sitting_id = "0199a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b".parse().unwrap();
        assert_eq!(serde_json::from_str::<CloseSitting>(stored).unwrap(), CloseSitting { sitting_id });
    }
}
