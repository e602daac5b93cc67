//! `bellwork tests import`: a practice test from a file that teachers have.

use std::path::{Path, PathBuf};

use anyhow::Context;
use bellwork_shared::content::{self, ImportError, Imported, OnDifference, TestFile};
use bellwork_shared::formats::{self, Format, Label, Naming, Reading, Severity};
use clap::Args;
use serde_json::json;
use sqlx::PgConnection;

use super::problems;
use crate::advice::{Advised, advised};
use crate::screen::{Screen, Tone};
use crate::stores;

/// Import a practice test from JSON, Moodle GIFT, Moodle XML or CSV.
///
/// What the file holds that a test cannot is told row by row. If anything of it would be lost, nothing is imported unless
/// --allow-loss says so.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file; content/*.json are examples.
    file: PathBuf,
    /// The file's format, if neither its name nor its beginning tells.
    #[arg(long, value_parser = super::format)]
    format: Option<&'static Format>,
    /// What the test is to be called, instead of what the file or its name says.
    #[arg(long)]
    title: Option<String>,
    /// What the test is about, such as biology.
    #[arg(long)]
    subject: Option<String>,
    /// If the test exists with other content, publish this as its next version.
    #[arg(long)]
    replace: bool,
    /// Import although some of the file is lost, and end with 0.
    #[arg(long)]
    allow_loss: bool,
    /// Tell what would be imported and lost, and import nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Import {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<()> {
        let (reading, test) = self.read(screen)?;
        if self.dry_run {
            return show(&test, "checked", &reading, screen);
        }
        let on_difference = if self.replace { OnDifference::Replace } else { OnDifference::Refuse };
        let mut transaction = stores::database()?.begin().await.context("nothing was imported")?;
        let imported = import(&mut transaction, &test, on_difference).await?;
        transaction.commit().await.context("nothing was imported")?;
        stores::forget_tests().await;
        show(&test, outcome(imported), &reading, screen)
    }

    /// The test, if as much of the file came through as was asked for.
    fn read(&self, screen: &mut Screen) -> anyhow::Result<(Reading, TestFile)> {
        let bytes = std::fs::read(&self.file).with_context(|| format!("{} cannot be read", self.file.display()))?;
        let filename = self.file.file_name().and_then(|name| name.to_str());
        let reading = formats::read(&bytes, Label { format: self.format, filename, media_type: None });
        problems::show(&reading.problems, screen)?;
        let naming = Naming { title: self.title.as_deref(), subject: self.subject.as_deref(), filename };
        let test = reading.test(naming).map_err(|unusable| refused(&self.file, &reading, &unusable.to_string()))?;
        let lost = reading.count(Severity::Lost);
        if lost > 0 && !self.allow_loss {
            let things = if lost == 1 { "1 thing in it".to_owned() } else { format!("{lost} things in it") };
            return Err(refused(&self.file, &reading, &format!("{things} would be lost")));
        }
        Ok((reading, test))
    }
}

fn refused(file: &Path, reading: &Reading, why: &str) -> anyhow::Error {
    let sentence = format!("Nothing of {} was imported: {why}.", file.display());
    let next = if reading.questions.is_empty() {
        "Correct that and import the file again; content/*.json are examples.".to_owned()
    } else {
        format!(
            "Correct that, or use --allow-loss to import {} of {} questions.",
            reading.questions.len(),
            reading.found
        )
    };
    let details = [
        ("found", json!(reading.found)),
        ("usable", json!(reading.questions.len())),
        ("problems", json!(reading.problems)),
    ];
    let details = details.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Advised { sentence, next, details }.into()
}

async fn import(conn: &mut PgConnection, test: &TestFile, on_difference: OnDifference) -> anyhow::Result<Imported> {
    content::import(conn, test, on_difference).await.map_err(|error| {
        let sentence = format!("Nothing was imported: {error}.");
        match error {
            ImportError::Different(_) => advised(sentence, "Use --replace to publish it as the next version."),
            ImportError::Database(_) => anyhow::Error::new(error).context("nothing was imported"),
        }
    })
}

fn outcome(imported: Imported) -> &'static str {
    match imported {
        Imported::Created => "created",
        Imported::Unchanged => "unchanged",
        Imported::Replaced => "replaced",
    }
}

fn show(test: &TestFile, outcome: &str, reading: &Reading, screen: &mut Screen) -> anyhow::Result<()> {
    let done = match outcome {
        "created" => "is imported",
        "unchanged" => "is there with this content; nothing was changed",
        "replaced" => "has a new version; what students took stays as it was",
        _ => "could be imported; nothing was changed",
    };
    let (questions, max_score) = (test.questions.len(), test.max_score());
    screen.json(&json!({
        "slug": test.slug, "outcome": outcome, "questions": questions, "max_score": max_score, "format": reading.format,
        "found": reading.found, "problems": reading.problems,
    }))?;
    let mark = screen.toned(Tone::Good, "✓");
    let size = screen.toned(Tone::Faint, format_args!("({questions} questions, {max_score} points)"));
    Ok(screen.say(format_args!("{mark} {} {done} {size}", test.slug))?)
}

#[cfg(test)]
mod tests {
    use bellwork_testkit::folder::Folder;
    use sqlx::PgPool;

    use super::*;
    use crate::screen::{Reader, Surface};

    fn algebra() -> TestFile {
        content::read(include_str!("../../../../content/algebra.json")).unwrap()
    }

    fn silent() -> Screen {
        Screen::on(Box::new(std::io::sink()), Box::new(std::io::sink()), Reader::Programs, Surface::Stream)
    }

    /// Reads a file of this name and content.
    fn read(name: &str, text: &str, allow_loss: bool) -> anyhow::Result<(Reading, TestFile)> {
        let folder = Folder::new();
        let file = folder.file(name, text).into();
        let (format, title, subject) = (None, None, None);
        let command = Import { file, format, title, subject, replace: false, allow_loss, dry_run: false };
        command.read(&mut silent())
    }

    #[test]
    fn a_file_that_cannot_be_imported_is_refused_with_all_that_is_wrong() {
        let refused = read("x.json", r#"{"slug": "Sums", "title": "", "questions": []}"#, true).unwrap_err();
        let refused = refused.downcast::<Advised>().unwrap();
        let places: Vec<_> = refused.details["problems"].as_array().unwrap().iter().map(|f| &f["pointer"]).collect();
        assert_eq!(places, ["/slug", "/title"]);
    }

    #[test]
    fn a_loss_is_refused_unless_it_is_allowed() {
        let quiz = "1 + 1 {#2}\n\nDescribe it. {}";
        let refused = read("Sums.gift", quiz, false).unwrap_err().downcast::<Advised>().unwrap();
        assert!(refused.next.contains("--allow-loss to import 1 of 2"), "{}", refused.next);
        let (reading, test) = read("Sums.gift", quiz, true).unwrap();
        assert_eq!((test.slug.as_str(), test.questions.len(), reading.problems.len()), ("sums", 1, 1));
        assert!(read("Sums.gift", "1 + 1 {#2}", false).is_ok());
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
