//! A worker for the application under test: the production executor on its queues.

use std::sync::Arc;
use std::time::Duration;

use bellwork_jobs::context::Platform;
use bellwork_jobs::mailer::Mailer;
use bellwork_jobs::marker::Marker;
use bellwork_jobs::submit::Submitter;
use bellwork_queue::{Drain, RetryPolicy};
use bellwork_shared::catalogue::Catalogue;
use bellwork_shared::config::mail::MailConfig;
use bellwork_worker::executor::Executor;

use crate::application::Application;

/// Runs the jobs that wait in a queue, as a worker does.
pub(crate) async fn work(app: &Application, queue: &str, which: Drain) {
    let mail = MailConfig { smtp_url: None, dir: std::env::temp_dir(), ..app.config.mail.clone() };
    let platform = Platform {
        database: app.database.clone(),
        catalogue: Catalogue::new(app.database.clone()),
        cache: app.cache.clone(),
        publisher: app.publisher.clone(),
        marker: Arc::new(Marker::new(&app.config.ai).unwrap()),
        mailer: Mailer::new(&mail).unwrap(),
        public_url: app.config.http.public_url.clone(),
        ledger_retention_days: 30,
        vote_retention_months: 24,
    };
    let (submitter, _) = Submitter::start(app.engine.producer(), app.database.clone());
    let retry = RetryPolicy::exponential(Duration::from_millis(1));
    let executor = Executor { platform, submitter, retry, worker: "work".into() };
    let drained = app.engine.drain(queue, 1, which, move |delivery| {
        let executor = executor.clone();
        async move { executor.execute(&delivery).await }
    });
    drained.await.unwrap();
}
