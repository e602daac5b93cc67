//! Work that waits for workers.

use std::collections::BTreeMap;

use bellwork_jobs::kinds::notify_user::NotifyUser;
use bellwork_jobs::submit::{Options, Submitter, new_job};
use bellwork_queue::{Engine, Priority};
use bellwork_shared::ledger;
use bellwork_tests::installation::Installation;
use serde_json::json;

use crate::effects::all_jobs_end;

const JOBS: usize = 10_000;

#[tokio::test]
async fn ten_thousand_jobs_pushed_before_any_worker_starts_are_all_done_by_priority() {
    let installation = Installation::new().await;
    let api = installation.api().await;
    let student = installation.student(&api).await;
    let server = installation.variable("REDIS_URL").parse().unwrap();
    let engine = Engine::new(server, installation.variable("REDIS_PREFIX"));
    let (submitter, _) = Submitter::start(engine.producer(), installation.database.clone());
    let note = NotifyUser {
        user_id: student.id.parse().unwrap(),
        kind: "test".to_owned(),
        title: "One of many".to_owned(),
        body: String::new(),
        data: json!({}),
    };
    for chunk in 0..JOBS / 500 {
        let jobs: Vec<_> = (0..500)
            .map(|index| {
                let priority = Priority::ALL[(chunk + index) % 4];
                new_job(&note, Options { priority: Some(priority), ..Options::default() })
            })
            .collect();
        let mut conn = installation.database.acquire().await.unwrap();
        ledger::insert(&mut conn, &jobs).await.unwrap();
        submitter.push(&jobs).await;
    }
    let waiting = engine.inspector().counts("notification").await.unwrap();
    assert_eq!(waiting.ready, [JOBS as u64 / 4; 4]);

    // Schedules fire meanwhile: their jobs end too.
    let _workers = installation.workers("notification=8,email=1,maintenance=1");
    all_jobs_end(&installation).await;
    let ends: Vec<(i16, String)> =
        sqlx::query_as("select priority, state::text from jobs where kind = 'notify_user' order by finished_at")
            .fetch_all(&installation.database)
            .await
            .unwrap();
    assert!(ends.iter().all(|(_, state)| state == "done"));
    let mut places: BTreeMap<i16, usize> = BTreeMap::new();
    for (place, (priority, _)) in ends.iter().enumerate() {
        *places.entry(*priority).or_default() += place;
    }
    let mean: Vec<usize> = places.into_values().map(|sum| sum / (JOBS / 4)).collect();
    assert!(mean.is_sorted(), "the mean place of each priority in the order of ends: {mean:?}");
    let critical_ends = ends.iter().rposition(|(priority, _)| *priority == 0).unwrap();
    // After ten seconds without a break the others have one turn in ten.
    assert!(critical_ends < JOBS / 4 * 10 / 9 + 50, "the last critical one ended at place {critical_ends}");
    let seqs: Vec<i64> = sqlx::query_scalar("select seq from notifications order by seq")
        .fetch_all(&installation.database)
        .await
        .unwrap();
    assert_eq!(seqs, (1..=JOBS as i64).collect::<Vec<_>>(), "numbered without gaps");
}
