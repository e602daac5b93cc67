//! The stores that a command needs, and no others: `bellwork migrate` works while Redis is down.

use std::str::FromStr;

use anyhow::Context;
use bellwork_queue::{Engine, Server};
use bellwork_shared::cache::{Invalidator, Scope};
use bellwork_shared::config::Variables;
use bellwork_shared::config::database::DatabaseConfig;
use bellwork_shared::config::redis::RedisConfig;
use bellwork_shared::database;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;

const APPLICATION: &str = "bellwork";

/// PostgreSQL, with the limits on statements that all processes have.
pub(crate) fn database() -> anyhow::Result<PgPool> {
    let config = DatabaseConfig::read(&Variables::of_process())?;
    database::pool(&config, APPLICATION).context("DATABASE_URL cannot be used")
}

/// How to reach PostgreSQL, without limits on statements: a migration takes as long as it takes.
pub(crate) fn unlimited_database() -> anyhow::Result<PgConnectOptions> {
    let config = DatabaseConfig::read(&Variables::of_process())?;
    let options = PgConnectOptions::from_str(config.url.as_str()).context("DATABASE_URL cannot be used")?;
    Ok(options.application_name(APPLICATION))
}

/// Forgets in all processes what was read of the tests, after the commit of a change.
pub(crate) async fn forget_tests() {
    forget(&[Scope::Tests, Scope::QuestionBank]).await;
}

/// Forgets in all processes what was read of `scopes`, after the commit of a change. If Redis is away, or not named, they
/// know by themselves some minutes later: that is no reason to fail what is committed.
pub(crate) async fn forget(scopes: &[Scope]) {
    let Ok(config) = RedisConfig::read(&Variables::of_process()) else { return };
    let Ok(server) = config.cache_url.parse::<Server>() else { return };
    let cache = Invalidator::new(bellwork_jobs::cache::redis(&server), &config.prefix);
    cache.forget(scopes).await;
}

/// The queues in Redis. The first command connects.
pub(crate) fn engine() -> anyhow::Result<Engine> {
    let config = RedisConfig::read(&Variables::of_process())?;
    let server: Server = config.queue_url.parse().context("REDIS_URL cannot be used")?;
    Ok(Engine::new(server, &config.prefix))
}
