//! A place in the primary's write-ahead log.

use std::str::FromStr;

use sqlx::PgConnection;

/// A place in the write-ahead log (PostgreSQL's `pg_lsn`), in bytes from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub u64);

/// What is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not of the form 16/B374D848")]
pub struct NoPosition;

impl Position {
    /// Before everything.
    pub const START: Self = Self(0);

    /// Where the primary stands: whatever was committed before this was asked lies before it.
    ///
    /// # Errors
    /// If the database fails, or is no primary.
    pub async fn of_primary(conn: &mut PgConnection) -> sqlx::Result<Self> {
        read(sqlx::query_scalar!(r#"select pg_current_wal_insert_lsn()::text as "position!""#).fetch_one(conn).await?)
    }
}

/// Where a replica stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Replay {
    /// How far it has replayed.
    pub(super) replayed: Position,
    /// Whether that is all that it has received.
    pub(super) has_all: bool,
}

impl Replay {
    /// Where a replica stands; nothing if it is no replica, such as one that was promoted.
    ///
    /// # Errors
    /// If the database fails.
    pub(super) async fn of(conn: &mut PgConnection) -> sqlx::Result<Option<Self>> {
        let replay = sqlx::query!(
            r#"
            select case when pg_is_in_recovery() then pg_last_wal_replay_lsn()::text end as replayed,
                   coalesce(pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn(), false) as "has_all!"
            "#
        );
        let row = replay.fetch_one(conn).await?;
        let replayed = row.replayed.map(read).transpose()?;
        Ok(replayed.map(|replayed| Self { replayed, has_all: row.has_all }))
    }
}

fn read(text: String) -> sqlx::Result<Position> {
    text.parse().map_err(|error| sqlx::Error::Decode(Box::<NoPosition>::new(error)))
}

impl FromStr for Position {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Self, NoPosition> {
        let (high, low) = text.split_once('/').ok_or(NoPosition)?;
        let half = |digits: &str| u32::from_str_radix(digits, 16).map_err(|_| NoPosition);
        Ok(Self(u64::from(half(high)?) << 32 | u64::from(half(low)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_ordered_by_both_halves() {
        let position = |text: &str| text.parse::<Position>().unwrap();
        assert_eq!(position("16/B374D848"), Position(0x16_B374_D848));
        assert!(position("1/0") > position("0/FFFFFFFF"));
        for text in ["", "1", "1/", "/1", "1/x", "100000000/1"] {
            assert_eq!(text.parse::<Position>(), Err(NoPosition), "{text}");
        }
    }
}
