//! `bellwork leaderboards rebuild`: makes the boards what the attempts say, while students go on submitting.

use std::time::Instant;

use anyhow::Context;
use bellwork_shared::cache;
use bellwork_shared::ids::TestId;
use bellwork_shared::leaderboard::{self, Late, Scope};
use bellwork_shared::practice_tests;
use clap::Args;
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::advice::Misuse;
use crate::screen::{Screen, Tone};
use crate::stores;

/// Compare boards with the attempts that they come from, and put right what differs. Harmless at any time, and can be
/// begun again.
#[derive(Debug, Args)]
pub(crate) struct Rebuild {
    /// Only the boards of this test.
    #[arg(long, value_name = "ID")]
    test: Option<TestId>,
}

impl Rebuild {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut conn = PgConnection::connect_with(&stores::unlimited_database()?).await?;
        self.must_name_a_test(&mut conn).await?;
        let scope = Scope { test: self.test, late: Late::Rank };
        let repaired = leaderboard::repair(&mut conn, scope, |students| {
            // A line about progress that cannot be written is no reason to stop.
            let _ = screen.living_line(format_args!("{students} students so far …"));
        })
        .await
        .context("the leaderboards were not rebuilt to the end; it can be begun again")?;
        let outdated: Vec<_> = repaired.tests.iter().copied().map(cache::Scope::Board).collect();
        stores::forget(&outdated).await;
        let seconds = began.elapsed().as_secs_f64();
        screen.json(&json!({
            "students": repaired.students, "entries": repaired.entries, "counts": repaired.counts, "seconds": seconds,
        }))?;
        let mark = screen.toned(Tone::Good, "✓");
        let took = screen.toned(Tone::Faint, format_args!("{seconds:.1} s"));
        Ok(screen.say(format_args!(
            "{mark} The boards of {} students are right; {} entries and {} counts were not.  {took}",
            repaired.students, repaired.entries, repaired.counts
        ))?)
    }

    async fn must_name_a_test(&self, conn: &mut PgConnection) -> anyhow::Result<()> {
        let Some(test) = self.test else { return Ok(()) };
        if practice_tests::exists(conn, test).await? {
            return Ok(());
        }
        Err(Misuse(format!("There is no test {test}.")).into())
    }
}
