//! The catalogue: practice tests with their questions, kept in memory for a moment, since every attempt needs its test
//! three times: when it is checked, graded and mailed.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use sqlx::PgPool;

use crate::ids::TestId;
use crate::practice_tests::{self, PracticeTest, Question};

/// A test that was replaced is known everywhere after this time.
const FRESH: Duration = Duration::from_secs(5);
/// So many tests are kept.
const CAPACITY: u64 = 1000;

/// A test with its questions in their order.
#[derive(Debug)]
pub struct Sheet {
    /// The test.
    pub test: PracticeTest,
    /// Its questions with their keys.
    pub questions: Vec<Question>,
}

/// The tests that this process has read lately. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Catalogue {
    database: PgPool,
    sheets: Cache<TestId, Arc<Sheet>>,
}

impl Catalogue {
    /// Reads from `database`.
    #[must_use]
    pub fn new(database: PgPool) -> Self {
        Self { database, sheets: Cache::builder().max_capacity(CAPACITY).time_to_live(FRESH).build() }
    }

    /// The test, if there is one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find(&self, id: TestId) -> sqlx::Result<Option<Arc<Sheet>>> {
        if let Some(sheet) = self.sheets.get(&id) {
            return Ok(Some(sheet));
        }
        let mut conn = self.database.acquire().await?;
        let Some(test) = practice_tests::find(&mut conn, id).await? else { return Ok(None) };
        let questions = practice_tests::questions(&mut conn, id).await?;
        let sheet = Arc::new(Sheet { test, questions });
        self.sheets.insert(id, Arc::clone(&sheet));
        Ok(Some(sheet))
    }
}
