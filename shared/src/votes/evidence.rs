//! What the rules look at, for a vote that is about to be cast. How a [`super::review`] sees the same afterwards stands
//! there.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::Ballot;
use super::traces::Trace;
use crate::ids::{ModelId, UserId};
use crate::models::Slug;
use crate::personal_data::erasure::{self, Presence};

/// What the rules look at. Counts are of others' live votes that say the same of the same model, and end at some hundred.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// How old the account was at the vote.
    pub account_age: TimeDelta,
    /// The account's votes, changes and withdrawals within a minute, with this one.
    pub votes_within_minute: i64,
    /// Votes from the same device.
    pub device: Device,
    /// Votes from the same network within an hour.
    pub network_others: i64,
    /// How many such votes the model had at that time; none: nobody looked.
    pub surge: Option<Surge>,
}

/// Votes from one device within a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The request says nothing that tells devices apart.
    Undeclared,
    /// How many other accounts voted from it.
    Known {
        /// Accounts of any age.
        others: i64,
        /// Of these, accounts that were new at their vote.
        new: i64,
    },
}

impl Device {
    /// Of figures that mean nothing if the device is not known.
    pub(super) fn of(known: bool, others: i64, new: i64) -> Self {
        if known { Self::Known { others, new } } else { Self::Undeclared }
    }
}

/// Votes on a model in ten minutes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surge {
    /// Those that say the same.
    pub votes: i64,
    /// All of them in ten minutes of the last week, on average.
    pub usual: f64,
}

/// A vote that is about to be cast.
#[derive(Clone, Debug)]
pub struct NewVote<'a> {
    /// Who votes.
    pub user: UserId,
    /// The model's name in paths.
    pub model: &'a Slug,
    /// What they say.
    pub ballot: Ballot,
    /// Where it comes from.
    pub trace: Trace,
}

/// What is known before a vote is cast.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// The model.
    pub model: ModelId,
    /// When the voter registered.
    pub registered_at: DateTime<Utc>,
    /// For the rules.
    pub evidence: Evidence,
}

/// Gathers the evidence, and lets the voter cast one vote at a time until the transaction ends. None if there is no such
/// model, it takes no votes, or the voter was erased: a vote names no row of theirs, so that nothing else would stop it.
/// It must be statements of its own: the next one's snapshot is then younger than whatever the locks waited for. What it
/// misses of votes at the same instant, a review sees.
///
/// # Errors
/// If the database fails.
pub async fn gather(conn: &mut PgConnection, vote: &NewVote<'_>) -> sqlx::Result<Option<Gathered>> {
    if erasure::hold_off(conn, vote.user).await? == Presence::Gone {
        return Ok(None);
    }
    let device = vote.trace.device.as_ref();
    let network = vote.trace.network.as_ref();
    let row = sqlx::query!(
        r#"
        select models.id as "model: ModelId", users.created_at as registered_at, now() as "now!",
               pg_advisory_xact_lock(hashtextextended('vote ' || users.id, 0)) as locked,
               frantic.votes as "votes!", device.others as "device_others!", device.new as "device_new!",
               network.others as "network_others!"
        from models
        cross join users
        cross join lateral (
            select count(*) as votes from (
                select from vote_events
                where user_id = users.id and at > now() - interval '1 minute' and action in ('cast', 'withdraw')
                limit 100) as event
        ) as frantic
        cross join lateral (
            select count(*) as others, count(*) filter (where was_new) as new from (
                select cast_at - account_created_at < interval '24 hours' as was_new from vote_traces
                where device = any($4) and model_id = models.id and cast_at > now() - interval '24 hours'
                      and value = $3 and user_id <> users.id
                limit 100) as other
        ) as device
        cross join lateral (
            select count(*) as others from (
                select from vote_traces
                where network = any($5) and model_id = models.id and cast_at > now() - interval '1 hour'
                      and value = $3 and user_id <> users.id
                limit 100) as other
        ) as network
        where models.slug = $1 and models.active and users.id = $2
        "#,
        vote.model.as_str(),
        vote.user as UserId,
        vote.ballot as Ballot,
        device.map(|device| device.of_both_days()),
        network.map(|network| network.of_both_days()),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Gathered {
        model: row.model,
        registered_at: row.registered_at,
        evidence: Evidence {
            account_age: row.now - row.registered_at,
            votes_within_minute: row.votes + 1,
            device: Device::of(device.is_some(), row.device_others, row.device_new),
            network_others: row.network_others,
            surge: None,
        },
    }))
}
