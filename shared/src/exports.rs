//! A stored test as a whole, to be written as a file.

use sqlx::PgConnection;

use crate::content::{self, TestFile};
use crate::ids::TestId;

/// The version of the test that students get, with its questions and keys; none if there is none.
///
/// # Errors
/// If the database fails.
pub async fn find(conn: &mut PgConnection, id: TestId) -> sqlx::Result<Option<TestFile>> {
    let version = sqlx::query_scalar!("select version from practice_tests where id = $1", id as TestId);
    let Some(version) = version.fetch_optional(&mut *conn).await?.flatten() else { return Ok(None) };
    content::export(conn, id, version).await
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::content::OnDifference;

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn what_was_imported_is_found_whole(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let biology = content::read(include_str!("../../content/biology.json")).unwrap();
        content::import(&mut conn, &biology, OnDifference::Refuse).await.unwrap();
        let id = sqlx::query_scalar("select id from practice_tests").fetch_one(&mut *conn).await.unwrap();
        assert_eq!(find(&mut conn, id).await.unwrap(), Some(biology));
        assert_eq!(find(&mut conn, TestId::new()).await.unwrap(), None);
    }
}
