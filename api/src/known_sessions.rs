//! Whose session a token is, as the cache keeps it; and the look at the rows, now and then, whether that still holds.
//!
//! Who ends a session forgets it everywhere. But a process can die before it could tell Redis, and a row can be deleted by
//! hand. So what a process finds in Redis it uses, and soon after looks for its row: some hundreds by one query.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bellwork_shared::cache::{Invalidator, Scope, Value};
use bellwork_shared::ids::{SessionId, UserId};
use bellwork_shared::sessions::{self, Identity, SignedIn};
use bellwork_shared::users::Role;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::sync::mpsc;

/// What was read from the rows this lately is not looked at again.
const CERTAIN: TimeDelta = TimeDelta::seconds(60);
/// Sessions checked by one query.
const BATCH: usize = 500;
/// Sessions that may wait to be checked; one that finds no place is checked when it next comes from Redis.
const WAITING: usize = 10_000;
/// How long the first of a batch waits for others.
const GATHER: Duration = Duration::from_millis(200);

/// Whose session a token is, and no more of them than that.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Known {
    session: SessionId,
    user: UserId,
    role: Role,
    expires_at: DateTime<Utc>,
    idle_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
    /// When its row was read.
    read_at: DateTime<Utc>,
    /// Set once this process has asked for its row to be looked at.
    #[serde(skip)]
    doubted: AtomicBool,
}

impl Known {
    /// What was just read.
    pub(crate) fn of(read: &SignedIn) -> Self {
        let SignedIn { session, expires_at, idle_at, last_seen_at, user: Identity { id: user, role } } = *read;
        let (read_at, doubted) = (Utc::now(), AtomicBool::new(false));
        Self { session, user, role, expires_at, idle_at, last_seen_at, read_at, doubted }
    }

    /// For handlers, unless it has ended by itself before `now`.
    pub(crate) fn signed_in(&self, now: DateTime<Utc>) -> Option<SignedIn> {
        let user = Identity { id: self.user, role: self.role };
        let Self { session, expires_at, idle_at, last_seen_at, .. } = *self;
        (expires_at.min(idle_at) > now).then_some(SignedIn { session, expires_at, idle_at, last_seen_at, user })
    }
}

impl Value for Known {
    fn encode(&self) -> Bytes {
        serde_json::to_vec(self).expect("ids, a role and times").into()
    }

    fn decode(bytes: Bytes) -> Option<Self> {
        serde_json::from_slice(&bytes).ok()
    }

    fn weight(&self) -> usize {
        size_of::<Self>()
    }

    /// Never: each is looked at by itself.
    fn is_same(&self, _: &Self) -> bool {
        false
    }
}

/// Where to ask for a look at the rows.
#[derive(Clone, Debug)]
pub(crate) struct Recheck(mpsc::Sender<Doubt>);

#[derive(Clone, Copy, Debug)]
struct Doubt {
    scope: Scope,
    session: SessionId,
    role: Role,
}

impl Recheck {
    /// Starts the task that looks; it ends with the last clone.
    pub(crate) fn start(database: PgPool, invalidator: Invalidator) -> Self {
        let (sender, doubts) = mpsc::channel(WAITING);
        tokio::spawn(run(doubts, database, invalidator));
        Self(sender)
    }

    /// Asks for a look at the row of `known`, unless it was read lately.
    pub(crate) fn consider(&self, scope: Scope, known: &Known, now: DateTime<Utc>) {
        if now - known.read_at > CERTAIN && !known.doubted.swap(true, Ordering::Relaxed) {
            let _ = self.0.try_send(Doubt { scope, session: known.session, role: known.role });
        }
    }
}

async fn run(mut doubts: mpsc::Receiver<Doubt>, database: PgPool, invalidator: Invalidator) {
    let mut batch = Vec::new();
    while doubts.recv_many(&mut batch, BATCH).await > 0 {
        tokio::time::sleep(GATHER).await;
        while batch.len() < BATCH
            && let Ok(doubt) = doubts.try_recv()
        {
            batch.push(doubt);
        }
        match unfounded(&batch, &database).await {
            Ok(wrong) if wrong.is_empty() => {}
            Ok(wrong) => {
                tracing::info!(sessions = wrong.len(), "sessions had ended or changed without a word");
                invalidator.forget(&wrong).await;
            }
            Err(error) => tracing::debug!(%error, "sessions are looked at when they come from Redis again"),
        }
        batch.clear();
    }
}

/// The scopes of those that are not as their rows say.
async fn unfounded(batch: &[Doubt], database: &PgPool) -> sqlx::Result<Vec<Scope>> {
    let ids: Vec<_> = batch.iter().map(|doubt| doubt.session).collect();
    let roles = sessions::roles(&mut *database.acquire().await?, &ids).await?;
    let wrong = batch.iter().filter(|doubt| roles.get(&doubt.session) != Some(&doubt.role));
    Ok(wrong.map(|doubt| doubt.scope).collect())
}

#[cfg(test)]
mod tests {
    use bellwork_shared::cache::{Key, Layers, SESSIONS};
    use bellwork_shared::sessions::Lifetime;
    use bellwork_shared::tokens::Token;
    use bellwork_shared::users::{DisplayName, Email, NewUser, Registration, insert};
    use bellwork_testkit::eventually;
    use bellwork_testkit::test_run::redis_url;
    use uuid::Uuid;

    use super::*;

    /// As Redis says it a while after it was read.
    fn old(read: &SignedIn) -> Known {
        Known { read_at: Utc::now() - CERTAIN - CERTAIN, ..Known::of(read) }
    }

    async fn sign_in(database: &PgPool) -> (Token, SignedIn) {
        let mut conn = database.acquire().await.unwrap();
        let email = Email::parse(&format!("{}@example.com", Uuid::now_v7())).unwrap();
        let (display_name, role) = (DisplayName::parse("Ada").unwrap(), Role::Student);
        let new = NewUser { email: &email, display_name: &display_name, role, password_hash: "" };
        let Registration::New(user) = insert(&mut conn, &new).await.unwrap() else { unreachable!() };
        let token = Token::random();
        let lifetime = Lifetime { absolute: CERTAIN.to_std().unwrap(), idle: CERTAIN.to_std().unwrap() };
        sessions::insert(&mut conn, user.id, token, "", lifetime).await.unwrap();
        (token, sessions::authenticate(&mut conn, token).await.unwrap().unwrap())
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_session_that_ended_without_a_word_is_found_out(database: PgPool) {
        let redis = bellwork_jobs::cache::redis(&redis_url().parse().unwrap());
        let layers = Layers::start(redis, &format!("test-{}", Uuid::now_v7()));
        let shelf = layers.shelf::<Known>(&SESSIONS);
        let recheck = Recheck::start(database.clone(), layers.invalidator().clone());
        let mut loads = Vec::new();
        for change in ["delete from sessions where id = $1", "select 1 where $1 is not null", PROMOTE] {
            let (token, read) = sign_in(&database).await;
            let key = Key { scope: Scope::Session(token.hash()), name: "".into() };
            sqlx::query(change).bind(read.session.0).execute(&database).await.unwrap();
            let (first, known) = (key.clone(), old(&read));
            let known = shelf.get(first, async move || Ok(Some(known))).await.unwrap().value.unwrap();
            recheck.consider(key.scope, &known, Utc::now());
            recheck.consider(key.scope, &known, Utc::now());
            loads.push((key, read));
        }
        for (index, (key, read)) in loads.into_iter().enumerate() {
            let is_known = async || {
                let again = Known::of(&read);
                let got = shelf.get(key.clone(), async move || Ok(Some(again))).await.unwrap().value.unwrap();
                Utc::now() - got.read_at > CERTAIN
            };
            if index == 1 {
                assert!(is_known().await, "its row is as it was");
                continue;
            }
            eventually("it is found out", async || (!is_known().await).then_some(())).await;
        }
    }

    const PROMOTE: &str =
        "update users set role = 'admin' where id = (select user_id from sessions where sessions.id = $1)";
}
