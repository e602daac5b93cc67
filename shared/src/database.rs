//! PostgreSQL: the pool and the migrations.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgTransaction};
use url::Url;

use crate::config::database::{DatabaseConfig, Via};

/// All migrations, compiled in.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");

/// A request that cannot get a connection by then fails, rather than queue without end.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection used so lately is handed out without a ping, which would be a quarter of all round trips under load.
/// PostgreSQL takes longer to restart, so that no connection from before it is trusted.
const TRUSTED: Duration = Duration::from_millis(50);
/// A connection is replaced after this time, so that what its session gathers goes, and a moved server is found.
const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// One that was idle for longer is replaced too, rather than asked: what lies between may have forgotten it in silence.
const IDLE: Duration = Duration::from_secs(10 * 60);
/// A statement that runs longer is a mistake; it is ended by the server.
const STATEMENT_TIMEOUT: &str = "15s";
/// Whoever waits longer for a lock has met a stuck process; trying again may help.
const LOCK_TIMEOUT: &str = "10s";
/// A transaction left open by a stuck process gives its locks back by then.
const IDLE_IN_TRANSACTION_TIMEOUT: &str = "30s";

const QUERY_CANCELED: &str = "57014";

/// What each session asks for at its start. A pooler passes no such thing on.
const TIMEOUTS: [(&str, &str); 3] = [
    ("statement_timeout", STATEMENT_TIMEOUT),
    ("lock_timeout", LOCK_TIMEOUT),
    ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_TIMEOUT),
];

/// Opens a pool on the primary without waiting for a first connection, so that a process can start before PostgreSQL.
///
/// # Errors
/// If the address cannot be read.
pub fn pool(config: &DatabaseConfig, application: &str) -> Result<PgPool, sqlx::Error> {
    open(&config.url, config, application)
}

/// Opens a pool on each replica, without waiting either.
///
/// # Errors
/// If an address cannot be read.
pub fn replica_pools(config: &DatabaseConfig, application: &str) -> Result<Vec<PgPool>, sqlx::Error> {
    config.replica_urls.iter().map(|url| open(url, config, application)).collect()
}

/// A pool that leaves its connections alone. Left to itself it looks for old ones now and then, by a loop that can spin for
/// ever and take a core when one is given back at that moment (sqlx issue 3645, mended in no release yet).
#[must_use]
pub fn calm_pool() -> PgPoolOptions {
    PgPoolOptions::new().idle_timeout(None).max_lifetime(None)
}

fn open(url: &Url, config: &DatabaseConfig, application: &str) -> Result<PgPool, sqlx::Error> {
    let options: PgConnectOptions = url.as_str().parse()?;
    let options = options.application_name(application);
    let options = match config.via {
        Via::Direct => options.options(TIMEOUTS),
        // It would refuse the connection for this one; PostgreSQL's own default is as precise since 12.
        Via::Pooler => options.extra_float_digits(None),
    };
    Ok(calm_pool()
        .max_connections(config.pool_size)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                match meta {
                    _ if meta.age > LIFETIME || meta.idle_for > IDLE => Ok(false),
                    _ if meta.idle_for < TRUSTED => Ok(true),
                    _ => connection.ping().await.map(|()| true),
                }
            })
        })
        .connect_lazy_with(options))
}

/// A transaction to search in. Its statements see one moment, so that none reads past what another has looked at. They are
/// planned for their parameters: which index serves a search depends on them. And no scan begins where another one is: while
/// nothing changes, a search that ends at so many rows finds the same ones again.
///
/// # Errors
/// If the database fails, or `conn` is in a transaction.
pub async fn searching(conn: &mut PgConnection) -> sqlx::Result<PgTransaction<'_>> {
    let mut tx = conn.begin_with("begin isolation level repeatable read, read only").await?;
    let settings = "select set_config('plan_cache_mode', 'force_custom_plan', true),
                           set_config('synchronize_seqscans', 'off', true),
                           set_config('max_parallel_workers_per_gather', '0', true)";
    sqlx::query(settings).execute(&mut *tx).await?;
    Ok(tx)
}

/// True if trying again may help: PostgreSQL was away, restarting, or chose this transaction to break a deadlock.
#[must_use]
pub fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_transient_code(&code)),
        _ => false,
    }
}

/// True if PostgreSQL rolled this transaction back so that others could go on, as to break a deadlock: the same again may
/// succeed at once.
#[must_use]
pub fn gave_way(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().is_some_and(|code| code.starts_with("40")))
}

/// True if a statement was ended because it took too long: whoever asked may ask again later, but no job should, since it
/// will take as long again.
#[must_use]
pub fn took_too_long(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().is_some_and(|code| code == QUERY_CANCELED))
}

/// Classes 08 (connection), 40 (rollback) and 53 (resources) of PostgreSQL's error codes, 57P (shut down, starting) and 55P03
/// (a lock was not to be had); not 57014: a statement that took too long will again.
fn is_transient_code(code: &str) -> bool {
    ["08", "40", "53", "57P", "55P03"].iter().any(|class| code.starts_with(class))
}

#[cfg(test)]
mod tests {
    use sqlx::ConnectOptions;

    use super::*;

    #[sqlx::test(migrator = "MIGRATIONS")]
    async fn a_session_asks_for_its_time_outs_unless_a_pooler_would_refuse(database: PgPool) {
        let url = database.connect_options().to_url_lossy();
        for (via, statement, lock) in [(Via::Direct, "15s", "10s"), (Via::Pooler, "0", "0")] {
            let pool =
                pool(&DatabaseConfig { url: url.clone(), replica_urls: Vec::new(), via, pool_size: 2 }, "a test")
                    .unwrap();
            let show = async |name: &'static str| sqlx::query_scalar::<_, String>(name).fetch_one(&pool).await.unwrap();
            assert_eq!(show("show statement_timeout").await, statement);
            assert_eq!(show("show lock_timeout").await, lock);
        }
    }

    #[test]
    fn a_calm_pool_has_no_sweep() {
        let pool = calm_pool();
        assert_eq!((pool.get_idle_timeout(), pool.get_max_lifetime()), (None, None));
    }

    #[test]
    fn a_restart_is_transient_and_a_constraint_is_not() {
        assert!(is_transient_code("57P01"), "terminated by an administrator");
        assert!(is_transient_code("40P01"), "deadlock");
        assert!(is_transient_code("55P03"), "a lock was not to be had");
        assert!(!is_transient_code("23505"), "unique violation");
        assert!(!is_transient_code("57014"), "statement time-out");
        assert!(is_transient(&sqlx::Error::PoolTimedOut));
        assert!(!is_transient(&sqlx::Error::RowNotFound));
    }
}
