//! Looking at votes again, with hindsight: the first votes of a cluster look like anybody's, and a burst is one only
//! after a while. A review goes on where the last one ended, looks at the votes since and at earlier ones of the same
//! origin, and asks the same rules.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::VoteState;
use super::evidence::{Device, Evidence, Surge};
use super::moderation::{Shift, shift};
use super::rules::{self, Reason, Verdict};
use crate::ids::{UserId, VoteId};

/// New votes that one review takes.
const PAGE: i64 = 1000;
/// A vote's time is that of its transaction's beginning; others see it at the latest this much later. Until
/// then a review looks again.
const SETTLING: TimeDelta = TimeDelta::seconds(60);
/// The usual rate is an average over this many spans of ten minutes.
const TEN_MINUTES_IN_A_WEEK: f64 = 1008.0;

/// Up to where votes have been reviewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    at: DateTime<Utc>,
    vote: VoteId,
}

/// Whether there are more votes to review at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rest {
    /// Yes: the page was full, and the next one can move on.
    More,
    /// No.
    None,
}

/// What a review has found.
#[derive(Clone, Debug)]
pub struct Findings {
    /// Votes that should be held back.
    pub suspects: Vec<Suspect>,
    /// How many votes were new.
    pub new: usize,
    /// Whether more are.
    pub rest: Rest,
    from: Position,
    to: Position,
}

/// A vote that should be held back.
#[derive(Clone, Debug)]
pub struct Suspect {
    id: VoteId,
    voter: UserId,
    cast_at: DateTime<Utc>,
    reasons: Vec<Reason>,
    cluster: Option<Vec<u8>>,
}

/// What became of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// How many votes are held back now; the others were changed or decided about meanwhile.
    Held(u64),
    /// Another review has recorded since; nothing was done.
    Overtaken,
}

/// Looks at the votes since the last review, as of `now`.
///
/// # Errors
/// If the database fails.
pub async fn look(conn: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<Findings> {
    let from = position(conn).await?;
    let page = page(conn, from).await?;
    let suspects = suspects(conn, &page.iter().map(|position| position.vote).collect::<Vec<_>>()).await?;
    let settled = page.iter().rfind(|position| position.at < now - SETTLING);
    let is_full = i64::try_from(page.len()).is_ok_and(|votes| votes == PAGE);
    let rest = if is_full && settled.is_some() { Rest::More } else { Rest::None };
    Ok(Findings { suspects, new: page.len(), rest, from, to: settled.copied().unwrap_or(from) })
}

/// Holds the suspects back, and moves on. Two reviews of the same votes record once.
///
/// # Errors
/// If the database fails.
pub async fn record(conn: &mut PgConnection, findings: &Findings) -> sqlx::Result<Recorded> {
    let moved = sqlx::query!(
        r#"
        update vote_reviews set reviewed_until = $3, reviewed_vote = $4
        where reviewed_until = $1 and reviewed_vote = $2
        "#,
        findings.from.at,
        findings.from.vote as VoteId,
        findings.to.at,
        findings.to.vote as VoteId,
    );
    if moved.execute(&mut *conn).await?.rows_affected() == 0 {
        return Ok(Recorded::Overtaken);
    }
    let suspects = still_suspect(conn, &findings.suspects).await?;
    let held = Shift {
        ids: suspects.iter().map(|suspect| suspect.id).collect(),
        to: VoteState::Held,
        action: "hold",
        operator: None,
        reasons: Some(suspects.iter().map(|suspect| Json(suspect.reasons.clone())).collect()),
        clusters: Some(suspects.iter().map(|suspect| suspect.cluster.clone()).collect()),
    };
    Ok(Recorded::Held(shift(conn, &held).await?))
}

async fn position(conn: &mut PgConnection) -> sqlx::Result<Position> {
    sqlx::query_as!(Position, r#"select reviewed_until as at, reviewed_vote as "vote: VoteId" from vote_reviews"#)
        .fetch_one(conn)
        .await
}

async fn page(conn: &mut PgConnection, from: Position) -> sqlx::Result<Vec<Position>> {
    sqlx::query_as!(
        Position,
        r#"
        select cast_at as at, vote_id as "vote: VoteId" from vote_traces
        where (cast_at, vote_id) > ($1, $2) order by cast_at, vote_id limit $3
        "#,
        from.at,
        from.vote as VoteId,
        PAGE,
    )
    .fetch_all(conn)
    .await
}

/// Locks the suspects, in one order, that are as they were when the evidence was looked at. Of a voter who was erased
/// since, nothing shall tell the device again.
async fn still_suspect<'a>(conn: &mut PgConnection, suspects: &'a [Suspect]) -> sqlx::Result<Vec<&'a Suspect>> {
    let ids: Vec<_> = suspects.iter().map(|suspect| suspect.id).collect();
    let locked = sqlx::query!(
        r#"
        select id as "id: VoteId", user_id as "voter: UserId", cast_at from votes
        where id = any($1) and state = 'counted' and (settled_at is null or settled_at < cast_at)
        order by id for update
        "#,
        &ids as &[VoteId],
    )
    .fetch_all(conn)
    .await?;
    let unchanged = |suspect: &&Suspect| {
        let Suspect { id, voter, cast_at, .. } = **suspect;
        locked.iter().any(|row| (row.id, row.voter, row.cast_at) == (id, voter, cast_at))
    };
    Ok(suspects.iter().filter(unchanged).collect())
}

/// Asks the rules about these votes and those of the same origin.
async fn suspects(conn: &mut PgConnection, touched: &[VoteId]) -> sqlx::Result<Vec<Suspect>> {
    let cohort = cohort(conn, touched).await?;
    let candidates = candidates(conn, &cohort).await?;
    let suspect = |candidate: Candidate| match rules::judge(&candidate.evidence()) {
        Verdict::Hold(reasons) => {
            let Candidate { id, voter, cast_at, cluster, .. } = candidate;
            Some(Suspect { id, voter, cast_at, reasons, cluster })
        }
        Verdict::Count => None,
    };
    Ok(candidates.into_iter().filter_map(suspect).collect())
}

/// These votes and earlier ones that share a device, an undeclared device's network, or the voter.
async fn cohort(conn: &mut PgConnection, touched: &[VoteId]) -> sqlx::Result<Vec<VoteId>> {
    sqlx::query_scalar!(
        r#"
        with touched as materialized (
            select * from vote_traces where vote_id = any($1)
        ), origins as (
            select distinct device, network, model_id, value from touched where value <> 0
        )
        select vote_id as "vote_id!: VoteId" from touched
        union
        select other.vote_id from origins join vote_traces as other using (device, model_id, value)
        where other.cast_at > now() - interval '24 hours'
        union
        select other.vote_id from origins join vote_traces as other using (network, model_id, value)
        where origins.device is null and other.device is null and other.cast_at > now() - interval '1 hour'
        union
        select votes.id from (select distinct user_id from touched) as voter join votes using (user_id)
        where votes.cast_at > now() - interval '10 minutes'
        "#,
        touched as &[VoteId],
    )
    .fetch_all(conn)
    .await
}

/// A counted vote with what the rules look at.
struct Candidate {
    id: VoteId,
    voter: UserId,
    cast_at: DateTime<Utc>,
    account_created_at: DateTime<Utc>,
    is_known: bool,
    cluster: Option<Vec<u8>>,
    votes_within_minute: i64,
    device_others: i64,
    device_new: i64,
    network_others: i64,
    surge: i64,
    usual: f64,
}

impl Candidate {
    fn evidence(&self) -> Evidence {
        Evidence {
            account_age: self.cast_at - self.account_created_at,
            votes_within_minute: self.votes_within_minute,
            device: Device::of(self.is_known, self.device_others, self.device_new),
            network_others: self.network_others,
            surge: Some(Surge { votes: self.surge, usual: self.usual }),
        }
    }
}

/// Those of the cohort that count and that no operator has decided about since. Counts look both ways in time.
async fn candidates(conn: &mut PgConnection, cohort: &[VoteId]) -> sqlx::Result<Vec<Candidate>> {
    sqlx::query_as!(
        Candidate,
        r#"
        with bins as (
            select model_id, value, date_bin('10 minutes', cast_at, 'epoch') as bin, count(*) as votes
            from vote_traces
            where cast_at >= (select date_bin('10 minutes', min(cast_at), 'epoch')
                              from vote_traces where vote_id = any($1))
            group by model_id, value, bin
        ), usual as (
            select model_id, sum(up + down)::float8 / $2::float8 as votes from vote_counts
            where period = 'day' and starts_on >= (now() at time zone 'UTC')::date - 7
                  and starts_on < (now() at time zone 'UTC')::date
            group by model_id
        )
        select trace.vote_id as "id: VoteId", trace.user_id as "voter: UserId", trace.cast_at, trace.account_created_at,
               trace.device is not null as "is_known!", coalesce(trace.device, trace.network) as cluster,
               frantic.votes as "votes_within_minute!", device.others as "device_others!", device.new as "device_new!",
               network.others as "network_others!", bins.votes as "surge!", coalesce(usual.votes, 0) as "usual!"
        from vote_traces as trace
        join votes on votes.id = vote_id and votes.state = 'counted' and votes.value <> 0
                      and votes.cast_at = trace.cast_at
                      and (votes.settled_at is null or votes.settled_at < votes.cast_at)
        join bins on bins.model_id = trace.model_id and bins.value = trace.value
                     and bins.bin = date_bin('10 minutes', trace.cast_at, 'epoch')
        left join usual on usual.model_id = trace.model_id
        cross join lateral (
            select coalesce(max(votes), 0) as votes from (
                select at, count(*) over (order by at range between current row and interval '1 minute' following)
                           as votes
                from (
                    select at from vote_events
                    where user_id = trace.user_id and action in ('cast', 'withdraw')
                          and at > trace.cast_at - interval '1 minute' and at < trace.cast_at + interval '1 minute'
                    order by at limit 200) as event
                ) as minute
            where at <= trace.cast_at
        ) as frantic
        cross join lateral (
            select count(*) as others, count(*) filter (where was_new) as new from (
                select cast_at - account_created_at < interval '24 hours' as was_new from vote_traces as other
                where other.device = trace.device and other.model_id = trace.model_id
                      and other.cast_at > trace.cast_at - interval '24 hours'
                      and other.cast_at < trace.cast_at + interval '24 hours'
                      and other.value = trace.value and other.user_id <> trace.user_id
                limit 100) as other
        ) as device
        cross join lateral (
            select count(*) as others from (
                select from vote_traces as other
                where other.network = trace.network and other.model_id = trace.model_id
                      and other.cast_at > trace.cast_at - interval '1 hour'
                      and other.cast_at < trace.cast_at + interval '1 hour'
                      and other.value = trace.value and other.user_id <> trace.user_id
                limit 100) as other
        ) as network
        where trace.vote_id = any($1)
        "#,
        cohort as &[VoteId],
        TEN_MINUTES_IN_A_WEEK,
    )
    .fetch_all(conn)
    .await
}

#[cfg(test)]
mod tests {
    use chrono::Days;
    use sqlx::PgPool;

    use super::super::Ballot;
    use super::super::moderation::{self, Decision};
    use super::super::rehearsal::{Booth, publish, register, states};
    use super::*;
    use crate::personal_data::erasure::erase;

    async fn review(database: &PgPool) -> Recorded {
        let findings = look(&mut database.acquire().await.unwrap(), Utc::now()).await.unwrap();
        record_in(database, &findings).await
    }

    async fn record_in(database: &PgPool, findings: &Findings) -> Recorded {
        let mut transaction = database.begin().await.unwrap();
        let recorded = record(&mut transaction, findings).await.unwrap();
        transaction.commit().await.unwrap();
        recorded
    }

    async fn up(database: &PgPool) -> i64 {
        let sum = "select coalesce(sum(up), 0)::bigint from vote_counts where period = 'all'";
        sqlx::query_scalar(sum).fetch_one(database).await.unwrap()
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn a_vote_whose_voter_was_erased_since_is_left_alone(database: PgPool) {
        let (model, booth) = (publish(&database, "a").await, Booth::new(&database));
        let first = register(&database, 0).await;
        booth.vote(first, &model, Ballot::Up, Some("one")).await;
        for _ in 0..29 {
            booth.vote(register(&database, 0).await, &model, Ballot::Up, Some("one")).await;
        }
        let mut conn = database.acquire().await.unwrap();
        let findings = look(&mut conn, Utc::now()).await.unwrap();
        erase(&mut conn, first).await.unwrap();
        assert_eq!(record_in(&database, &findings).await, Recorded::Held(4), "of five");
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn the_first_votes_of_a_farm_are_held_back_once_it_shows(database: PgPool) {
        let (model, booth) = (publish(&database, "a").await, Booth::new(&database));
        for n in 0..30 {
            let verdict = booth.vote(register(&database, 0).await, &model, Ballot::Up, Some("one")).await;
            assert_eq!(verdict == Verdict::Count, n < 5, "{n}");
        }
        assert_eq!((states(&database).await, up(&database).await), ((5, 25, 0), 5));
        assert_eq!(review(&database).await, Recorded::Held(5));
        assert_eq!((states(&database).await, up(&database).await), ((0, 30, 0), 0));
        assert_eq!(review(&database).await, Recorded::Held(0));
        let held: i64 = sqlx::query_scalar("select count(*) from vote_events where action = 'hold'")
            .fetch_one(&database)
            .await
            .unwrap();
        assert_eq!(held, 30);
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn a_class_with_a_device_each_counts_with_hindsight_too(database: PgPool) {
        let (model, booth) = (publish(&database, "a").await, Booth::new(&database));
        for n in 0..60 {
            let verdict = booth.vote(register(&database, 0).await, &model, Ballot::Up, Some(&n.to_string())).await;
            assert_eq!(verdict, Verdict::Count, "{n}");
        }
        assert_eq!(review(&database).await, Recorded::Held(0));
        assert_eq!((states(&database).await, up(&database).await), ((60, 0, 0), 60));
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn a_script_that_names_no_device_is_found_by_its_burst(database: PgPool) {
        let (model, booth) = (publish(&database, "a").await, Booth::new(&database));
        let day = Utc::now();
        for _ in 0..60 {
            let verdict = booth.vote(register(&database, 0).await, &model, Ballot::Down, None).await;
            assert_eq!(verdict, Verdict::Count, "no vote shows it alone");
        }
        // Should the border of two times ten minutes lie between them, each has 30 if the halves are equal.
        sqlx::query("update vote_traces set cast_at = $1").bind(day).execute(&database).await.unwrap();
        sqlx::query("update votes set cast_at = $1").bind(day).execute(&database).await.unwrap();
        assert_eq!(review(&database).await, Recorded::Held(60));
        assert_eq!(states(&database).await, (0, 60, 0));
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn a_frantic_account_loses_its_first_votes_too(database: PgPool) {
        let (booth, user) = (Booth::new(&database), register(&database, 300).await);
        for n in 0..31 {
            let model = publish(&database, &format!("m-{n}")).await;
            assert_eq!(booth.vote(user, &model, Ballot::Up, Some("one")).await == Verdict::Count, n < 30);
            // However slow the machine is: within the same minute.
            let at_once =
                "with events as (update vote_events set at = now()), votes as (update votes set cast_at = now())
                           update vote_traces set cast_at = now()";
            sqlx::query(at_once).execute(&database).await.unwrap();
        }
        assert_eq!(review(&database).await, Recorded::Held(30));
        assert_eq!((states(&database).await, up(&database).await), ((0, 31, 0), 0));
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn of_two_reviews_of_the_same_votes_one_records(database: PgPool) {
        let (model, booth) = (publish(&database, "a").await, Booth::new(&database));
        for _ in 0..6 {
            booth.vote(register(&database, 0).await, &model, Ballot::Up, Some("one")).await;
        }
        let mut conn = database.acquire().await.unwrap();
        let later = Utc::now() + Days::new(1);
        let (one, other) = (look(&mut conn, later).await.unwrap(), look(&mut conn, later).await.unwrap());
        assert_eq!(one.suspects.len(), 5);
        assert_eq!(record_in(&database, &one).await, Recorded::Held(5));
        assert_eq!(record_in(&database, &other).await, Recorded::Overtaken);
        assert_eq!(up(&database).await, 0);
        assert_eq!(look(&mut conn, later).await.unwrap().new, 0, "the next one goes on from there");
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn what_an_operator_released_or_the_voter_changed_is_left_alone(database: PgPool) {
        let (model, booth) = (publish(&database, "a").await, Booth::new(&database));
        let mut users = Vec::new();
        for _ in 0..6 {
            users.push(register(&database, 0).await);
            booth.vote(users[users.len() - 1], &model, Ballot::Up, Some("one")).await;
        }
        let findings = look(&mut database.acquire().await.unwrap(), Utc::now()).await.unwrap();
        booth.vote(users[0], &model, Ballot::Withdrawn, Some("one")).await;
        let ids: Vec<VoteId> = sqlx::query_scalar("select id from votes where user_id = any($1)")
            .bind(users[1..3].iter().map(|user| user.0).collect::<Vec<_>>())
            .fetch_all(&database)
            .await
            .unwrap();
        let mut transaction = database.begin().await.unwrap();
        // Held back by hand, released by an operator.
        sqlx::query("update votes set state = 'rejected' where id = any($1)")
            .bind(ids.iter().map(|id| id.0).collect::<Vec<_>>())
            .execute(&mut *transaction)
            .await
            .unwrap();
        moderation::settle_all(&mut transaction, &ids, Decision::Release, UserId::new()).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(record_in(&database, &findings).await, Recorded::Held(2), "two of five");
        assert_eq!(review(&database).await, Recorded::Held(0));
        assert_eq!(states(&database).await, (2, 3, 0));
    }
}
