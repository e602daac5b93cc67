//! Suspicious votes, as operators see and settle them.

use actix_web::web;
use bellwork_shared::ids::VoteId;
use bellwork_shared::models::Slug;
use bellwork_shared::votes::moderation::{self, BULK_LIMIT, Cluster, Decision, Search, SetAside, Settled};
use bellwork_shared::votes::{VoteState, rules};
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::auth::caller::SignedIn;
use crate::cursor::{Cursors, Listed, Page};
use crate::error::ApiError;
use crate::input::{Body, Id, Query};
use crate::reply::Json;

/// Votes that an operator can look for: those that do not count.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    /// They wait for a decision.
    #[default]
    Held,
    /// They never will count.
    Rejected,
}

/// Which votes.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Held votes unless told.
    #[serde(default)]
    #[param(inline)]
    state: Wanted,
    /// Only those on this model.
    #[param(inline)]
    model: Option<Slug>,
    /// Only those that this rule finds suspicious, perhaps among others.
    #[param(schema_with = rule_names)]
    rule: Option<String>,
    /// Only those of this cluster.
    #[param(inline)]
    cluster: Option<Cluster>,
    /// How many items at the most; 20 unless told.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// Where the last answer said that the list goes on.
    #[param(format = "cursor")]
    cursor: Option<String>,
}

fn rule_names() -> Object {
    let names = rules::ALL.iter().map(|rule| rule.name);
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).build()
}

/// A decision about the held votes of a cluster.
#[derive(Deserialize, ToSchema)]
#[schema(as = VoteBulk)]
#[serde(deny_unknown_fields)]
pub(super) struct Bulk {
    decision: Decision,
    cluster: Cluster,
    /// Only those on this model.
    model: Option<Slug>,
    /// Only says how many votes it would change.
    #[serde(default)]
    dry_run: bool,
}

/// What a decision about a cluster came to.
#[derive(Serialize, ToSchema)]
pub(super) struct BulkDone {
    decision: Decision,
    /// How many votes it changed, or would change.
    votes: u64,
    dry_run: bool,
    /// Whether the cluster has more: a call takes 1,000.
    more: bool,
}

/// What became of one vote.
#[derive(Serialize, ToSchema)]
pub(super) struct Decided {
    id: VoteId,
    state: VoteState,
}

/// `GET /api/admin/votes`
pub(super) async fn list(app: web::Data<App>, which: Query<Which>) -> Result<Json<Listed<SetAside>>, ApiError> {
    let which = which.0;
    if which.rule.as_deref().is_some_and(|rule| rules::find(rule).is_none()) {
        return Err(ApiError::invalid("/rule", "There is no such rule."));
    }
    let page = Page::of(which.limit, which.cursor);
    let limit = page.limit()?;
    let cursors = Cursors::of(&app, "/api/admin/votes").await?;
    let search = Search {
        state: match which.state {
            Wanted::Held => VoteState::Held,
            Wanted::Rejected => VoteState::Rejected,
        },
        model: which.model.as_ref(),
        rule: which.rule.as_deref(),
        cluster: which.cluster.as_ref(),
        before: cursors.position(&page)?,
    };
    let votes = moderation::list(&mut *app.database.acquire().await?, &search, limit + 1).await?;
    Ok(Json(cursors.listed(votes, limit, |vote| vote.id)))
}

/// `POST /api/admin/votes/{id}/release`: it counts, for the periods in which it was cast.
pub(super) async fn release(app: web::Data<App>, caller: SignedIn, id: Id<VoteId>) -> Result<Json<Decided>, ApiError> {
    settle(&app, &caller, id.0, Decision::Release).await?;
    Ok(Json(Decided { id: id.0, state: VoteState::Counted }))
}

/// `POST /api/admin/votes/{id}/reject`: it never counts, until it is released.
pub(super) async fn reject(app: web::Data<App>, caller: SignedIn, id: Id<VoteId>) -> Result<Json<Decided>, ApiError> {
    settle(&app, &caller, id.0, Decision::Reject).await?;
    Ok(Json(Decided { id: id.0, state: VoteState::Rejected }))
}

/// `POST /api/admin/votes/bulk`
pub(super) async fn bulk(app: web::Data<App>, caller: SignedIn, body: Body<Bulk>) -> Result<Json<BulkDone>, ApiError> {
    let Bulk { decision, cluster, model, dry_run } = body.value;
    let mut tx = app.database.begin().await?;
    let ids = moderation::held_of_cluster(&mut tx, &cluster, model.as_ref()).await?;
    let more = i64::try_from(ids.len()).is_ok_and(|votes| votes == BULK_LIMIT);
    let mut votes = ids.len() as u64;
    if !dry_run {
        votes = moderation::settle_all(&mut tx, &ids, decision, caller.user.id).await?;
        tx.commit().await?;
    }
    Ok(Json(BulkDone { decision, votes, dry_run, more }))
}

async fn settle(app: &App, caller: &SignedIn, id: VoteId, decision: Decision) -> Result<(), ApiError> {
    let mut tx = app.database.begin().await?;
    match moderation::settle(&mut tx, id, decision, caller.user.id).await? {
        Settled::Changed => Ok(tx.commit().await?),
        Settled::Unchanged => Err(ApiError::Conflict("This vote has already been decided.")),
        Settled::Unknown => Err(ApiError::NotFound),
    }
}
