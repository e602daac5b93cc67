//! Grades an attempt: choices and numbers exactly, free text by the marker.

use std::time::Duration;

use bellwork_shared::attempts::{self, Origin};
use bellwork_shared::ids::{AttemptId, JobId};
use bellwork_shared::topics;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;

use super::notify_user::NotifyUser;
use super::send_email::{Mail, SendEmail};
use super::update_leaderboard::{self, UpdateLeaderboard};
use crate::context::Context;
use crate::failure::Failure;
use crate::job::Job;
use crate::paper::{Graded, Paper};
use crate::queues::{AI, Queue};
use crate::recording::Recording;

/// The payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GradeAttempt {
    /// The attempt.
    pub attempt_id: AttemptId,
}

impl Job for GradeAttempt {
    const KIND: &'static str = "grade_attempt";
    const QUEUE: &'static Queue = &AI;
    const MAX_ATTEMPTS: u16 = 5;
    const TIMEOUT: Duration = Duration::from_secs(120);

    /// Nothing if the attempt has vanished.
    type Output = Option<Graded>;

    async fn run(&self, context: Context<'_>) -> Result<Option<Graded>, Failure> {
        match Paper::find(context.platform, self.attempt_id).await? {
            Some(paper) => paper.graded(context).await.map(Some),
            None => Ok(None),
        }
    }

    async fn record(&self, graded: Option<Graded>, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        let Some(graded) = graded else {
            tracing::warn!(attempt = %self.attempt_id, "the attempt to be graded has vanished");
            return Ok(());
        };
        let conn = recording.transaction_for_submitter().await?;
        let written = attempts::mark_graded(conn, self.attempt_id, &graded.grading).await?;
        let Some(origin) = written else {
            tracing::warn!(attempt = %self.attempt_id, "the graded attempt has vanished, or has a result already");
            return Ok(());
        };
        let attempt_id = self.attempt_id;
        topics::record(recording.transaction().await?, attempt_id, &graded.grading.feedback).await?;
        self.follow_up(origin, recording).await?;
        let mut result =
            json!({ "attempt_id": attempt_id, "score": graded.grading.score, "max_score": graded.max_score });
        if graded.usage.requests > 0 {
            result["usage"] = serde_json::to_value(graded.usage)?;
        }
        recording.result(result);
        Ok(())
    }

    async fn buried(&self, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        let conn = recording.transaction_for_submitter().await?;
        if let Some(origin) = attempts::mark_failed(conn, self.attempt_id).await? {
            recording.submit(&self.bad_news(origin));
        }
        Ok(())
    }

    async fn cancelled(&self, _: JobId, conn: &mut PgConnection) -> sqlx::Result<()> {
        attempts::mark_failed(conn, self.attempt_id).await.map(drop)
    }

    async fn reopened(&self, conn: &mut PgConnection) -> sqlx::Result<()> {
        attempts::mark_queued(conn, self.attempt_id).await
    }
}

impl GradeAttempt {
    /// What is not ranked is told at once; what is practised is not worth a mail.
    async fn follow_up(&self, origin: Origin, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        let (attempt_id, user_id) = (self.attempt_id, origin.user_id);
        if origin.ranks {
            recording.submit(&UpdateLeaderboard { attempt_id });
        } else {
            update_leaderboard::tell(attempt_id, recording).await?;
        }
        if origin.test_version.is_some() {
            recording.submit(&SendEmail { user_id, mail: Mail::AttemptGraded { attempt_id } });
        }
        Ok(())
    }

    fn bad_news(&self, origin: Origin) -> NotifyUser {
        NotifyUser {
            user_id: origin.user_id,
            kind: "attempt_failed".to_owned(),
            title: "Your test could not be graded".to_owned(),
            body: "Your answers are safe. We look into it, and your result arrives as soon as it is there.".to_owned(),
            data: json!({ "attempt_id": self.attempt_id, "test_id": origin.test_id }),
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwork_shared::attempts::{AttemptStatus, Feedback, GradedBy};
    use bellwork_shared::events::{Event, channel};
    use bellwork_shared::ids::UserId;
    use bellwork_shared::personal_data::erasure::{Erased, erase};
    use futures_util::StreamExt;
    use serde_json::Value;
    use sqlx::PgPool;

    use super::*;
    use crate::marker::Marker;
    use crate::rehearsal::chat_server::{Act, ChatServer, claims};
    use crate::rehearsal::{self, PracticeTest, Stage, publish_test, register, responses};
    use crate::tutor::Tutor;

    const GOOD: &str = "The mill failed and the market grew.";
    const HALF: &str = "The mill jammed.";

    struct Scene {
        stage: Stage,
        user: UserId,
        test: PracticeTest,
        attempt_id: AttemptId,
    }

    async fn scene(database: &PgPool, marker: Marker) -> Scene {
        let mut conn = database.acquire().await.unwrap();
        let (user, test) = (register(&mut conn, "Zoe").await, publish_test(&mut conn).await);
        let attempt_id = rehearsal::attempt(&mut conn, user, &test, responses(GOOD, HALF)).await;
        Scene { stage: Stage::new(database, marker), user, test, attempt_id }
    }

    impl Scene {
        fn job(&self) -> GradeAttempt {
            GradeAttempt { attempt_id: self.attempt_id }
        }

        async fn attempt(&self) -> attempts::Attempt {
            let mut conn = self.stage.platform.database.acquire().await.unwrap();
            attempts::find(&mut conn, self.user, self.attempt_id).await.unwrap().unwrap()
        }

        async fn feedback(&self) -> Vec<Feedback> {
            self.attempt().await.feedback.0
        }
    }

    fn ai(server: &ChatServer) -> Marker {
        Marker::Ai(Box::new(Tutor::new(&server.configured()).unwrap()))
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn without_an_ai_server_all_is_graded_and_the_follow_ups_are_submitted(database: PgPool) {
        let scene = scene(&database, Marker::Rubric).await;
        let (attempt_id, user_id) = (scene.attempt_id, scene.user);
        let performed = scene.stage.perform(&scene.job()).await.unwrap();
        let attempt = scene.attempt().await;
        assert_eq!(
            (attempt.status, attempt.score),
            (AttemptStatus::Graded, Some(bellwork_shared::points::Points(500)))
        );
        let feedback = scene.feedback().await;
        assert_eq!(feedback.iter().map(|f| f.question_id).collect::<Vec<_>>(), scene.test.questions);
        assert_eq!(feedback.iter().map(|f| f.points.0).collect::<Vec<_>>(), [100, 100, 0, 200, 100]);
        assert_eq!(feedback.iter().map(|f| f.correct).collect::<Vec<_>>(), [true, false, false, true, false]);
        let by = [GradedBy::Exact, GradedBy::Exact, GradedBy::Exact, GradedBy::Rubric, GradedBy::Rubric];
        assert_eq!(feedback.iter().map(|f| f.graded_by).collect::<Vec<_>>(), by);
        assert_eq!(performed.result(), &json!({ "attempt_id": attempt_id, "score": 5, "max_score": 9 }));
        let mail = json!({ "user_id": user_id, "mail": { "attempt_graded": { "attempt_id": attempt_id } } });
        let ranking = json!({ "attempt_id": attempt_id });
        let expected: [(&str, &Value); 2] = [("update_leaderboard", &ranking), ("send_email", &mail)];
        assert_eq!(performed.children(), expected);
        assert!(performed.aftermath.children.iter().all(|child| child.parent == Some(performed.job)));
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn an_ai_server_reads_the_written_answers_and_what_it_used_is_in_the_result(database: PgPool) {
        let first = claims(&[("k1", "The mill failed"), ("k2", "the market grew")], "Well done.");
        let server = ChatServer::start([first, claims(&[("k1", "The mill jammed.")], "Half of it.")]).await;
        let scene = scene(&database, ai(&server)).await;
        let job = JobId::new();
        let mut listener = rehearsal::redis().pubsub().await.unwrap();
        listener.subscribe(channel(&scene.stage.prefix, scene.user)).await.unwrap();
        let performed = scene.stage.perform_as(job, Some(scene.user), &scene.job()).await.unwrap();
        let usage = json!({ "prompt_tokens": 200, "completion_tokens": 40, "requests": 2 });
        assert_eq!(performed.result()["usage"], usage);
        let feedback = scene.feedback().await;
        assert_eq!(feedback[3].comment, "Very good, every key point is there. Well done. So it is.");
        assert_eq!((feedback[4].points.0, feedback[4].graded_by), (100, GradedBy::Ai));
        let requests = server.requests();
        assert_eq!(requests[0].material()["passage"], "The mill stood still.");
        assert_eq!(requests[1].material()["answer"], HALF);
        let key = format!("{job}-{}", scene.test.questions[4]);
        assert_eq!(requests[1].header("idempotency-key"), Some(&*key));
        let mut told = listener.on_message();
        for (percent, message) in [(0, "Reading written answer 1 of 2"), (50, "Reading written answer 2 of 2")] {
            let event: Event = serde_json::from_slice(told.next().await.unwrap().get_payload_bytes()).unwrap();
            let Event::Progress(progress) = event else { panic!("{event:?}") };
            assert_eq!((progress.job_id, progress.percent, progress.message.as_str()), (job, percent, message));
        }
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_server_that_fails_halfway_leaves_the_attempt_grading_and_is_not_asked_twice_for_the_first(
        database: PgPool,
    ) {
        let unwell = Act::Answer("500 Internal Server Error", "", String::new());
        let server = ChatServer::start([claims(&[], "First."), unwell, claims(&[], "Second.")]).await;
        let scene = scene(&database, ai(&server)).await;
        let id = JobId::new();
        let failure = scene.stage.perform_as(id, None, &scene.job()).await.unwrap_err();
        assert!(matches!(failure, Failure::Retry { .. }), "{failure:?}");
        assert_eq!(scene.attempt().await.status, AttemptStatus::Grading);
        scene.stage.perform_as(id, None, &scene.job()).await.unwrap();
        assert_eq!(scene.attempt().await.status, AttemptStatus::Graded);
        let asked: Vec<_> = server.requests().iter().map(|request| request.material()["answer"].clone()).collect();
        assert_eq!(asked, [GOOD, HALF, HALF]);
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn empty_texts_are_nothing_to_ask_about(database: PgPool) {
        let server = ChatServer::start([]).await;
        let mut scene = scene(&database, ai(&server)).await;
        let mut conn = database.acquire().await.unwrap();
        scene.attempt_id = rehearsal::attempt(&mut conn, scene.user, &scene.test, responses(" ", "\n")).await;
        let performed = scene.stage.perform(&scene.job()).await.unwrap();
        assert!(server.requests().is_empty());
        assert_eq!(performed.result().get("usage"), None);
        assert_eq!(scene.attempt().await.status, AttemptStatus::Graded);
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_vanished_attempt_is_a_success_at_either_step(database: PgPool) {
        let scene = scene(&database, Marker::Rubric).await;
        let performed = scene.stage.perform(&GradeAttempt { attempt_id: AttemptId::new() }).await.unwrap();
        assert!(performed.aftermath.children.is_empty() && performed.aftermath.result.is_none());
        let context = Context { platform: &scene.stage.platform, job: JobId::new(), submitter: None, reporter: None };
        let graded = scene.job().run(context).await.unwrap();
        sqlx::query("delete from users").execute(&database).await.unwrap();
        let mut recording = Recording::new(&database, JobId::new(), None, None);
        scene.job().record(graded, &mut recording).await.unwrap();
        let (_, aftermath) = recording.finish();
        assert!(aftermath.children.is_empty());
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_given_up_attempt_is_shown_as_failed_and_a_reopened_one_as_queued(database: PgPool) {
        let scene = scene(&database, Marker::Rubric).await;
        let aftermath = scene.stage.bury(&scene.job()).await;
        assert_eq!(scene.attempt().await.status, AttemptStatus::Failed);
        let [child] = aftermath.children.as_slice() else { panic!("{:?}", aftermath.children) };
        assert_eq!((child.kind, &child.payload["kind"]), ("notify_user", &json!("attempt_failed")));
        assert_eq!(child.payload["data"], json!({ "attempt_id": scene.attempt_id, "test_id": scene.test.id }));
        scene.job().reopened(&mut database.acquire().await.unwrap()).await.unwrap();
        assert_eq!(scene.attempt().await.status, AttemptStatus::Queued);
        scene.stage.perform(&scene.job()).await.unwrap();
        let aftermath = scene.stage.bury(&scene.job()).await;
        assert!(aftermath.children.is_empty(), "a result stays");
        assert_eq!(scene.attempt().await.status, AttemptStatus::Graded);
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn an_erasure_waits_for_a_result_that_is_being_recorded(database: PgPool) {
        let scene = scene(&database, Marker::Rubric).await;
        let mut barrier = database.begin().await.unwrap();
        sqlx::query("lock table topic_standings in exclusive mode").execute(&mut *barrier).await.unwrap();
        let (job, user) = (scene.job(), scene.user);
        let recording = scene.stage.perform_as(JobId::new(), Some(user), &job);
        let erasing = async {
            rehearsal::waiting(&database, 1).await;
            let mut tx = database.begin().await.unwrap();
            let erased = erase(&mut tx, user).await;
            tx.commit().await.unwrap();
            erased
        };
        let opening = async {
            rehearsal::waiting(&database, 2).await;
            barrier.commit().await.unwrap();
        };
        let (recorded, erased, ()) = tokio::join!(recording, erasing, opening);
        assert!(recorded.is_ok(), "{recorded:?}");
        assert!(matches!(erased, Ok(Erased::Into(_))), "{erased:?}");
    }

    #[test]
    fn the_stored_shape_is_read() {
        let stored = r#"{"attempt_id":"0199a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b"}"#;
        let attempt_id = "0199a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b".parse().unwrap();
        assert_eq!(serde_json::from_str::<GradeAttempt>(stored).unwrap(), GradeAttempt { attempt_id });
    }
}
