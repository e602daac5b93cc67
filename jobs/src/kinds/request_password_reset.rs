//! Looks up who has forgotten a password, and lets them be mailed a link. The request itself looks nothing up, so that
//! neither its answer nor its time tells whether an address is registered.

use std::time::Duration;

use bellwork_queue::Priority;
use bellwork_shared::ids::JobId;
use bellwork_shared::ledger::scrub;
use bellwork_shared::users::Email;
use bellwork_shared::users::change::find_by_email;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use super::mail_link::{Link, MailLink};
use crate::context::Context;
use crate::failure::Failure;
use crate::job::Job;
use crate::queues::{EMAIL, Queue};
use crate::recording::Recording;

/// The payload. Its row is emptied however the job ends: the ledger keeps no addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestPasswordReset {
    /// The address that was given; none in a row that was emptied.
    #[serde(default)]
    pub email: Option<String>,
}

impl Job for RequestPasswordReset {
    const KIND: &'static str = "request_password_reset";
    const QUEUE: &'static Queue = &EMAIL;
    /// Somebody sits and waits for it.
    const PRIORITY: Priority = Priority::High;
    const TIMEOUT: Duration = Duration::from_secs(10);

    type Output = ();

    async fn run(&self, _context: Context<'_>) -> Result<(), Failure> {
        Ok(())
    }

    async fn record(&self, (): (), recording: &mut Recording<'_>) -> anyhow::Result<()> {
        let email = self.email.as_deref().and_then(|email| Email::parse(email).ok());
        if let Some(email) = email
            && let Some(user_id) = find_by_email(recording.transaction().await?, &email).await?
        {
            recording.submit(&MailLink { user_id, link: Link::ResetPassword });
        }
        empty(recording).await
    }

    async fn buried(&self, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        empty(recording).await
    }

    async fn cancelled(&self, job: JobId, conn: &mut PgConnection) -> sqlx::Result<()> {
        scrub::empty_payload(conn, job).await
    }
}

async fn empty(recording: &mut Recording<'_>) -> anyhow::Result<()> {
    let job = recording.job;
    Ok(scrub::empty_payload(recording.transaction().await?, job).await?)
}

#[cfg(test)]
mod tests {
    use bellwork_queue::Engine;
    use bellwork_shared::ledger;
    use serde_json::json;
    use sqlx::PgPool;

    use super::*;
    use crate::marker::Marker;
    use crate::rehearsal::{Stage, redis, register};
    use crate::steering::{WhenRunning, cancel};
    use crate::submit::{Options, new_job};

    fn request(email: &str) -> RequestPasswordReset {
        RequestPasswordReset { email: Some(email.to_owned()) }
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn who_is_registered_is_mailed_and_nobody_else(database: PgPool) {
        let user = register(&mut database.acquire().await.unwrap(), "Zoe").await;
        let stage = Stage::new(&database, Marker::Rubric);
        let performed = stage.perform(&request("ZOE@home.test")).await.unwrap();
        assert_eq!(performed.children(), [("mail_link", &json!({ "user_id": user, "link": "reset_password" }))]);
        for other in [request("max@home.test"), request("no address"), RequestPasswordReset { email: None }] {
            assert!(stage.perform(&other).await.unwrap().children().is_empty());
        }
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_cancelled_request_leaves_no_address(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let job = new_job(&request("zoe@home.test"), Options::default());
        ledger::insert(&mut conn, std::slice::from_ref(&job)).await.unwrap();
        let inspector = Engine::new(redis(), &job.id.to_string()).inspector();
        cancel(&database, &inspector, job.id, WhenRunning::Refuse).await.unwrap();
        assert_eq!(ledger::payload(&mut conn, job.id).await.unwrap(), Some(json!({})));
    }

    #[test]
    fn the_stored_shape_is_read_and_an_emptied_one_too() {
        let read = |text| serde_json::from_str::<RequestPasswordReset>(text).unwrap();
        assert_eq!(read(r#"{"email":"zoe@home.test"}"#), request("zoe@home.test"));
        assert_eq!(read("{}"), RequestPasswordReset { email: None });
    }
}
