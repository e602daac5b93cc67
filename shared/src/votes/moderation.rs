//! Votes that were set aside: found by operators, and counted or rejected by their decision.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::rules::Reason;
use super::{Ballot, VoteState};
use crate::ids::{UserId, VoteId};
use crate::models::Slug;

/// The most votes decided about at once.
pub const BULK_LIMIT: i64 = 1000;

/// A vote that does not count, with the reasons.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = SetAsideVote)]
pub struct SetAside {
    /// Its id.
    pub id: VoteId,
    /// The voter.
    pub user: Voter,
    /// The model's name in paths.
    pub model: Slug,
    /// What they said.
    pub value: Ballot,
    /// Whether it counts by now.
    pub state: VoteState,
    /// When they said so.
    pub cast_at: DateTime<Utc>,
    /// When an operator last decided about it.
    pub settled_at: Option<DateTime<Utc>>,
    /// Why it was held back.
    pub reasons: Vec<Reason>,
    /// Suspicious votes of one device share it, for a day; of one network, if nothing is known of the device.
    pub cluster: Option<String>,
}

/// Who voted.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Voter {
    /// Their id.
    pub id: UserId,
    /// Their name; none if the account was erased.
    pub display_name: Option<String>,
}

/// Which votes to list.
#[derive(Clone, Debug)]
pub struct Search<'a> {
    /// Votes of this state.
    pub state: VoteState,
    /// On this model.
    pub model: Option<&'a Slug>,
    /// Held back by this rule, perhaps among others.
    pub rule: Option<&'a str>,
    /// Of this cluster.
    pub cluster: Option<&'a Cluster>,
    /// Only votes with smaller ids.
    pub before: Option<VoteId>,
}

/// What suspicious votes of one origin share.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Cluster(Vec<u8>);

/// Why a text is no cluster. Its message is a sentence for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cluster has 32 hexadecimal digits")]
pub struct NoCluster;

impl TryFrom<String> for Cluster {
    type Error = NoCluster;

    fn try_from(text: String) -> Result<Self, NoCluster> {
        // Without hyphens, an id is written as 128 bits of anything else are.
        let bytes = Uuid::try_parse(&text).map_err(|_| NoCluster)?;
        if text.len() == 32 { Ok(Self(bytes.into_bytes().to_vec())) } else { Err(NoCluster) }
    }
}

impl PartialSchema for Cluster {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9a-f]{32}$")).into()
    }
}

impl ToSchema for Cluster {}

/// An operator's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It counts, for the periods in which it was cast.
    Release,
    /// It never counts.
    Reject,
}

impl Decision {
    const fn leads_to(self) -> VoteState {
        match self {
            Self::Release => VoteState::Counted,
            Self::Reject => VoteState::Rejected,
        }
    }

    const fn action(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Reject => "reject",
        }
    }
}

/// The votes that were set aside, the newest first. Votes that were withdrawn meanwhile are left out.
///
/// # Errors
/// If the database fails.
pub async fn list(conn: &mut PgConnection, search: &Search<'_>, limit: i64) -> sqlx::Result<Vec<SetAside>> {
    let rows = sqlx::query!(
        r#"
        select votes.id as "id: VoteId", user_id as "user_id: UserId", display_name as "display_name?",
               slug as "slug: Slug", value as "value: Ballot", state as "state: VoteState", cast_at, settled_at,
               reasons as "reasons: Json<Vec<Reason>>", encode(cluster, 'hex') as cluster
        from votes join models on models.id = model_id left join users on users.id = user_id
        where state = $1 and state <> 'counted' and value <> 0
              and ($2::uuid is null or votes.id < $2)
              and ($3::text is null or model_id = (select id from models where slug = $3))
              and ($4::text is null or $4 = any(rules))
              and ($5::bytea is null or cluster = $5)
        order by votes.id desc limit $6
        "#,
        search.state as VoteState,
        search.before as Option<VoteId>,
        search.model.map(Slug::as_str),
        search.rule,
        search.cluster.map(|cluster| &cluster.0[..]),
        limit,
    )
    .fetch_all(conn)
    .await?;
    let view = rows.into_iter().map(|row| SetAside {
        id: row.id,
        user: Voter { id: row.user_id, display_name: row.display_name },
        model: row.slug,
        value: row.value,
        state: row.state,
        cast_at: row.cast_at,
        settled_at: row.settled_at,
        reasons: row.reasons.0,
        cluster: row.cluster,
    });
    Ok(view.collect())
}

/// What became of a decision about one vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It took effect.
    Changed,
    /// The vote was as decided already.
    Unchanged,
    /// There is no such vote.
    Unknown,
}

/// Decides about one vote as `operator`.
///
/// # Errors
/// If the database fails.
pub async fn settle(
    conn: &mut PgConnection,
    id: VoteId,
    decision: Decision,
    operator: UserId,
) -> sqlx::Result<Settled> {
    if lock(conn, &[id]).await?.is_empty() {
        return Ok(Settled::Unknown);
    }
    let changed = shift(conn, &Shift::decided(vec![id], decision, operator)).await?;
    Ok(if changed == 0 { Settled::Unchanged } else { Settled::Changed })
}

/// The held votes of a cluster, on one model or on all, the oldest first, at most [`BULK_LIMIT`].
///
/// # Errors
/// If the database fails.
pub async fn held_of_cluster(
    conn: &mut PgConnection,
    cluster: &Cluster,
    model: Option<&Slug>,
) -> sqlx::Result<Vec<VoteId>> {
    sqlx::query_scalar!(
        r#"
        select id as "id: VoteId" from votes
        where cluster = $1 and state = 'held'
              and ($2::text is null or model_id = (select id from models where slug = $2))
        order by id limit $3
        "#,
        cluster.0,
        model.map(Slug::as_str),
        BULK_LIMIT,
    )
    .fetch_all(conn)
    .await
}

/// Decides about these votes as `operator`, and says how many it changed.
///
/// # Errors
/// If the database fails.
pub async fn settle_all(
    conn: &mut PgConnection,
    ids: &[VoteId],
    decision: Decision,
    operator: UserId,
) -> sqlx::Result<u64> {
    let ids = lock(conn, ids).await?;
    shift(conn, &Shift::decided(ids, decision, operator)).await
}

/// Keeps these votes as they are until the transaction ends; those that exist come back. In one order, so that two
/// operators cannot deadlock. A statement of its own: the next one's snapshot is then younger than whatever this waited for.
async fn lock(conn: &mut PgConnection, ids: &[VoteId]) -> sqlx::Result<Vec<VoteId>> {
    sqlx::query_scalar!(
        r#"select id as "id: VoteId" from votes where id = any($1) order by id for update"#,
        ids as &[VoteId],
    )
    .fetch_all(conn)
    .await
}

/// Votes that are to get another state. They are locked.
#[derive(Debug)]
pub(super) struct Shift {
    /// The votes.
    pub(super) ids: Vec<VoteId>,
    /// The new state.
    pub(super) to: VoteState,
    /// The history's word for it.
    pub(super) action: &'static str,
    /// The operator who decided; none: the rules.
    pub(super) operator: Option<UserId>,
    /// New reasons, vote by vote; none: the old ones stay.
    pub(super) reasons: Option<Vec<Json<Vec<Reason>>>>,
    /// New clusters, vote by vote; none: the old ones stay.
    pub(super) clusters: Option<Vec<Option<Vec<u8>>>>,
}

impl Shift {
    fn decided(ids: Vec<VoteId>, decision: Decision, operator: UserId) -> Self {
        let (to, action, operator) = (decision.leads_to(), decision.action(), Some(operator));
        Self { ids, to, action, operator, reasons: None, clusters: None }
    }
}

/// Gives votes another state and moves the counts with them, in one order for all transactions. Returns how many had
/// another one before.
pub(super) async fn shift(conn: &mut PgConnection, shift: &Shift) -> sqlx::Result<u64> {
    let changed = sqlx::query_scalar!(
        r#"
        with wanted as (
            select * from unnest($1::uuid[], $2::jsonb[], $3::bytea[]) as wanted (id, reasons, cluster)
        ), moved as (
            select id, user_id, model_id, value, state as was, cast_at, wanted.reasons, wanted.cluster
            from votes join wanted using (id) where state <> $4
        ), updated as (
            update votes
            set state = $4, settled_at = case when $6::uuid is null then settled_at else now() end,
                reasons = coalesce(moved.reasons, votes.reasons), cluster = coalesce(moved.cluster, votes.cluster),
                rules = case when moved.reasons is null then rules
                             else array(select jsonb_array_elements(moved.reasons) ->> 'rule') end
            from moved where votes.id = moved.id
        ), events as (
            insert into vote_events (id, at, vote_id, user_id, model_id, action, value, actor)
            select gen_random_uuid(), now(), id, user_id, model_id, $5::text::vote_action, value, $6 from moved
        ), steps as (
            select model_id, cast_at, value, case when $4 = 'counted' then 1 else -1 end as step
            from moved where value <> 0 and 'counted' in (was, $4)
        ), counts as (
            insert into vote_counts as cell (model_id, period, starts_on, slot, up, down)
            select model_id, period, starts_on, pg_backend_pid() % 16,
                   sum(step * (value = 1)::int), sum(step * (value = -1)::int)
            from steps cross join lateral board_periods(cast_at)
            group by model_id, period, starts_on order by model_id, period, starts_on
            on conflict (period, starts_on, model_id, slot) do update
            set up = cell.up + excluded.up, down = cell.down + excluded.down
        )
        select count(*) as "changed!" from moved
        "#,
        &shift.ids as &[VoteId],
        shift.reasons.as_deref() as Option<&[Json<Vec<Reason>>]>,
        shift.clusters.as_deref() as Option<&[Option<Vec<u8>>]>,
        shift.to as VoteState,
        shift.action,
        shift.operator as Option<UserId>,
    )
    .fetch_one(conn)
    .await?;
    Ok(changed.unsigned_abs())
}
