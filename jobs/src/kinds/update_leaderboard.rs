//! Ranks the score of a graded attempt, and then tells its student: who looks at once finds their rank.

use bellwork_queue::Priority;
use bellwork_shared::cache::Scope;
use bellwork_shared::ids::{AttemptId, TestId};
use bellwork_shared::leaderboard::{self, Recorded};
use bellwork_shared::results::{self, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;

use super::notify_user::NotifyUser;
use crate::context::Context;
use crate::failure::Failure;
use crate::job::Job;
use crate::queues::{LEADERBOARD, Queue};
use crate::recording::Recording;

/// The payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateLeaderboard {
    /// The attempt.
    pub attempt_id: AttemptId,
}

impl Job for UpdateLeaderboard {
    const KIND: &'static str = "update_leaderboard";
    const QUEUE: &'static Queue = &LEADERBOARD;
    const PRIORITY: Priority = Priority::High;

    type Output = ();

    async fn run(&self, _context: Context<'_>) -> Result<(), Failure> {
        Ok(())
    }

    async fn record(&self, (): (), recording: &mut Recording<'_>) -> anyhow::Result<()> {
        let recorded = leaderboard::record_score(recording.transaction_for_submitter().await?, self.attempt_id).await?;
        let test = tell(self.attempt_id, recording).await?;
        match recorded {
            Recorded::Best(boards) => {
                recording.result(json!({ "best_in": boards }));
                test.filter(|_| boards > 0).into_iter().for_each(|test| recording.outdate(Scope::Board(test)));
            }
            Recorded::NoResult => tracing::warn!(attempt = %self.attempt_id, "the attempt to be ranked has no result"),
        }
        Ok(())
    }

    async fn outdated(&self, conn: &mut PgConnection) -> sqlx::Result<Vec<Scope>> {
        let outcome = results::outcome(conn, self.attempt_id).await?;
        Ok(outcome.map(|outcome| Scope::Board(outcome.test_id)).into_iter().collect())
    }

    /// The result is there, ranked or not.
    async fn buried(&self, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        tell(self.attempt_id, recording).await.map(drop)
    }
}

/// Tells the student the result, and the caller of which test it is, if there is one.
pub(super) async fn tell(attempt_id: AttemptId, recording: &mut Recording<'_>) -> anyhow::Result<Option<TestId>> {
    let outcome = results::outcome(recording.transaction().await?, attempt_id).await?;
    let Some(Outcome { user_id, test_id, title, score, max_score }) = outcome else { return Ok(None) };
    recording.submit(&NotifyUser {
        user_id,
        kind: "attempt_graded".to_owned(),
        title: format!("Your result: {title}"),
        body: format!("You earned {score} of {max_score} points."),
        data: json!({ "attempt_id": attempt_id, "test_id": test_id, "score": score, "max_score": max_score }),
    });
    Ok(Some(test_id))
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::marker::Marker;
    use crate::rehearsal::{Stage, attempt, graded_attempt, publish_test, register};

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_best_score_is_ranked_and_a_lower_one_is_not(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let (user, test) = (register(&mut conn, "Zoe").await, publish_test(&mut conn).await);
        let stage = Stage::new(&database, Marker::Rubric);
        for (score, boards) in [(500, 4), (400, 0), (500, 0), (600, 4)] {
            let attempt_id = graded_attempt(&mut conn, user, &test, score).await;
            let performed = stage.perform(&UpdateLeaderboard { attempt_id }).await.unwrap();
            assert_eq!(performed.result(), &json!({ "best_in": boards }), "{score}");
            assert_eq!(performed.aftermath.outdated.len(), usize::from(boards > 0), "a cached board is outdated");
            let children = performed.children();
            let [("notify_user", told)] = children.as_slice() else { panic!("{children:?}") };
            assert_eq!((&told["kind"], &told["data"]["attempt_id"]), (&json!("attempt_graded"), &json!(attempt_id)));
            assert_eq!(told["data"]["score"], json!(score / 100));
        }
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn an_attempt_that_has_vanished_or_is_not_graded_is_a_success(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let (user, test) = (register(&mut conn, "Zoe").await, publish_test(&mut conn).await);
        let stage = Stage::new(&database, Marker::Rubric);
        for attempt_id in [AttemptId::new(), attempt(&mut conn, user, &test, []).await] {
            let performed = stage.perform(&UpdateLeaderboard { attempt_id }).await.unwrap();
            assert_eq!(performed.aftermath.result, None);
            assert!(performed.children().is_empty(), "there is nothing to tell");
        }
        let ranked: i64 =
            sqlx::query_scalar("select count(*) from leaderboard_histogram").fetch_one(&mut *conn).await.unwrap();
        assert_eq!(ranked, 0);
    }

    #[test]
    fn the_stored_shape_is_read() {
        let stored = r#"{"attempt_id":"0199a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b"}"#;
        let attempt_id = "0199a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b".parse().unwrap();
        assert_eq!(serde_json::from_str::<UpdateLeaderboard>(stored).unwrap(), UpdateLeaderboard { attempt_id });
    }
}
