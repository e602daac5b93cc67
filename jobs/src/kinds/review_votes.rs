//! Looks again at the votes since the last review, and holds back what only hindsight shows to be suspicious.

use bellwork_shared::votes::review::{self, Findings, Recorded, Rest};
use chrono::Utc;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::context::Context;
use crate::failure::Failure;
use crate::job::Job;
use crate::queues::{MAINTENANCE, Queue};
use crate::recording::Recording;

/// The payload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewVotes {}

impl Job for ReviewVotes {
    const KIND: &'static str = "review_votes";
    const QUEUE: &'static Queue = &MAINTENANCE;

    type Output = Findings;

    async fn run(&self, context: Context<'_>) -> Result<Findings, Failure> {
        let mut conn = context.platform.database.acquire().await?;
        Ok(review::look(&mut conn, Utc::now()).await?)
    }

    /// Votes that were changed or decided about since are left as they are, and of two reviews of the same votes the
    /// second does nothing.
    async fn record(&self, findings: Findings, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        let held = match review::record(recording.transaction().await?, &findings).await? {
            Recorded::Held(held) => held,
            Recorded::Overtaken => return Ok(()),
        };
        if held > 0 {
            tracing::warn!(held, "suspicious votes are held back");
        }
        if findings.rest == Rest::More {
            recording.submit(self);
        }
        recording.result(json!({ "reviewed": findings.new, "held": held }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bellwork_shared::ids::UserId;
    use bellwork_shared::models::{self, NewModel, Slug};
    use bellwork_shared::votes::Ballot;
    use bellwork_shared::votes::casting;
    use bellwork_shared::votes::evidence::{self, NewVote};
    use bellwork_shared::votes::rules::Verdict;
    use bellwork_shared::votes::traces::Keys;
    use sqlx::PgPool;

    use super::*;
    use crate::marker::Marker;
    use crate::rehearsal::{Stage, register};

    async fn publish(database: &PgPool) -> Slug {
        let new: NewModel = serde_json::from_value(json!({ "slug": "ada", "name": "Ada" })).unwrap();
        models::insert(&mut database.acquire().await.unwrap(), &new).await.unwrap();
        new.slug
    }

    /// A vote that nobody judges when it is cast.
    async fn vote(database: &PgPool, keys: &Keys, user: UserId, model: &Slug) {
        let trace = keys.today(database).await.unwrap().trace(Some("one"), "203.0.113.7".parse().unwrap());
        let vote = NewVote { user, model, ballot: Ballot::Up, trace };
        let mut transaction = database.begin().await.unwrap();
        let gathered = evidence::gather(&mut transaction, &vote).await.unwrap().unwrap();
        casting::cast(&mut transaction, &vote, &gathered, &Verdict::Count).await.unwrap();
        transaction.commit().await.unwrap();
    }

    async fn up(database: &PgPool) -> i64 {
        let sum = "select coalesce(sum(up), 0)::bigint from vote_counts where period = 'all'";
        sqlx::query_scalar(sum).fetch_one(database).await.unwrap()
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_farm_is_held_back_once_however_often_the_job_runs(database: PgPool) {
        let (model, keys) = (publish(&database).await, Keys::default());
        for n in 0..8 {
            let user = register(&mut database.acquire().await.unwrap(), &format!("Zoe{n}")).await;
            vote(&database, &keys, user, &model).await;
        }
        assert_eq!(up(&database).await, 8);
        let stage = Stage::new(&database, Marker::Rubric);
        for held in [8, 0] {
            let performed = stage.perform(&ReviewVotes {}).await.unwrap();
            assert_eq!(
                performed.result(),
                &json!({ "reviewed": 8, "held": held }),
                "the last minute is looked at twice"
            );
            assert!(performed.children().is_empty());
            assert_eq!(up(&database).await, 0);
        }
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_long_queue_of_votes_is_reviewed_in_pages(database: PgPool) {
        let traces = "insert into vote_traces (vote_id, user_id, model_id, value, account_created_at, cast_at)
                      select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 1, now(),
                             now() - make_interval(mins => 5, secs => n) from generate_series(1, 1500) as n";
        sqlx::query(traces).execute(&database).await.unwrap();
        let stage = Stage::new(&database, Marker::Rubric);
        let first = stage.perform(&ReviewVotes {}).await.unwrap();
        assert_eq!((first.result()["reviewed"].as_u64(), first.children().len()), (Some(1000), 1));
        let second = stage.perform(&ReviewVotes {}).await.unwrap();
        assert_eq!((second.result()["reviewed"].as_u64(), second.children().len()), (Some(500), 0));
    }

    #[test]
    fn the_stored_shape_is_read() {
        assert_eq!(serde_json::from_str::<ReviewVotes>("{}").unwrap(), ReviewVotes {});
    }
}
