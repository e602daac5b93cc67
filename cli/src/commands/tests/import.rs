//! `bellwork tests import`: a practice test from a file, whole or not at all.

use std::path::{Path, PathBuf};

use anyhow::Context;
use bellwork_shared::content::{self, Finding, ImportError, Imported, OnDifference, TestFile};
use clap::Args;
use serde_json::json;
use sqlx::PgConnection;

use crate::advice::{Advised, advised};
use crate::screen::{Screen, Tone, cell, table};
use crate::stores;

/// Import a practice test. All that is wrong with the file is told at once, and then nothing is imported.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file; content/*.json are examples.
    file: PathBuf,
    /// If the test exists with other content, replace its texts and keys, question by question, by their slugs.
    #[arg(long)]
    replace: bool,
}

impl Import {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        let test = read(&self.file, screen)?;
        let on_difference = if self.replace { OnDifference::Replace } else { OnDifference::Refuse };
        let mut transaction = stores::database()?.begin().await.context("nothing was imported")?;
        let imported = import(&mut transaction, &test, on_difference).await?;
        transaction.commit().await.context("nothing was imported")?;
        show(&test, imported, screen)
    }
}

fn read(file: &Path, screen: &mut Screen) -> anyhow::Result<TestFile> {
    let json = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    content::read(&json).or_else(|findings| {
        show_findings(&findings, screen)?;
        let things =
            if findings.len() == 1 { "1 thing is".to_owned() } else { format!("{} things are", findings.len()) };
        let sentence = format!("{things} wrong in {}; nothing was imported.", file.display());
        let next = "Correct that and import the file again; content/*.json are examples.".to_owned();
        let details = [("findings".to_owned(), json!(findings))].into_iter().collect();
        Err(Advised { sentence, next, details }.into())
    })
}

fn show_findings(findings: &[Finding], screen: &mut Screen) -> anyhow::Result<()> {
    let mut rows = table(&["WHERE", "WHAT IS WRONG"]);
    for Finding { pointer, detail } in findings {
        let place = if pointer.is_empty() { "(the file)" } else { pointer };
        rows.add_row([cell(place, Tone::Caution), cell(detail, Tone::Plain)]);
    }
    Ok(screen.table(rows)?)
}

async fn import(conn: &mut PgConnection, test: &TestFile, on_difference: OnDifference) -> anyhow::Result<Imported> {
    content::import(conn, test, on_difference).await.map_err(|error| {
        let sentence = format!("Nothing was imported: {error}.");
        match error {
            ImportError::Different(_) => advised(sentence, "Use --replace to replace its texts and keys."),
            ImportError::InUse { .. } => advised(sentence, "Give the new version of the test a slug of its own."),
            ImportError::Database(_) => anyhow::Error::new(error).context("nothing was imported"),
        }
    })
}

fn show(test: &TestFile, imported: Imported, screen: &mut Screen) -> anyhow::Result<()> {
    let (word, done) = match imported {
        Imported::Created => ("created", "is imported"),
        Imported::Unchanged => ("unchanged", "is there with this content; nothing was changed"),
        Imported::Replaced => ("replaced", "is replaced; results that students have got stay as they are"),
    };
    let (questions, max_score) = (test.questions.len(), test.max_score());
    screen.json(&json!({ "slug": test.slug, "outcome": word, "questions": questions, "max_score": max_score }))?;
    let mark = screen.toned(Tone::Good, "✓");
    let size = screen.toned(Tone::Faint, format_args!("({questions} questions, {max_score} points)"));
    Ok(screen.say(format_args!("{mark} {} {done} {size}", test.slug))?)
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::screen::{Reader, Surface};

    fn algebra() -> TestFile {
        content::read(include_str!("../../../../content/algebra.json")).unwrap()
    }

    #[test]
    fn a_file_that_cannot_be_imported_is_refused_with_all_that_is_wrong() {
        let file = std::env::temp_dir().join(format!("bellwork-import-{}.json", std::process::id()));
        std::fs::write(&file, r#"{"slug": "Sums", "title": "", "questions": []}"#).unwrap();
        let (out, err) = (Box::new(std::io::sink()), Box::new(std::io::sink()));
        let mut screen = Screen::on(out, err, Reader::Programs, Surface::Stream);
        let refused = read(&file, &mut screen).unwrap_err().downcast::<Advised>().unwrap();
        std::fs::remove_file(&file).unwrap();
        let places: Vec<_> = refused.details["findings"].as_array().unwrap().iter().map(|f| &f["pointer"]).collect();
        assert_eq!(places, ["/slug", "/title", "/subject", "/description", "/questions"]);
    }

    #[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
    async fn a_changed_test_is_refused_with_the_way_out(database: PgPool) {
        let mut conn = database.acquire().await.unwrap();
        let mut test = algebra();
        import(&mut conn, &test, OnDifference::Refuse).await.unwrap();
        "Other".clone_into(&mut test.title);
        let refused = import(&mut conn, &test, OnDifference::Refuse).await.unwrap_err();
        assert_eq!(refused.to_string(), "Nothing was imported: the test \"algebra\" exists with other content.");
        assert!(refused.downcast::<Advised>().unwrap().next.contains("--replace"));
        assert_eq!(import(&mut conn, &test, OnDifference::Replace).await.unwrap(), Imported::Replaced);
    }
}
