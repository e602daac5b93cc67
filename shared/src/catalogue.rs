//! The catalogue: practice tests with their questions, kept in memory for a moment, since every attempt needs its test
//! three times: when it is checked, graded and mailed.
//!
//! A version never changes, so its sheet stays right however old it is. Only which version students get is asked again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moka::sync::Cache;
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};

use crate::ids::TestId;
use crate::practice;
use crate::practice_tests::{self, PracticeTest, Question};
use crate::versions::{self, Taken};

/// A test that was published or archived is so everywhere after this time.
const FRESH: Duration = Duration::from_secs(5);
/// A sheet that nobody has asked for is forgotten after this time.
const IDLE: Duration = Duration::from_secs(600);
/// Sheets that are kept.
const CAPACITY: u64 = 1000;
/// Tests known by their version; an entry is a few bytes.
const KNOWN: u64 = 100_000;

/// A test, or a practice set, with its questions in their order.
#[derive(Debug)]
pub struct Sheet {
    /// The test.
    pub test: PracticeTest,
    /// Its questions with their keys.
    pub questions: Vec<Question>,
}

type Acquiring = dyn Fn() -> BoxFuture<'static, sqlx::Result<PoolConnection<Postgres>>> + Send + Sync;

/// The tests that this process has read lately. Cheap to clone.
#[derive(Clone)]
pub struct Catalogue {
    acquire: Arc<Acquiring>,
    current: Cache<TestId, i32>,
    sheets: Cache<Taken, Arc<Sheet>>,
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalogue").finish_non_exhaustive()
    }
}

impl Catalogue {
    /// Reads from `database`.
    #[must_use]
    pub fn new(database: PgPool) -> Self {
        Self::by(move || database.acquire())
    }

    /// Reads by connections that `acquire` gets, for a process in which requests queue for them.
    pub fn by<A, F>(acquire: A) -> Self
    where
        A: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = sqlx::Result<PoolConnection<Postgres>>> + Send + 'static,
    {
        Self {
            acquire: Arc::new(move || acquire().boxed()),
            current: Cache::builder().max_capacity(KNOWN).time_to_live(FRESH).build(),
            sheets: Cache::builder().max_capacity(CAPACITY).time_to_idle(IDLE).build(),
        }
    }

    /// The test as students get it now; none if it is not open to them.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn current(&self, id: TestId) -> sqlx::Result<Option<Arc<Sheet>>> {
        let version = match self.current.get(&id) {
            Some(version) => version,
            None => {
                let mut conn = (self.acquire)().await?;
                let Some(version) = practice_tests::current_version(&mut conn, id).await? else { return Ok(None) };
                self.current.insert(id, version);
                version
            }
        };
        self.taken(Taken::Version(id, version)).await
    }

    /// Asks for the version of a test anew. Other processes do so within five seconds.
    pub fn forget(&self, id: TestId) {
        self.current.invalidate(&id);
    }

    /// What an attempt was made at, as it was then.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn taken(&self, taken: Taken) -> sqlx::Result<Option<Arc<Sheet>>> {
        if let Some(sheet) = self.sheets.get(&taken) {
            return Ok(Some(sheet));
        }
        let Some(sheet) = self.read(taken).await? else { return Ok(None) };
        let sheet = Arc::new(sheet);
        self.sheets.insert(taken, Arc::clone(&sheet));
        Ok(Some(sheet))
    }

    async fn read(&self, taken: Taken) -> sqlx::Result<Option<Sheet>> {
        let mut conn = (self.acquire)().await?;
        let (test, questions) = match taken {
            Taken::Version(id, version) => {
                (versions::find(&mut conn, id, version).await?, versions::questions(&mut conn, id, version).await?)
            }
            Taken::Practice(set) => {
                (practice::heading(&mut conn, set).await?, practice::questions(&mut conn, set).await?)
            }
        };
        Ok(test.map(|test| Sheet { test, questions }))
    }
}
