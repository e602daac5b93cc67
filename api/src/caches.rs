//! What this process keeps: bodies of answers, and whose session a token is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bellwork_shared::cache::{
    Failed, Figures, Got, Held, Key, LEADERBOARDS, Layers, NOTIFICATIONS, QUESTION_BANK, SESSIONS, STATS, Scope, Shelf,
    TESTS,
};
use bellwork_shared::ids::UserId;
use bellwork_shared::ranking;
use bellwork_shared::sessions::{self, SignedIn};
use bellwork_shared::tokens::Token;
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use crate::cached::Encoded;
use crate::known_sessions::{Known, Recheck};
use crate::overload::{Claim, Database};

/// The caches of this process.
#[derive(Debug)]
pub(crate) struct Caches {
    layers: Layers,
    tests: Shelf<Encoded>,
    question_bank: Shelf<Encoded>,
    stats: Shelf<Encoded>,
    leaderboards: Shelf<Encoded>,
    notifications: Shelf<Encoded>,
    sessions: Shelf<Known>,
    recheck: Recheck,
}

impl Caches {
    /// Over `layers`. Sessions are looked for in `database` now and then.
    pub(crate) fn new(layers: Layers, database: PgPool) -> Self {
        Self {
            recheck: Recheck::start(database, layers.invalidator().clone()),
            tests: layers.shelf(&TESTS),
            question_bank: layers.shelf(&QUESTION_BANK),
            stats: layers.shelf(&STATS),
            leaderboards: layers.shelf(&LEADERBOARDS),
            notifications: layers.shelf(&NOTIFICATIONS),
            sessions: layers.shelf(&SESSIONS),
            layers,
        }
    }

    /// The body of `key`, else by `load`, which waits as the request that asks first.
    ///
    /// # Errors
    /// If it must be loaded, which fails.
    pub(crate) async fn body<L, F>(&self, key: Key, load: L) -> Result<Got<Encoded>, Failed>
    where
        L: FnOnce() -> F + Send + 'static,
        F: Future<Output = anyhow::Result<Option<Encoded>>> + Send + 'static,
    {
        let claim = Claim::current();
        self.bodies(key.scope).get(key, move || claim.hold(load())).await
    }

    fn bodies(&self, scope: Scope) -> &Shelf<Encoded> {
        match scope {
            Scope::Tests => &self.tests,
            Scope::QuestionBank => &self.question_bank,
            Scope::Stats => &self.stats,
            Scope::Board(_) => &self.leaderboards,
            Scope::Notifications(_) => &self.notifications,
            Scope::Session(_) => unreachable!("a session is nobody's answer"),
        }
    }

    /// Whose session `token` is, if this process knows it: then the look waits for no store.
    pub(crate) fn session_at_hand(&self, database: &Database, token: Token, now: DateTime<Utc>) -> Option<SignedIn> {
        let scope = Scope::Session(token.hash());
        let loader = || {
            let (claim, database) = (Claim::current(), database.clone());
            move || claim.hold(read(database, token))
        };
        let known = self.sessions.at_hand(&Key { scope, name: "".into() }, loader)?;
        self.recheck.consider(scope, &known, now);
        known.signed_in(now)
    }

    /// Whose session `token` is, unless it has ended.
    ///
    /// # Errors
    /// If it must be asked of the database, which fails: then nobody is signed in.
    pub(crate) async fn session(&self, database: &Database, token: Token) -> Result<Option<SignedIn>, Failed> {
        let scope = Scope::Session(token.hash());
        let Some(known) = self.known(database, token, scope).await?.value else { return Ok(None) };
        let now = Utc::now();
        self.recheck.consider(scope, &known, now);
        Ok(known.signed_in(now))
    }

    /// A session that this request, or another at the same time, has looked for. Whoever waited for one that was worth less
    /// looks again, with the patience that is left.
    async fn known(&self, database: &Database, token: Token, scope: Scope) -> Result<Got<Known>, Failed> {
        let (claim, begun, own) = (Claim::current(), Instant::now(), Arc::new(AtomicBool::new(false)));
        let patience = claim.patience();
        let look = || {
            let (database, claim, own) = (database.clone(), claim.clone(), Arc::clone(&own));
            let load = move || {
                own.store(true, Ordering::Relaxed);
                claim.hold(read(database, token))
            };
            self.sessions.get(Key { scope, name: "".into() }, load)
        };
        match look().await {
            Err(failed) if is_shed(&failed) && !own.load(Ordering::Relaxed) => {
                claim.leave(patience.saturating_sub(begun.elapsed()));
                look().await
            }
            looked => looked,
        }
    }

    /// Before anything about the sessions of `user` changes, or their role: no process knows them until the returned
    /// hold is released after the commit, and then by the rows.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) async fn hold_sessions(&self, conn: &mut PgConnection, user: UserId) -> sqlx::Result<Held> {
        let hashes = sessions::token_hashes(conn, user).await?;
        Ok(self.layers.invalidator().hold(hashes.into_iter().map(Scope::Session).collect()).await)
    }

    /// After the commit of what changed `scopes`, and before the answer.
    pub(crate) async fn forget(&self, scopes: &[Scope]) {
        self.layers.invalidator().forget(scopes).await;
    }

    /// The boards on which `user` stands, to be forgotten after something about them has changed, such as the name.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) async fn boards_of(conn: &mut PgConnection, user: UserId) -> sqlx::Result<Vec<Scope>> {
        Ok(ranking::tests_of(conn, user).await?.into_iter().map(Scope::Board).collect())
    }

    /// True if this process hears what others change.
    pub(crate) fn hears(&self) -> bool {
        self.layers.hears()
    }

    /// How each cache has done.
    pub(crate) fn figures(&self) -> Vec<Figures> {
        self.layers.figures()
    }

    /// Brings how they have done into this process's metrics.
    pub(crate) fn publish(&self) {
        self.layers.publish();
    }
}

/// Whose session `token` is, by its row.
async fn read(database: Database, token: Token) -> anyhow::Result<Option<Known>> {
    let read = sessions::authenticate(&mut *database.acquire().await?, token).await?;
    Ok(read.as_ref().map(Known::of))
}

fn is_shed(failed: &Failed) -> bool {
    matches!(failed.cause().downcast_ref(), Some(sqlx::Error::PoolTimedOut))
}
