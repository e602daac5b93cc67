//! `bellwork tests export`: a practice test as a file that teachers use.

use std::path::PathBuf;

use anyhow::Context;
use bellwork_shared::content::TestFile;
use bellwork_shared::formats::{self, Format, Severity, Written};
use bellwork_shared::ids::TestId;
use bellwork_shared::{practice_tests, test_files};
use clap::Args;
use serde_json::json;
use sqlx::PgConnection;

use super::problems;
use crate::advice::advised;
use crate::screen::{Screen, Tone};
use crate::stores;

/// Export a practice test as JSON, Moodle GIFT, Moodle XML or CSV.
///
/// What the format does not hold of the test is told; JSON holds all.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The id of the test.
    id: TestId,
    /// The format.
    #[arg(long, value_parser = super::format, default_value = "json")]
    format: &'static Format,
    /// The file to write; a file named for the test unless told. One that exists is not overwritten.
    #[arg(long, short)]
    output: Option<PathBuf>,
}

impl Export {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        let mut conn = stores::database()?.acquire().await.context("nothing was exported")?;
        let (test, written) = write(&mut conn, self.id, self.format).await?;
        let name = || PathBuf::from(format!("{}.{}", test.slug, self.format.extensions[0]));
        let file = self.output.unwrap_or_else(name);
        let mut options = std::fs::OpenOptions::new();
        let opened = options.write(true).create_new(true).open(&file);
        let write = |mut opened: std::fs::File| std::io::Write::write_all(&mut opened, written.text.as_bytes());
        opened.and_then(write).with_context(|| format!("{} cannot be written", file.display()))?;
        problems::show(&written.problems, screen)?;
        let (lost, changed) = (written.count(Severity::Lost), written.count(Severity::Changed));
        screen.json(&json!({
            "file": file, "format": self.format.name, "questions": test.questions.len(), "lost": lost, "changed": changed,
            "problems": written.problems,
        }))?;
        let mark = screen.toned(Tone::Good, "✓");
        let loss = screen.toned(Tone::Faint, format_args!("({lost} things lost, {changed} changed)"));
        Ok(screen.say(format_args!("{mark} {} is written to {} {loss}", test.slug, file.display()))?)
    }
}

async fn write(conn: &mut PgConnection, id: TestId, format: &Format) -> anyhow::Result<(TestFile, Written)> {
    let Some(test) = test_files::find(conn, id).await.context("nothing was exported")? else {
        let tests = practice_tests::list(conn, None, 20).await.context("nothing was exported")?;
        let known: Vec<_> = tests.iter().map(|test| format!("{} {}", test.id, test.slug)).collect();
        return Err(advised(format!("There is no test {id}."), format!("There are: {}.", known.join(", "))));
    };
    let written = formats::write(&test, format);
    Ok((test, written))
}

#[cfg(test)]
mod tests {
    use bellwork_shared::content::{self, OnDifference};
    use bellwork_shared::formats::{Label, Naming};
    use sqlx::PgPool;

    use super::*;

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn what_is_exported_can_be_imported_again(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let biology = content::read(include_str!("../../../../content/biology.json")).unwrap();
        content::import(&mut conn, &biology, OnDifference::Refuse).await.unwrap();
        let id = practice_tests::list(&mut conn, None, 1).await.unwrap()[0].id;
        for format in formats::ALL.iter().filter(|format| format.name != "gift") {
            let (_, written) = write(&mut conn, id, format).await.unwrap();
            let read = formats::read(written.text.as_bytes(), Label { format: Some(format), ..Label::default() });
            let again = read.test(Naming { title: Some("Biology"), ..Naming::default() }).unwrap();
            assert_eq!(again.questions, biology.questions, "{}", format.name);
        }
        let unknown = write(&mut conn, TestId::new(), &formats::ALL[0]).await.unwrap_err();
        assert!(unknown.downcast::<crate::advice::Advised>().unwrap().next.contains("biology"));
    }
}
