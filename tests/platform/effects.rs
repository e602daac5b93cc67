//! What an attempt must have left behind, exactly once.

use bellwork_testkit::eventually;
use bellwork_tests::installation::Installation;
use sqlx::Row;

/// Waits until no job is unfinished. With each that ends the deadline begins anew: how many there are, and how fast the
/// machine is, does not matter.
pub(crate) async fn all_jobs_end(installation: &Installation) {
    let mut ended = -1;
    loop {
        let (unfinished, now) = eventually("another job ends", async || {
            let (unfinished, now) = jobs(installation).await?;
            (unfinished == 0 || now > ended).then_some((unfinished, now))
        })
        .await;
        if unfinished == 0 {
            return;
        }
        ended = now;
    }
}

/// How many jobs are unfinished, and how many have ended; nothing while PostgreSQL is away.
async fn jobs(installation: &Installation) -> Option<(i64, i64)> {
    let counts = "select count(*) - count(finished_at), count(finished_at) from jobs";
    sqlx::query_as(counts).fetch_one(&installation.database).await.ok()
}

/// Every attempt has one result, its student one place on the board of its test, and one notification of it; every job is
/// done, and Redis and the outbox hold nothing.
pub(crate) async fn happened_once(installation: &Installation, attempts: i64) {
    all_jobs_end(installation).await;
    let row = sqlx::query(
        "select (select count(*) from attempts) as attempts,
                (select count(*) from attempts where status = 'graded') as graded,
                (select count(*) from (select distinct user_id, test_id from attempts) as takers) as takers,
                (select count(*) from leaderboard_entries where period = 'all') as entries,
                (select coalesce(sum(entries), 0)::bigint from leaderboard_histogram where period = 'all') as counted,
                (select count(*) from notifications where kind = 'attempt_graded') as notified,
                (select count(distinct data->>'attempt_id') from notifications) as notified_of,
                (select count(*) from jobs where state <> 'done') as not_done,
                (select count(*) from jobs where kind = 'send_email') as mails",
    )
    .fetch_one(&installation.database)
    .await
    .unwrap();
    let figure = |name| row.get::<i64, _>(name);
    assert_eq!(figure("attempts"), attempts, "accepted attempts");
    assert_eq!(figure("graded"), attempts, "results");
    assert_eq!((figure("entries"), figure("counted")), (figure("takers"), figure("takers")), "places on the board");
    assert_eq!((figure("notified"), figure("notified_of")), (attempts, attempts), "notifications");
    assert_eq!(figure("mails"), attempts, "mails");
    assert_eq!(figure("not_done"), 0, "jobs that are not done");
    eventually("the outbox is empty", async || {
        let left: i64 =
            sqlx::query_scalar("select count(*) from job_outbox").fetch_one(&installation.database).await.ok()?;
        (left == 0).then_some(())
    })
    .await;
    eventually("Redis holds no job", async || {
        let keys = keys_of_jobs(installation).await;
        keys.is_empty().then_some(())
    })
    .await;
}

/// The keys of this installation that hold jobs.
async fn keys_of_jobs(installation: &Installation) -> Vec<String> {
    let mut connection = installation.redis_connection().await;
    let pattern = format!("{{{}:*}}:jobs", installation.variable("REDIS_PREFIX"));
    let mut keys = Vec::new();
    let mut cursor = 0_u64;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(1000);
        let (next, page): (u64, Vec<String>) = scan.query_async(&mut connection).await.unwrap();
        keys.extend(page);
        cursor = next;
        if cursor == 0 {
            return keys;
        }
    }
}
