//! `bellwork migrate`: brings the schema up to date.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::Context;
use bellwork_shared::database::{MIGRATIONS, is_transient};
use clap::Args;
use serde::Serialize;
use sqlx::migrate::Migrate as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};

use crate::screen::Screen;
use crate::stores;

/// What `--wait` alone means.
const WAIT_SECONDS: &str = "30";
/// A server that is there answers within this time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(250);

/// Apply the migrations that the database does not have. Several at once wait for each other.
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Wait up to SECONDS for the database to come up.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_value_t = 0, default_missing_value = WAIT_SECONDS)]
    wait: u64,
}

#[derive(Debug, Serialize)]
struct Applied {
    version: i64,
    description: &'static str,
}

impl Migrate {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        let mut conn = connect(&stores::unlimited_database()?, Duration::from_secs(self.wait), screen).await?;
        let applied = apply(&mut conn).await.context("the schema could not be brought up to date")?;
        let total = MIGRATIONS.iter().len();
        screen.json(&serde_json::json!({ "applied": applied, "total": total }))?;
        for migration in &applied {
            screen.say(format_args!("  {:04} {}", migration.version, migration.description))?;
        }
        match applied.len() {
            0 => screen.say(format_args!("Nothing to apply: all {total} migrations are in place."))?,
            1 => screen.say("Applied 1 migration.")?,
            count => screen.say(format_args!("Applied {count} migrations."))?,
        }
        Ok(())
    }
}

async fn connect(options: &PgConnectOptions, wait: Duration, screen: &mut Screen) -> anyhow::Result<PgConnection> {
    let began = Instant::now();
    loop {
        let tried = tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await;
        match tried.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            Err(error) if is_transient(&error) && began.elapsed() < wait => {
                screen.living_line(format_args!("Waiting for the database, {} s …", began.elapsed().as_secs()))?;
                tokio::time::sleep(PAUSE).await;
            }
            tried => return tried.context("the database cannot be reached"),
        }
    }
}

async fn apply(conn: &mut PgConnection) -> anyhow::Result<Vec<Applied>> {
    let before = versions(conn).await?;
    MIGRATIONS.run(&mut *conn).await?;
    let new = MIGRATIONS.iter().filter(|migration| !before.contains(&migration.version));
    Ok(new.map(|migration| Applied { version: migration.version, description: &migration.description }).collect())
}

async fn versions(conn: &mut PgConnection) -> anyhow::Result<HashSet<i64>> {
    conn.ensure_migrations_table(&MIGRATIONS.table_name).await?;
    let applied = conn.list_applied_migrations(&MIGRATIONS.table_name).await?;
    Ok(applied.into_iter().map(|migration| migration.version).collect())
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;

    #[sqlx::test(migrations = false)]
    async fn a_second_run_applies_nothing(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        assert_eq!(apply(&mut conn).await.unwrap().len(), MIGRATIONS.iter().len());
        assert!(apply(&mut conn).await.unwrap().is_empty());
    }
}
