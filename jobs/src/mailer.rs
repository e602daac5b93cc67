//! How mail leaves the house: over SMTP, or as `.eml` files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bellwork_shared::config::mail::MailConfig;
use bellwork_shared::config::variables::without_password;
use bellwork_shared::ids::JobId;
use bellwork_shared::telemetry::install_tls;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::PoolConfig;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use url::Url;
use uuid::Uuid;

use crate::failure::Failure;

/// A server that is there answers each command within this time.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Connections kept open; as many as the queue's default concurrency.
const POOL_SIZE: u32 = 10;
/// Keeps out-of-office robots from answering (RFC 3834).
const AUTO_SUBMITTED: (&str, &str) = ("Auto-Submitted", "auto-generated");

/// Sends mail.
#[derive(Clone, Debug)]
pub struct Mailer {
    from: Mailbox,
    transport: Transport,
}

#[derive(Clone, Debug)]
enum Transport {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Files(PathBuf),
}

/// A mail to one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The address.
    pub to: String,
    /// The person's name.
    pub name: String,
    /// The subject.
    pub subject: String,
    /// For readers without HTML.
    pub text: String,
    /// For all others.
    pub html: String,
}

impl Mailer {
    /// The mailer that `config` asks for. Opens no connection, but makes the directory for files.
    ///
    /// # Errors
    /// A sentence that names the variable that cannot be used.
    pub fn new(config: &MailConfig) -> anyhow::Result<Self> {
        let from = config.from.parse();
        let from = from.map_err(|error| anyhow!("MAIL_FROM={} cannot be used: {error}.", config.from))?;
        let transport = match &config.smtp_url {
            Some(url) => Transport::Smtp(smtp(url)?),
            None => Transport::Files(directory(&config.dir)?),
        };
        Ok(Self { from, transport })
    }

    /// Sends `letter` for `job`, whose id is the mail's: a mail server or reader can tell a second copy by it.
    ///
    /// # Errors
    /// Final, if an address cannot be used or the server says 5xx; otherwise to be retried.
    pub async fn send(&self, job: JobId, letter: &Letter) -> Result<(), Failure> {
        let message = self.message(job, letter)?;
        match &self.transport {
            Transport::Smtp(transport) => {
                transport.send(message).await.map(drop).map_err(|error| refused(&error, &letter.to))
            }
            Transport::Files(dir) => Ok(write(dir, job, &message.formatted()).await?),
        }
    }

    fn message(&self, job: JobId, letter: &Letter) -> Result<Message, Failure> {
        let address: Address =
            letter.to.parse().map_err(|error| Failure::fatal(format!("the address cannot be used: {error}")))?;
        let (header, value) = AUTO_SUBMITTED;
        let name = Some(printable(&letter.name)).filter(|name| !name.is_empty());
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(name, address))
            .subject(printable(&letter.subject))
            .date_now()
            .message_id(Some(format!("<{job}@{}>", self.from.email.domain())))
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(header), value.to_owned()))
            .multipart(MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone()))
            .map_err(|error| Failure::fatal(format!("the mail cannot be built: {error}")))
    }
}

/// Without control characters, on which the builder of headers panics.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn smtp(url: &Url) -> anyhow::Result<AsyncSmtpTransport<Tokio1Executor>> {
    install_tls();
    let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.as_str());
    let builder = builder.map_err(|error| anyhow!("SMTP_URL={} cannot be used: {error}.", without_password(url)))?;
    Ok(builder.timeout(Some(TIMEOUT)).pool_config(PoolConfig::new().max_size(POOL_SIZE)).build())
}

fn directory(dir: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(dir).with_context(|| format!("MAIL_DIR={} cannot be used", dir.display()))?;
    Ok(dir.to_owned())
}

/// Servers like to repeat the address, and the ledger keeps the reason for longer than the address may be kept.
fn refused(error: &lettre::transport::smtp::Error, address: &str) -> Failure {
    let reason = format!("the mail server: {}", without(&error.to_string(), address));
    if error.is_permanent() { Failure::fatal(reason) } else { Failure::retry(reason) }
}

/// `text` without `address`, whatever its case.
fn without(text: &str, address: &str) -> String {
    let (lower, address) = (text.to_ascii_lowercase(), address.to_ascii_lowercase());
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for (at, found) in lower.match_indices(&address) {
        shown.push_str(&text[from..at]);
        shown.push_str("the address");
        from = at + found.len();
    }
    shown.push_str(&text[from..]);
    shown
}

/// Writes beside the file and renames, so that nobody ever reads half a mail; a second run replaces the first.
async fn write(dir: &Path, job: JobId, mail: &[u8]) -> anyhow::Result<()> {
    let half = dir.join(format!(".{job}.{}", Uuid::new_v4().simple()));
    let written = async {
        tokio::fs::write(&half, mail).await?;
        tokio::fs::rename(&half, dir.join(format!("{job}.eml"))).await
    };
    let written = written.await;
    if written.is_err() {
        // It may not exist; what counts is the first error.
        let _ = tokio::fs::remove_file(&half).await;
    }
    written.with_context(|| format!("MAIL_DIR={} cannot be written to", dir.display()))
}

#[cfg(test)]
mod tests {
    use bellwork_testkit::folder::Folder;
    use bellwork_testkit::mail_server::MailServer;

    use super::*;
    use crate::rehearsal::{deserted_address, smtp_server};

    fn letter(to: &str) -> Letter {
        Letter {
            to: to.to_owned(),
            name: "Zoë, the \"First\" 🎓".to_owned(),
            subject: "Algebra: 17.5 of 20 points ✓".to_owned(),
            text: "Hello Zoë".to_owned(),
            html: "<p>Hello Zoë</p>".to_owned(),
        }
    }

    fn config(smtp_url: Option<&str>, dir: &Path) -> MailConfig {
        let smtp_url = smtp_url.map(|url| url.parse().unwrap());
        MailConfig { smtp_url, from: "Bellwork <bellwork@school.test>".to_owned(), dir: dir.to_owned() }
    }

    fn by_smtp(address: std::net::SocketAddr) -> Mailer {
        Mailer::new(&config(Some(&format!("smtp://{address}")), Path::new("unused"))).unwrap()
    }

    #[tokio::test]
    async fn a_mail_server_gets_text_and_html_under_the_id_of_the_job() {
        let (server, job) = (MailServer::start().await, JobId::new());
        let mailer = by_smtp(server.address());
        mailer.send(job, &letter("zoe@home.test")).await.unwrap();
        let mails = server.mails();
        assert_eq!(mails.len(), 1);
        for part in [
            &*format!("Message-ID: <{job}@school.test>"),
            "From: Bellwork <bellwork@school.test>",
            "<zoe@home.test>",
            "Date: ",
            "Auto-Submitted: auto-generated",
            "Content-Type: multipart/alternative;",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Type: text/html; charset=utf-8",
        ] {
            assert!(mails[0].contains(part), "{part} in {}", mails[0]);
        }
        mailer.send(JobId::new(), &letter("zoe@home.test")).await.unwrap();
        assert_eq!(server.mails().len(), 2, "the pooled connection works again");
    }

    #[tokio::test]
    async fn a_5xx_reply_is_final_and_everything_else_is_retried() {
        for (command, reply, is_final) in [
            ("MAIL", "550 we do not know you", true),
            ("RCPT", "550 5.1.1 no such mailbox", true),
            (".", "554 5.7.1 this is spam", true),
            ("RCPT", "450 4.2.1 try later", false),
            ("RCPT", "421 shutting down", false),
            (".", "452 4.3.1 disk full", false),
            ("DATA", "hang up", false),
            ("EHLO", "hang up", false),
            ("MAIL", "nonsense", false),
        ] {
            let address = smtp_server::start(command, reply).await;
            let failure = by_smtp(address).send(JobId::new(), &letter("zoe@home.test")).await.unwrap_err();
            assert_eq!(matches!(failure, Failure::Fatal { .. }), is_final, "{reply} to {command}: {failure:?}");
            assert_eq!(matches!(failure, Failure::Retry { .. }), !is_final, "{reply} to {command}: {failure:?}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_retried() {
        let (_held, address) = deserted_address();
        let failure = by_smtp(address).send(JobId::new(), &letter("zoe@home.test")).await.unwrap_err();
        assert!(matches!(failure, Failure::Retry { .. }), "{failure:?}");
    }

    #[tokio::test]
    async fn what_a_server_says_is_kept_without_the_address() {
        let address = smtp_server::start("RCPT", "550 5.1.1 <Zoe@Home.test> is unknown, zoe@home.test!").await;
        let failure = by_smtp(address).send(JobId::new(), &letter("zoe@home.test")).await.unwrap_err();
        let reason = failure.to_string();
        assert!(reason.contains("<the address> is unknown, the address!"), "{reason}");
    }

    #[tokio::test]
    async fn a_bad_address_is_final() {
        let dir = Folder::new();
        let mailer = Mailer::new(&config(None, dir.path())).unwrap();
        for address in ["", "zoe", "zoe@home.test\r\nBcc: all@home.test"] {
            let failure = mailer.send(JobId::new(), &letter(address)).await.unwrap_err();
            assert!(matches!(failure, Failure::Fatal { .. }), "{address:?}: {failure:?}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_header_cannot_be_smuggled_in() {
        let dir = Folder::new();
        let (mailer, job) = (Mailer::new(&config(None, dir.path())).unwrap(), JobId::new());
        let smuggled = "x\r\nBcc: all@home.test".to_owned();
        let letter = Letter { subject: smuggled.clone(), name: smuggled, ..letter("zoe@home.test") };
        mailer.send(job, &letter).await.unwrap();
        let mail = std::fs::read_to_string(dir.path().join(format!("{job}.eml"))).unwrap();
        assert!(!mail.lines().any(|line| line.starts_with("Bcc")), "{mail}");
    }

    #[tokio::test]
    async fn without_a_server_a_second_run_writes_the_same_file() {
        let dir = Folder::new();
        let (mailer, job) = (Mailer::new(&config(None, &dir.path().join("a/b"))).unwrap(), JobId::new());
        for _ in 0..2 {
            mailer.send(job, &letter("zoe@home.test")).await.unwrap();
        }
        let files: Vec<_> =
            std::fs::read_dir(dir.path().join("a/b")).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files, [dir.path().join(format!("a/b/{job}.eml"))]);
    }

    #[tokio::test]
    async fn a_directory_that_is_gone_is_retried_and_leaves_nothing_half_written() {
        let dir = Folder::new();
        let mailer = Mailer::new(&config(None, &dir.path().join("mail"))).unwrap();
        std::fs::remove_dir(dir.path().join("mail")).unwrap();
        let failure = mailer.send(JobId::new(), &letter("zoe@home.test")).await.unwrap_err();
        assert!(matches!(&failure, Failure::Retry { reason, .. } if reason.starts_with("MAIL_DIR=")), "{failure:?}");
    }

    #[tokio::test]
    async fn a_wrong_variable_is_named() {
        let dir = Folder::new();
        let wrong_from = MailConfig { from: "nobody".to_owned(), ..config(None, dir.path()) };
        let wrong_url = config(Some("smtp://zoe:secret@h?tls=maybe"), dir.path());
        let wrong_dir = config(None, Path::new("/dev/null/mail"));
        for (config, sentence) in [
            (wrong_from, "MAIL_FROM=nobody cannot be used"),
            (wrong_url, "SMTP_URL="),
            (wrong_dir, "MAIL_DIR=/dev/null/mail"),
        ] {
            let error = Mailer::new(&config).unwrap_err().to_string();
            assert!(error.starts_with(sentence), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
