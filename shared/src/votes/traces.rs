//! Where votes come from, told only as "the same as that one".
//!
//! A device or a network is kept as HMAC-SHA-256 under the key of the day, cut to 128 bits; never itself. Traces and keys
//! are deleted after [`KEPT`]. A look back over midnight compares with the key of yesterday too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sqlx::{Acquire, PgConnection, Postgres};

use crate::ids::UserId;

/// How long a trace is kept: longer than any rule looks back, with a day for a worker that is late.
pub const KEPT: TimeDelta = TimeDelta::hours(48);
/// Bytes kept of a hash: two of them are never equal by chance.
const LENGTH: usize = 16;
/// Rows deleted by one statement.
const BATCH: i64 = 1000;

/// A keyed hash under the key of today and under that of yesterday.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pseudonym([Vec<u8>; 2]);

impl Pseudonym {
    /// What is stored.
    #[must_use]
    pub fn of_today(&self) -> &[u8] {
        &self.0[0]
    }

    /// What may have been stored within the last day.
    #[must_use]
    pub fn of_both_days(&self) -> &[Vec<u8>] {
        &self.0
    }
}

/// Where a vote comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The device, if the request says anything that tells devices apart.
    pub device: Option<Pseudonym>,
    /// The network of the address.
    pub network: Option<Pseudonym>,
}

/// The keys of today and of yesterday.
#[derive(Clone)]
pub struct DayKeys {
    day: NaiveDate,
    keys: [String; 2],
}

/// Without the keys.
impl std::fmt::Debug for DayKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DayKeys").field("day", &self.day).finish_non_exhaustive()
    }
}

impl DayKeys {
    /// The trace of a request.
    #[must_use]
    pub fn trace(&self, device: Option<&str>, address: IpAddr) -> Trace {
        let device = device.map(|device| self.pseudonym("device", device));
        Trace { device, network: Some(self.pseudonym("network", &network(address).to_string())) }
    }

    fn pseudonym(&self, kind: &str, text: &str) -> Pseudonym {
        let hashed = self.keys.each_ref().map(|key| {
            let hmac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
            let hash = hmac.chain_update(kind).chain_update([0]).chain_update(text).finalize().into_bytes();
            hash[..LENGTH].to_vec()
        });
        Pseudonym(hashed)
    }
}

/// The /24 of an IPv4 address, the /64 of an IPv6 address, with the rest zero.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & (!0 << 8)).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (!0 << 64)).into(),
    }
}

/// The keys of the current day, read once a day by each process.
#[derive(Debug, Default)]
pub struct Keys {
    current: Mutex<Option<Arc<DayKeys>>>,
}

impl Keys {
    /// Those of today, in UTC.
    ///
    /// # Errors
    /// If they have not been read today and the database fails.
    pub async fn today<'a>(&self, database: impl Acquire<'a, Database = Postgres>) -> sqlx::Result<Arc<DayKeys>> {
        let today = Utc::now().date_naive();
        let known = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(keys) = known.filter(|keys| keys.day == today) {
            return Ok(keys);
        }
        let keys = Arc::new(read_keys(&mut *database.acquire().await?, today).await?);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&keys));
        Ok(keys)
    }
}

/// The keys of `today` and the day before; the first process that asks makes them.
async fn read_keys(conn: &mut PgConnection, today: NaiveDate) -> sqlx::Result<DayKeys> {
    let yesterday = today - Days::new(1);
    sqlx::query!("insert into vote_trace_keys (day) values ($1), ($2) on conflict do nothing", yesterday, today,)
        .execute(&mut *conn)
        .await?;
    let keys = sqlx::query_scalar!(
        "select key from vote_trace_keys where day between $1 and $2 order by day desc",
        yesterday,
        today,
    )
    .fetch_all(conn)
    .await?;
    let keys = keys.try_into().map_err(|_| sqlx::Error::RowNotFound)?;
    Ok(DayKeys { day: today, keys })
}

/// Deletes the traces and keys of more than two days ago, as of `now`, and says how many traces. Each batch commits by
/// itself.
///
/// # Errors
/// If the database fails.
pub async fn delete_old(conn: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<u64> {
    let cutoff = now - KEPT;
    sqlx::query!("delete from vote_trace_keys where day < $1", cutoff.date_naive()).execute(&mut *conn).await?;
    let mut total = 0;
    loop {
        let batch = sqlx::query!(
            r#"
            delete from vote_traces where vote_id in (
                select vote_id from vote_traces where cast_at < $1 order by cast_at limit $2 for update skip locked)
                and cast_at < $1
            "#,
            cutoff,
            BATCH,
        );
        match batch.execute(&mut *conn).await?.rows_affected() {
            0 => return Ok(total),
            deleted => total += deleted,
        }
    }
}

/// Leaves the votes of a student who is being erased behind, counted as they were, as those of `shell`; where they came
/// from goes. The caller has taken the student's row, so that no vote is cast meanwhile. The votes are locked first, in
/// the order of operators and reviews: what these write of them is then there to be changed, or names the shell.
///
/// # Errors
/// If the database fails.
pub async fn anonymize(conn: &mut PgConnection, user: UserId, shell: UserId) -> sqlx::Result<()> {
    let votes = sqlx::query_scalar!("select id from votes where user_id = $1 order by id for update", user as UserId);
    let votes = votes.fetch_all(&mut *conn).await?;
    sqlx::query!("delete from vote_traces where vote_id = any($1)", &votes).execute(&mut *conn).await?;
    sqlx::query!("update vote_events set user_id = $2 where user_id = $1", user as UserId, shell as UserId)
        .execute(&mut *conn)
        .await?;
    sqlx::query!("update votes set user_id = $2, cluster = null where id = any($1)", &votes, shell as UserId)
        .execute(conn)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;

    fn keys(day: &str, keys: [&str; 2]) -> DayKeys {
        DayKeys { day: day.parse().unwrap(), keys: keys.map(str::to_owned) }
    }

    #[test]
    fn a_network_is_the_neighbourhood_of_an_address() {
        for (address, expected) in [
            ("203.0.113.77", "203.0.113.0"),
            ("::ffff:203.0.113.77", "203.0.113.0"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            assert_eq!(network(address.parse().unwrap()).to_string(), expected);
        }
    }

    #[test]
    fn the_same_device_is_known_until_tomorrow_and_no_longer() {
        let trace = |keys: DayKeys| keys.trace(Some("d"), "203.0.113.77".parse().unwrap()).device.unwrap();
        let monday = trace(keys("2026-03-02", ["mon", "sun"]));
        let tuesday = trace(keys("2026-03-03", ["tue", "mon"]));
        let wednesday = trace(keys("2026-03-04", ["wed", "tue"]));
        assert!(tuesday.of_both_days().iter().any(|known| known == monday.of_today()));
        assert!(!wednesday.of_both_days().iter().any(|known| known == monday.of_today()));
    }

    #[test]
    fn a_device_and_a_network_of_the_same_name_differ() {
        let keys = keys("2026-03-02", ["a", "b"]);
        assert_ne!(keys.pseudonym("device", "x"), keys.pseudonym("network", "x"));
        assert_eq!(keys.pseudonym("device", "x").of_today().len(), LENGTH);
    }

    #[sqlx::test(migrator = "crate::database::MIGRATIONS")]
    async fn all_processes_have_the_same_keys_and_old_ones_go_with_their_traces(database: PgPool) {
        let (one, other) = (Keys::default(), Keys::default());
        let (one, other) = tokio::join!(one.today(&database), other.today(&database));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!(one.keys, other.keys);
        assert_ne!(one.keys[0], one.keys[1]);
        let mut conn = database.acquire().await.unwrap();
        let old = "insert into vote_traces (vote_id, user_id, model_id, value, account_created_at, cast_at)
                   select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 1, now(),
                          now() - make_interval(hours => 48 * (n % 2), secs => 1) from generate_series(1, 2400) as n";
        sqlx::query(old).execute(&mut *conn).await.unwrap();
        sqlx::query("insert into vote_trace_keys (day) values ('2026-01-01')").execute(&mut *conn).await.unwrap();
        assert_eq!(delete_old(&mut conn, Utc::now()).await.unwrap(), 1200);
        let left: (i64, i64) =
            sqlx::query_as("select (select count(*) from vote_traces), (select count(*) from vote_trace_keys)")
                .fetch_one(&mut *conn)
                .await
                .unwrap();
        assert_eq!(left, (1200, 2));
    }
}
