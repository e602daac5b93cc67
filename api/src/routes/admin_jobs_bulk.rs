//! Retrying or cancelling many jobs.

use actix_web::web;
use bellwork_jobs::bulk::{self, Desk, Order, Outcome, Plan};
use bellwork_jobs::steering::Refusal;
use bellwork_shared::ids::JobId;
use bellwork_shared::ledger::search::{Action, Filter};
use serde::{Deserialize, Serialize};
use tracing::info;
use utoipa::ToSchema;

use super::admin_jobs::{checked, running};
use super::jobs::{JobView, shown};
use crate::app::App;
use crate::auth::caller::SignedIn;
use crate::cursor::{Cursors, Page};
use crate::error::ApiError;
use crate::input::{Body, Object};
use crate::reply::Json;

/// Jobs shown of those that would be changed.
const SAMPLE: usize = 10;

/// What to do to which jobs. Neither a filter nor ids, or a filter that says nothing, mean no job; both mean what both mean.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Bulk {
    action: Action,
    /// Without a state: the dead jobs to be retried, the open ones to be cancelled.
    #[schema(value_type = Option<Filter>)]
    filter: Option<Object<Filter>>,
    /// Just these.
    #[schema(max_items = 1000)]
    ids: Option<Vec<JobId>>,
    /// Say what would be done, and do nothing.
    #[serde(default)]
    dry_run: bool,
    /// Where the last answer said that the rest begins.
    #[schema(format = "cursor", max_length = 1000)]
    cursor: Option<String>,
}

/// What was done, or would be.
#[derive(Serialize, ToSchema)]
pub(super) struct Steered {
    action: Action,
    dry_run: bool,
    /// How many jobs were meant: in a dry run of all, else of this request, which takes 1,000 at the most.
    matched: i64,
    /// Whether there may be more: a dry run counts among 200,000 jobs.
    more: bool,
    /// How many were changed.
    changed: usize,
    /// Those that were left as they are, or would be.
    refused: Vec<Refused>,
    /// In a dry run, the newest of those that would be changed.
    sample: Vec<JobView>,
    /// Where the rest begins.
    next_cursor: Option<String>,
}

/// A job that was left as it is.
#[derive(Serialize, ToSchema)]
pub(super) struct Refused {
    id: JobId,
    reason: String,
}

/// `POST /api/admin/jobs/bulk`: each job is steered as one is, in a transaction of its own. Sent again, the request finds what
/// is left.
pub(super) async fn steer(app: web::Data<App>, caller: SignedIn, body: Body<Bulk>) -> Result<Json<Steered>, ApiError> {
    let cursors = Cursors::of(&app, "/api/admin/jobs/bulk").await?;
    let dry_run = body.value.dry_run;
    let order = read(body.value, cursors)?;
    let running = running(&app, order.filter.state).await?;
    // It takes a few connections at a time, but some thousand of them: more than one request has the patience for.
    let desk = Desk { database: app.database.pool(), inspector: &app.inspector, submitter: &app.submitter };
    if dry_run {
        return Ok(Json(planned(order.action, order.plan(desk, &running, SAMPLE).await?)));
    }
    let outcome = order.carry_out(desk, &running).await?;
    let Order { action, filter, .. } = &order;
    let (by, changed, refused) = (caller.user.id, outcome.changed, outcome.refused.len());
    info!(%by, ?action, ?filter, changed, refused, "jobs steered");
    done(*action, outcome, cursors).map(Json)
}

fn read(bulk: Bulk, cursors: Cursors<'_>) -> Result<Order, ApiError> {
    let Bulk { action, filter, mut ids, cursor, .. } = bulk;
    let filter = checked("/filter", filter.map(|Object(filter)| filter).unwrap_or_default())?;
    if filter.state.is_some_and(|state| !action.suits(state)) {
        return Err(ApiError::Conflict("Only dead and cancelled jobs can be retried, and only open ones cancelled."));
    }
    if let Some(ids) = &mut ids {
        if ids.len() > bulk::MOST {
            return Err(ApiError::invalid("/ids", format!("There are at most {} ids.", bulk::MOST)));
        }
        ids.sort_unstable();
        ids.dedup();
    }
    let before = cursors.position(&Page::of(None, cursor))?;
    Ok(Order { action, filter, ids, before })
}

fn planned(action: Action, plan: Plan) -> Steered {
    Steered {
        action,
        dry_run: true,
        matched: plan.matched,
        more: plan.more,
        changed: 0,
        refused: plan.refused.into_iter().map(refused).collect(),
        sample: plan.sample.into_iter().map(|row| shown(row, None)).collect(),
        next_cursor: None,
    }
}

/// What was done; a store that failed before anything was done fails the request.
fn done(action: Action, mut outcome: Outcome, cursors: Cursors<'_>) -> Result<Steered, ApiError> {
    let failed = |(_, refusal): &(JobId, Refusal)| matches!(refusal, Refusal::Database(_) | Refusal::Queue(_));
    if outcome.changed == 0
        && let Some(at) = outcome.refused.iter().position(failed)
    {
        return Err(outcome.refused.swap_remove(at).1.into());
    }
    Ok(Steered {
        action,
        dry_run: false,
        matched: i64::try_from(outcome.changed + outcome.refused.len()).unwrap_or(i64::MAX),
        more: outcome.next.is_some(),
        changed: outcome.changed,
        refused: outcome.refused.into_iter().map(refused).collect(),
        sample: Vec::new(),
        next_cursor: outcome.next.map(|next| cursors.seal(&next)),
    })
}

fn refused((id, refusal): (JobId, Refusal)) -> Refused {
    Refused { id, reason: refusal.to_string() }
}
