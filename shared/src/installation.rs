//! What every process of one installation agrees on without being told.

use sqlx::PgConnection;

/// The one row of its table.
#[derive(Clone)]
pub struct Installation {
    /// Half of each event id; another one tells clients that their sequence numbers mean nothing here.
    pub stream_epoch: String,
    /// Signs cursors of lists, cookies of known devices, and what the throttle calls accounts and addresses by.
    pub cursor_key: String,
}

/// Without the key.
impl std::fmt::Debug for Installation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Installation").field("stream_epoch", &self.stream_epoch).finish_non_exhaustive()
    }
}

/// Reads it.
///
/// # Errors
/// If the database fails.
pub async fn read(conn: &mut PgConnection) -> sqlx::Result<Installation> {
    sqlx::query_as!(Installation, "select stream_epoch, cursor_key from installation").fetch_one(conn).await
}
