//! Makes the document that holds all that is kept about a user.

use std::time::Duration;

use bellwork_shared::ids::UserId;
use bellwork_shared::personal_data::documents;
use bellwork_shared::personal_data::export::export;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgPool;

use crate::context::Context;
use crate::failure::Failure;
use crate::job::Job;
use crate::queues::{MAINTENANCE, Queue};
use crate::recording::Recording;

/// The payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportPersonalData {
    /// Whose data.
    pub user_id: UserId,
}

impl Job for ExportPersonalData {
    const KIND: &'static str = "export_personal_data";
    const QUEUE: &'static Queue = &MAINTENANCE;
    const TIMEOUT: Duration = Duration::from_secs(120);

    /// The document, unless the user is gone.
    type Output = Option<Value>;

    async fn run(&self, context: Context<'_>) -> Result<Option<Value>, Failure> {
        let document = read(&context.platform.database, self.user_id).await?;
        if document.is_none() {
            tracing::warn!(job = %context.job, "the user whose data is to be exported has vanished");
        }
        Ok(document)
    }

    async fn record(&self, document: Option<Value>, recording: &mut Recording<'_>) -> anyhow::Result<()> {
        let (job, Some(document)) = (recording.job, document) else { return Ok(()) };
        let transaction = recording.transaction_for_submitter().await?;
        Ok(documents::store(transaction, self.user_id, job, &document.to_string()).await?)
    }
}

/// In one snapshot, so that the parts of the document agree.
async fn read(database: &PgPool, user: UserId) -> sqlx::Result<Option<Value>> {
    let mut transaction = database.begin_with("begin isolation level repeatable read read only").await?;
    export(&mut transaction, user).await
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::marker::Marker;
    use crate::rehearsal::{Stage, attempt, publish_test, register, responses};

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn the_document_holds_what_the_tables_hold_and_no_secret(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let (user, other, test) =
            (register(&mut conn, "Zoe").await, register(&mut conn, "Max").await, publish_test(&mut conn).await);
        let id = attempt(&mut conn, user, &test, responses("The mill failed.", "")).await;
        attempt(&mut conn, other, &test, []).await;
        sqlx::query("update users set password_hash = 'secret'").execute(&mut *conn).await.unwrap();
        let document = read(&database, user).await.unwrap().unwrap();
        assert_eq!(document["users"][0]["email"], "zoe@home.test");
        assert_eq!(document["attempts"].as_array().unwrap().len(), 1);
        assert_eq!(document["attempts"][0]["id"], id.to_string());
        assert_eq!(document["attempts"][0]["answers"][3]["text"], "The mill failed.");
        assert!(!document.to_string().contains("secret"));
        assert!(read(&database, UserId::new()).await.unwrap().is_none());
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn an_export_that_was_overtaken_or_whose_user_is_gone_stores_nothing(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let user = register(&mut conn, "Zoe").await;
        let stage = Stage::new(&database, Marker::Rubric);
        stage.perform(&ExportPersonalData { user_id: UserId::new() }).await.unwrap();
        let job = bellwork_shared::ids::JobId::new();
        documents::request(&mut conn, user, job).await.unwrap();
        stage.perform(&ExportPersonalData { user_id: user }).await.unwrap();
        assert!(documents::newest(&mut conn, user).await.unwrap().is_none());
        stage.perform_as(job, Some(user), &ExportPersonalData { user_id: user }).await.unwrap();
        assert!(documents::newest(&mut conn, user).await.unwrap().unwrap().document.contains("zoe@home.test"));
    }

    #[test]
    fn the_stored_shape_is_read() {
        let user_id = "0199a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b";
        let stored = format!(r#"{{"user_id":"{user_id}"}}"#);
        let user_id = user_id.parse().unwrap();
        assert_eq!(serde_json::from_str::<ExportPersonalData>(&stored).unwrap(), ExportPersonalData { user_id });
    }
}
