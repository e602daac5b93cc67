//! For tests: models, students of any age, and the way of a vote from the evidence to the commit.

use std::net::{IpAddr, Ipv4Addr};

use sqlx::PgPool;

use super::evidence::{self, NewVote};
use super::rules::{self, Reason, Verdict};
use super::traces::Keys;
use super::{Ballot, casting};
use crate::ids::UserId;
use crate::models::{self, NewModel, Slug, Stored};

pub(crate) async fn publish(database: &PgPool, slug: &str) -> Slug {
    let new: NewModel = serde_json::from_value(serde_json::json!({ "slug": slug, "name": slug })).unwrap();
    let stored = models::insert(&mut database.acquire().await.unwrap(), &new).await.unwrap();
    assert!(matches!(stored, Stored::New(_)), "{stored:?}");
    new.slug
}

pub(crate) async fn register(database: &PgPool, days_ago: i32) -> UserId {
    let id = UserId::new();
    let insert = "insert into users (id, email, display_name, password_hash, created_at)
                  values ($1, $1::text, '', '', now() - make_interval(days => $2))";
    sqlx::query(insert).bind(id.0).bind(days_ago).execute(database).await.unwrap();
    id
}

/// Who votes from where, and what becomes of it.
pub(crate) struct Booth<'a> {
    pub(crate) database: &'a PgPool,
    pub(crate) keys: Keys,
}

impl<'a> Booth<'a> {
    pub(crate) fn new(database: &'a PgPool) -> Self {
        Self { database, keys: Keys::default() }
    }

    /// As the rules say.
    pub(crate) async fn vote(&self, user: UserId, model: &Slug, ballot: Ballot, device: Option<&str>) -> Verdict {
        self.cast(user, model, ballot, device, None).await.unwrap()
    }

    /// As `verdict` says.
    pub(crate) async fn force(&self, user: UserId, model: &Slug, ballot: Ballot, verdict: Verdict) {
        self.cast(user, model, ballot, Some(&user.to_string()), Some(verdict)).await.unwrap();
    }

    /// As the rules say, by who may be gone.
    pub(crate) async fn attempt(&self, user: UserId, model: &Slug, ballot: Ballot) -> Cast {
        match self.cast(user, model, ballot, None, None).await {
            Err(sqlx::Error::RowNotFound) => Cast::Refused,
            cast => cast.map(|_| Cast::Stored).unwrap(),
        }
    }

    async fn cast(
        &self,
        user: UserId,
        model: &Slug,
        ballot: Ballot,
        device: Option<&str>,
        verdict: Option<Verdict>,
    ) -> sqlx::Result<Verdict> {
        let trace = self.keys.today(self.database).await?.trace(device, IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)));
        let vote = NewVote { user, model, ballot, trace };
        let mut transaction = self.database.begin().await?;
        let gathered = evidence::gather(&mut transaction, &vote).await?.ok_or(sqlx::Error::RowNotFound)?;
        let verdict = verdict.unwrap_or_else(|| rules::judge(&gathered.evidence));
        casting::cast(&mut transaction, &vote, &gathered, &verdict).await?;
        transaction.commit().await?;
        Ok(verdict)
    }
}

/// What became of a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cast {
    Stored,
    /// There is no such voter, or no such model.
    Refused,
}

pub(crate) fn suspicion() -> Verdict {
    Verdict::Hold(vec![Reason { rule: "velocity".to_owned(), weight: 100, detail: "A test.".to_owned() }])
}

/// How many votes there are of each state that say something: counted, held, rejected.
pub(crate) async fn states(database: &PgPool) -> (i64, i64, i64) {
    let count = "select count(*) filter (where state = 'counted'), count(*) filter (where state = 'held'),
                        count(*) filter (where state = 'rejected') from votes where value <> 0";
    sqlx::query_as(count).fetch_one(database).await.unwrap()
}
