//! Mails that were written as files instead of being sent.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use bellwork_shared::ids::JobId;
use serde::Serialize;

/// A mail on the disk.
#[derive(Debug, Serialize)]
pub(super) struct Mail {
    pub(super) file: PathBuf,
    pub(super) subject: String,
}

/// The mail to `address` in `dir` that a job accepted after `job` sent, if there is one. A directory that is not there
/// holds none.
pub(super) fn find(dir: &Path, address: &str, job: JobId) -> anyhow::Result<Option<Mail>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries.with_context(|| format!("{} cannot be read", dir.display()))?,
    };
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut mails = files.filter(|file| sent_by(file).is_some_and(|sender| sender > job));
    Ok(mails.find_map(|file| read(file, address)))
}

/// The job whose mail a file is.
fn sent_by(file: &Path) -> Option<JobId> {
    file.file_name()?.to_str()?.strip_suffix(".eml")?.parse().ok()
}

/// A file that vanishes or is half written is none yet: it is looked for again.
fn read(file: PathBuf, address: &str) -> Option<Mail> {
    let text = fs::read_to_string(&file).ok()?;
    let head = text.split("\r\n\r\n").next().and_then(|head| head.split("\n\n").next())?;
    let to = header(head, "To")?;
    to.contains(address).then(|| Mail { subject: header(head, "Subject").unwrap_or_default(), file })
}

/// The value of a header, unfolded.
fn header(head: &str, name: &str) -> Option<String> {
    let mut lines = head.lines();
    let first = lines.by_ref().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })?;
    let folded = lines.take_while(|line| line.starts_with([' ', '\t'])).map(str::trim);
    Some(std::iter::once(first.as_str()).chain(folded).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_unfolded() {
        let head = "Message-ID: <1@b>\r\nTo: Ada <ada@b>\r\nSubject: Your result:\r\n 12 of 40\r\nDate: now";
        assert_eq!(header(head, "subject").unwrap(), "Your result: 12 of 40");
        assert_eq!(header(head, "to").unwrap(), "Ada <ada@b>");
        assert_eq!(header(head, "Cc"), None);
    }

    #[test]
    fn a_directory_that_is_not_there_holds_no_mail() {
        assert!(find(Path::new("/nowhere/at/all"), "ada@b", JobId::new()).unwrap().is_none());
    }
}
