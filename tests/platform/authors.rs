//! What the authors of jobs test theirs with.

use bellwork_jobs::kinds::notify_user::NotifyUser;
use bellwork_jobs::kinds::prune_ledger::PruneLedger;
use bellwork_jobs::kinds::send_email::SendEmail;
use bellwork_jobs::submit::Options;
use bellwork_shared::ids::UserId;
use bellwork_shared::ledger::JobState;
use bellwork_tests::rehearsal::Rehearsal;
use serde_json::json;
use sqlx::PgPool;

fn greeting(user_id: UserId) -> NotifyUser {
    NotifyUser {
        user_id,
        kind: "greeting".to_owned(),
        title: "Hello".to_owned(),
        body: "You are here.".to_owned(),
        data: json!({}),
    }
}

async fn register(database: &PgPool) -> UserId {
    let id = UserId::new();
    let insert = "insert into users (id, email, display_name, role, password_hash) \
                  values ($1, 'ann@home.test', 'Ann', 'student', '')";
    sqlx::query(insert).bind(id.0).execute(database).await.unwrap();
    id
}

async fn notifications(database: &PgPool) -> i64 {
    sqlx::query_scalar("select count(*) from notifications").fetch_one(database).await.unwrap()
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn one_job_is_run_as_in_production_and_what_it_submits_waits(database: PgPool) {
    let rehearsal = Rehearsal::new(&database).await;
    let user = register(&database).await;
    let waiting = rehearsal.submit(&PruneLedger {}, Options::default()).await;
    let row = rehearsal.run(&greeting(user)).await;
    assert_eq!((row.state, notifications(&database).await), (JobState::Done, 1));
    assert_eq!(rehearsal.row(waiting).await.state, JobState::Ready, "others were left alone");
    assert_eq!(rehearsal.enqueued::<PruneLedger>().await.len(), 1);
    assert!(rehearsal.enqueued::<NotifyUser>().await.is_empty());
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_drain_leaves_nothing_behind(database: PgPool) {
    let rehearsal = Rehearsal::new(&database).await;
    let user = register(&database).await;
    let late = Options { run_at: Some(chrono::Utc::now() + chrono::Duration::hours(5)), ..Options::default() };
    let ids = [
        rehearsal.submit(&greeting(user), Options::default()).await,
        rehearsal.submit(&greeting(user), late).await,
        rehearsal.submit(&PruneLedger {}, Options::default()).await,
    ];
    rehearsal.drain().await;
    for id in ids {
        assert_eq!(rehearsal.row(id).await.state, JobState::Done);
    }
    assert_eq!(notifications(&database).await, 2);
    assert!(rehearsal.enqueued::<SendEmail>().await.is_empty());
}
