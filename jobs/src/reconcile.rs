//! Reconciling: walks the unfinished rows of the ledger in the order of their ids and pushes them. What Redis holds
//! already is not touched, so a walk is harmless at any time.

use std::time::Duration;

use bellwork_shared::ledger;
use sqlx::PgPool;

use crate::envelope::Addressed;
use crate::submit::Submitter;

/// Rows read and pushed at once.
const PAGE: i64 = 500;

/// Pushes every unfinished job, at most a page in each `pace`. Calls `on_page` with the number of rows walked so far.
/// Returns that number at the end.
///
/// # Errors
/// If the database or Redis fails; a walk can be begun again.
pub async fn walk(
    database: &PgPool,
    submitter: &Submitter,
    pace: Duration,
    mut on_page: impl FnMut(u64),
) -> anyhow::Result<u64> {
    let mut walked = 0;
    let mut after = None;
    let mut ticks = tokio::time::interval(pace.max(Duration::from_millis(1)));
    loop {
        ticks.tick().await;
        let jobs = {
            let mut conn = database.acquire().await?;
            ledger::unfinished(&mut conn, after, PAGE).await?
        };
        let Some(last) = jobs.last() else { return Ok(walked) };
        after = Some(last.id);
        walked += jobs.len() as u64;
        submitter.insist(jobs.iter().map(Addressed::from).collect()).await?;
        on_page(walked);
    }
}
